//! The noise floor of a run: how much a cell differs from itself.

use super::quantile::quantile;

/// Each cell's launches are halved at random this often. Six launches can be halved in ten ways:
/// more splits would say the same again.
const SPLITS: usize = 20;

/// A half needs two launches to average anything.
const MIN_LAUNCHES: usize = 4;

/// The 95th percentile of the ratio between two random halves of a cell's launches, the larger
/// over the smaller: 1.03 says that a cell compared with itself differs by up to 3 %.
///
/// `cells` holds, for each cell, the logarithms of its launches' values. The halves are drawn
/// from `seed`, so the same record always has the same floor. Absent where no cell has at least
/// four launches.
pub fn floor(cells: &[Vec<f64>], seed: u64) -> Option<f64> {
    let mut random = SplitMix64::new(seed);
    let mut differences = Vec::new();
    for logs in cells.iter().filter(|logs| logs.len() >= MIN_LAUNCHES) {
        let mut logs = logs.clone();
        differences.extend((0..SPLITS).map(|_| difference(&mut logs, &mut random)));
    }
    quantile(&differences, 0.95).map(f64::exp)
}

/// |log ratio| between two random halves. An odd launch is left out, a different one each time.
fn difference(logs: &mut [f64], random: &mut SplitMix64) -> f64 {
    random.shuffle(logs);
    let half = logs.len() / 2;
    let difference: f64 = logs[..half].iter().zip(&logs[half..]).map(|(a, b)| a - b).sum();
    (difference / half as f64).abs()
}

/// `SplitMix64` of Steele, Lea and Flood (2014): small, seeded, and good enough to halve with.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to 1, of 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number, by the polar form of Box and Muller (Marsaglia and Bray 1964).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Fisher and Yates's shuffle. The remainder's bias is below 2^-32 for any list here.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_the_published_algorithm() {
        // The first outputs for seed 1234567, as in Rosetta Code's table for SplitMix64.
        let mut random = SplitMix64::new(1_234_567);
        let found = [random.next(), random.next(), random.next()];
        assert_eq!(
            found,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn the_floor_is_near_what_normal_noise_predicts() {
        // Halves of n launches with standard deviation s differ by a normal variable with
        // standard deviation s * sqrt(4 / n); its 95th percentile of |x| is 1.96 of those.
        let mut random = SplitMix64::new(5);
        let cells: Vec<Vec<f64>> =
            (0..500).map(|_| (0..16).map(|_| 0.01 * random.normal()).collect()).collect();
        let found = floor(&cells, 42).unwrap().ln();
        let expected = 1.96 * 0.01 * (4.0_f64 / 16.0).sqrt();
        assert!((found / expected - 1.0).abs() < 0.05, "{found}, not {expected}");
    }

    #[test]
    fn normal_numbers_have_the_moments_of_a_normal_distribution() {
        let mut random = SplitMix64::new(2);
        let n = 200_000;
        let numbers: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let moment = |power| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / f64::from(n);
        for (power, expected) in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)] {
            assert!((moment(power) - expected).abs() < 0.05, "{power}: {}", moment(power));
        }
        let beyond = numbers.iter().filter(|x| x.abs() > 1.959_964).count();
        assert!((beyond as f64 / f64::from(n) - 0.05).abs() < 0.002, "{beyond}");
    }

    #[test]
    fn the_same_seed_gives_the_same_floor() {
        let cells = vec![vec![0.1, 0.2, 0.15, 0.3, 0.12, 0.11]];
        assert_eq!(floor(&cells, 1), floor(&cells, 1));
        assert!(floor(&cells, 1).unwrap() > 1.0);
    }

    #[test]
    fn equal_launches_have_no_noise_and_too_few_have_no_floor() {
        assert_eq!(floor(&[vec![3.0; 6]], 1), Some(1.0));
        assert_eq!(floor(&[vec![1.0, 2.0, 3.0], vec![]], 1), None);
        assert_eq!(floor(&[], 1), None);
    }
}
