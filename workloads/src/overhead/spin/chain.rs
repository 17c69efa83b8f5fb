//! The chain that `spin` and its relatives compute, and the short cut that says where it ends.

use std::hint::black_box;

/// Knuth's MMIX generator: full period modulo 2^64, and no step can be skipped.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

/// The numbers of a step, hidden from the compiler. Knowing them it would fold eight steps into
/// one, (x a + c) a + c = x a^2 + (a c + c), and the chain would be an eighth as long as it says.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    multiplier: u64,
    increment: u64,
    /// Is 0: what the task before left behind, masked by it, changes nothing, but the compiler
    /// and the processor must wait for it.
    zero: u64,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self {
            multiplier: black_box(MULTIPLIER),
            increment: black_box(INCREMENT),
            zero: black_box(0),
        }
    }

    /// Where `steps` steps from `start` end. The chain begins when the worker's `last` one has
    /// ended, and leaves its own end there.
    #[inline(always)]
    pub(crate) fn run(&self, start: u64, steps: u64, last: &mut u64) -> u64 {
        let Self { multiplier, increment, zero } = *self;
        let mut x = start ^ (*last & zero);
        for _ in 0..steps {
            x = x.wrapping_mul(multiplier).wrapping_add(increment);
        }
        *last = x;
        x
    }
}

/// All steps of a chain at once, which the definition forbids its tasks: x a^n + c (a^n - 1) /
/// (a - 1) modulo 2^64, by squaring (Brown, "Random number generation with arbitrary strides",
/// Transactions of the American Nuclear Society 71, 1994). Checking an input costs one multiply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jump {
    multiplier: u64,
    increment: u64,
}

impl Jump {
    /// The jump over `steps` steps.
    pub(crate) fn over(mut steps: u64) -> Self {
        let (mut multiplier, mut increment) = (1_u64, 0_u64);
        // 1, 2, 4, ... steps as one.
        let (mut a, mut c) = (MULTIPLIER, INCREMENT);
        while steps > 0 {
            if steps & 1 == 1 {
                multiplier = multiplier.wrapping_mul(a);
                increment = increment.wrapping_mul(a).wrapping_add(c);
            }
            c = c.wrapping_mul(a).wrapping_add(c);
            a = a.wrapping_mul(a);
            steps >>= 1;
        }
        Self { multiplier, increment }
    }

    /// Where the chain from `start` ends.
    #[inline]
    pub(crate) fn end(self, start: u64) -> u64 {
        start.wrapping_mul(self.multiplier).wrapping_add(self.increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ends_where_the_chain_does() {
        let chain = Chain::new();
        for steps in [0, 1, 2, 3, 64, 1000, 12_345] {
            for start in [0, 1, 77, u64::MAX] {
                let end = chain.run(start, steps, &mut 99);
                assert_eq!(Jump::over(steps).end(start), end, "{steps} steps from {start}");
            }
        }
    }

    /// No chain can be walked this far; Python 3 computes a^n with `pow(a, n, 2**64)` and the sum
    /// as `c * (pow(a, n, (a - 1) * 2**64) - 1) // (a - 1) % 2**64`.
    #[test]
    fn a_jump_over_a_million_million_steps_ends_where_python_says() {
        assert_eq!(Jump::over(1_000_000_000_000).end(5), FAR_FROM_5);
    }

    const FAR_FROM_5: u64 = 941_120_903_591_006_213;
}
