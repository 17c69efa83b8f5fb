//! `primes`: pure computation in uneven blocks.
//!
//! Trial division by every odd number up to the root, without a division: n is a multiple of an
//! odd d exactly when n times the inverse of d modulo 2^32 is at most (2^32 - 1) / d (Granlund and
//! Montgomery, "Division by invariant integers using multiplication", 1994, section 9). One
//! multiplication and one comparison suit vector units, so sixteen divisors are tried at once.
//! Measured on a Zen 3 core for numbers below 10^6: 6 ms; dividing in vectors of f64, 21 ms; the
//! textbook's `n % d`, 67 ms.

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Preset, Shape,
    Step, TaskError, Workload,
};
use multiversion::multiversion;

/// `primes`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "primes",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "count primes by trial division: pure computation in uneven blocks",
    about: "Nothing but arithmetic in registers: no memory to wait for, nothing shared, a few \
            bytes in and one number out. Whatever keeps all cores busy is as fast as can be, so \
            threads, processes and rayon should all come near the number of cores, and async, \
            which is made for waiting, should win nothing on one thread. But the blocks are \
            uneven: a larger number has more divisors to try, and the last block costs several \
            times the first. Equal slices leave the worker with the small numbers idle; handing \
            out small chunks on demand, or stealing, evens it out. Sieves are faster; this is \
            about dividing the work.",
    task: "count the primes of one block of 0..limit by trial division by odd numbers up to the \
           root",
    answer: "`count` of the primes below `limit`",
    input: None,
    parameters: &[
        Parameter {
            name: "limit",
            about: "count the primes below this number",
            unit: "numbers",
            kind: ParameterKind::Integer { min: 0, max: LARGEST_LIMIT },
            default: "23000000",
        },
        Parameter {
            name: "block",
            about: "how many numbers one task looks at",
            unit: "numbers",
            kind: ParameterKind::Integer { min: 1, max: LARGEST_LIMIT },
            default: "10000",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("limit", "3500000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("limit", "115000000")] },
    ],
    // The last blocks are the slowest, so the chunk that is finished last should be small.
    grows: None,
    length: None,
    max_chunk: Some(8),
    simulated: false,
};

/// Candidates, and the square of the root after theirs, fit in 32 bits; beyond it a count would
/// take hours.
const LARGEST_LIMIT: u64 = 4_000_000_000;

/// How many divisors are tried at once: two vectors of eight. Of 8, 16 and 32 the fastest.
const LANES: usize = 16;

/// From here on the last group of divisors, which reaches up to 30 past the root, ends before
/// the number itself, which would count as a divisor.
const SMALL: u32 = 64;

/// The workload.
#[derive(Debug, Clone)]
pub struct Primes {
    limit: u32,
    block: u32,
    divisors: Vec<Divisors>,
}

impl Primes {
    /// The primes below `limit`, `block` numbers a task.
    ///
    /// # Panics
    /// When `block` is zero.
    pub fn new(limit: u32, block: u32) -> Self {
        assert!(block > 0, "a block of no numbers");
        Self { limit, block, divisors: divisors(limit.isqrt()) }
    }
}

/// Sixteen neighbouring odd numbers, ready to be tried at once.
#[derive(Debug, Clone)]
struct Divisors {
    /// Inverses modulo 2^32.
    inverses: [u32; LANES],
    /// The largest multiple of each below 2^32, as a quotient.
    quotients: [u32; LANES],
}

impl Divisors {
    fn starting_at(first: u32) -> Self {
        let odd: [u32; LANES] = std::array::from_fn(|lane| first + 2 * lane as u32);
        Self { inverses: odd.map(inverse), quotients: odd.map(|d| u32::MAX / d) }
    }

    /// Whether any of them divides n. No early exit: sixteen at once cost less than a jump.
    #[inline(always)]
    fn any_divides(&self, n: u32) -> bool {
        let mut any = false;
        for (inverse, quotient) in self.inverses.iter().zip(&self.quotients) {
            any |= n.wrapping_mul(*inverse) <= *quotient;
        }
        any
    }
}

/// The inverse of an odd number modulo 2^32, by Newton's iteration: d is right in three bits
/// (d * d = 1 modulo 8), and every step doubles them.
fn inverse(d: u32) -> u32 {
    (0..4).fold(d, |x, _| x.wrapping_mul(2_u32.wrapping_sub(d.wrapping_mul(x))))
}

/// The odd numbers from 3 to the root, and on to the end of a group.
fn divisors(root: u32) -> Vec<Divisors> {
    (3..=root).step_by(2 * LANES).map(Divisors::starting_at).collect()
}

/// Whether n is prime, by the definition, for the few numbers that groups are too coarse for.
fn is_small_prime(n: u32) -> bool {
    n >= 2 && (2..=n.isqrt()).all(|d| !n.is_multiple_of(d))
}

/// Counts the primes of a range of numbers.
fn count(divisors: &[Divisors], start: u32, end: u32) -> u64 {
    let small = (start..end.min(SMALL)).filter(|n| is_small_prime(*n)).count() as u64;
    small + count_odd(divisors, start.max(SMALL) | 1, end)
}

/// Counts the primes of the odd numbers from `n`, at least [`SMALL`], to `end`.
#[multiversion(targets("x86_64+avx2"))]
fn count_odd(divisors: &[Divisors], mut n: u32, end: u32) -> u64 {
    let mut count = 0;
    let mut root = n.isqrt();
    while n < end {
        // Kept up from number to number: a square root each would cost as much as the dividing.
        while (root + 1) * (root + 1) <= n {
            root += 1;
        }
        // The odd numbers from 3 to the root are (root - 1) / 2.
        let groups = ((root - 1) / 2).div_ceil(LANES as u32) as usize;
        if !divisors[..groups].iter().any(|group| group.any_divides(n)) {
            count += 1;
        }
        n += 2;
    }
    count
}

impl Map for Primes {
    type Phase = ();
    type Local = ();
    /// The primes found.
    type Partial = u64;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.limit.div_ceil(self.block) as usize
    }

    fn empty(&self, _phase: &()) -> u64 {
        0
    }

    fn run(&self, _: &mut (), _phase: &(), task: usize, found: &mut u64) -> Result<(), TaskError> {
        let start = task as u32 * self.block;
        let end = start.saturating_add(self.block).min(self.limit);
        *found += count(&self.divisors, start, end);
        Ok(())
    }

    fn merge(&self, left: &mut u64, right: u64) {
        *left += right;
    }

    fn next(&self, (): (), found: u64) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(Answer::new().count("count", found)))
    }
}

