//! Generated input, by arithmetic alone, so that any language can make the same.

/// The increment of SplitMix64: the golden ratio times 2^64, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014; Stafford's variant 13).
#[inline]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of values, each computed from its index alone: value i of stream s under a seed is
/// `mix(mix(mix(seed + G) ^ s) + (i + 1) * G)` with G = 0x9e3779b97f4a7c15, modulo 2^64.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    base: u64,
}

impl Stream {
    /// Stream number `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { base: mix(mix(seed.wrapping_add(GOLDEN)) ^ stream) }
    }

    /// Value `i`, uniform over all 64-bit integers.
    #[inline]
    pub fn bits(self, i: u64) -> u64 {
        mix(self.base.wrapping_add(i.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// Value `i`, uniform in [0, 1): the upper 53 bits over 2^53.
    #[inline]
    pub fn uniform(self, i: u64) -> f64 {
        (self.bits(i) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Value `i`, uniform in 0..n, by the upper half of a 128-bit product.
    #[inline]
    pub fn below(self, i: u64, n: u64) -> u64 {
        ((u128::from(self.bits(i)) * u128::from(n)) >> 64) as u64
    }

    /// Value `i`, near a standard normal: the sum of uniforms 12 i .. 12 i + 12, in that order,
    /// minus six. Needs no library's logarithm, which languages round differently.
    pub fn normal(self, i: u64) -> f64 {
        (0..12).map(|k| self.uniform(i * 12 + k)).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_matches_the_published_splitmix64() {
        // First outputs for seed 1234567 as given at https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
        let mut state = 1_234_567_u64;
        let mut next = || {
            state = state.wrapping_add(GOLDEN);
            mix(state)
        };
        let first: [u64; 3] = std::array::from_fn(|_| next());
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn streams_differ_and_normals_have_the_moments_of_one() {
        let (a, b) = (Stream::new(1, 0), Stream::new(1, 1));
        assert_ne!(a.bits(0), b.bits(0));
        let n = 20_000;
        let values: Vec<_> = (0..n).map(|i| a.normal(i)).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        // Standard errors are 0.007 and 0.01.
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