impl Workload for Primes {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let number = |name| {
            u32::try_from(context.parameters.integer(name)).expect("its limit is below 2^32")
        };
        Ok(Self::new(number("limit"), number("block")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, same_in_all_chunks};

    fn count_below(limit: u32, block: u32) -> String {
        same_in_all_chunks(&Primes::new(limit, block)).to_string()
    }

    /// The prime counting function: OEIS A006880 for powers of ten, A000720 below.
    #[test]
    fn counts_are_those_of_the_tables() {
        let small = [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (10, 4), (64, 18), (100, 25)];
        let large = [(10_000, 1_229), (100_000, 9_592), (1_000_000, 78_498)];
        for (limit, count) in small.into_iter().chain(large) {
            assert_eq!(count_below(limit, 10_000), format!(r#"{{"count":{count}}}"#), "{limit}");
        }
    }

    #[test]
    fn blocks_of_any_size_cover_the_numbers_once() {
        for block in [1, 2, 3, 63, 64, 65, 999, 1_000, 1_001, 4_000_000_000] {
            assert_eq!(count_below(1_000, block), r#"{"count":168}"#, "in blocks of {block}");
        }
    }

    #[test]
    fn every_number_is_judged_as_by_the_definition() {
        let divisors = divisors(100);
        for n in 0..10_000 {
            assert_eq!(count(&divisors, n, n + 1) == 1, is_small_prime(n), "{n}");
        }
    }

    /// Around squares of primes, where the root decides, up to the largest allowed: found by
    /// Python 3 with the same range and trial division.
    #[test]
    fn the_largest_numbers_allowed_are_counted_right() {
        let largest = LARGEST_LIMIT as u32;
        let divisors = divisors(largest.isqrt());
        // 63241^2 = 3999424081, and 63241 is prime.
        assert_eq!(count(&divisors, 3_999_424_081, 3_999_424_082), 0);
        assert_eq!(count(&divisors, 3_999_424_000, 3_999_425_000), 51);
        assert_eq!(count(&divisors, largest - 1_000, largest), 55);
    }

    #[test]
    fn one_task_may_hold_all_numbers() {
        assert_eq!(answer(&Primes::new(100, u32::MAX), 1).to_string(), r#"{"count":25}"#);
    }
}
