//! What the servers serve and how long they take, by arithmetic alone: the same under every
//! executor, in every language, and known to [`Workload::bound`](manyhands_contract::Workload).

use std::time::Duration;

use manyhands_contract::generate::Stream;

/// The stream that delays are drawn from.
const DELAYS: u64 = 1;
/// The stream that bodies are drawn from.
const BODIES: u64 = 2;

/// How long the server takes over each request: of a mean of m nanoseconds, request i takes
/// `floor(m / 2) + below(i, m)` of stream 1, uniform from a half to one and a half times the mean.
///
/// Bounded, because a workload should tell executors apart and not be ruled by the one request in
/// ten thousand that an exponential tail makes ten times as long.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    stream: Stream,
    mean_ns: u64,
}

impl Delays {
    /// The delays under a seed.
    pub fn new(seed: u64, mean: Duration) -> Self {
        let mean_ns = u64::try_from(mean.as_nanos()).expect("limits of delays fit in 2^64 ns");
        Self { stream: Stream::new(seed, DELAYS), mean_ns }
    }

    /// How long request `i` takes.
    pub fn of(&self, i: u64) -> Duration {
        Duration::from_nanos(self.mean_ns / 2 + self.stream.below(i, self.mean_ns))
    }

    /// The longest of the first `requests`, in nanoseconds: nobody is done before it.
    pub fn longest_ns(&self, requests: u64) -> u64 {
        self.all_ns(requests).max().unwrap_or(0)
    }

    /// The least time in which a server that works on `capacity` at a time can be through with the
    /// first `requests`, in nanoseconds: the longest of them, or an equal share of them all.
    pub fn makespan_ns(&self, requests: u64, capacity: u64) -> u64 {
        let sum: u128 = self.all_ns(requests).map(u128::from).sum();
        let share = sum.div_ceil(u128::from(capacity.max(1)));
        self.longest_ns(requests).max(u64::try_from(share).unwrap_or(u64::MAX))
    }

    fn all_ns(&self, requests: u64) -> impl Iterator<Item = u64> + '_ {
        (0..requests).map(|i| self.mean_ns / 2 + self.stream.below(i, self.mean_ns))
    }
}

/// What a page or source holds: body i is the first `bytes` bytes of the words
/// `bits(i * w), bits(i * w + 1), ...` of stream 2, little-endian, where w = ceil(bytes / 8).
#[derive(Debug, Clone, Copy)]
pub struct Bodies {
    stream: Stream,
    bytes: usize,
}

impl Bodies {
    /// The bodies under a seed.
    pub fn new(seed: u64, bytes: usize) -> Self {
        Self { stream: Stream::new(seed, BODIES), bytes }
    }

    /// The body of page or source `i`.
    pub fn of(&self, i: u64) -> Vec<u8> {
        let words = self.bytes.div_ceil(8);
        // Wraps for page numbers that no workload asks for, instead of panicking on them.
        let first = i.wrapping_mul(words as u64);
        let mut body = Vec::with_capacity(words * 8);
        for word in 0..words as u64 {
            body.extend_from_slice(&self.stream.bits(first.wrapping_add(word)).to_le_bytes());
        }
        body.truncate(self.bytes);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from a Python that follows the formulas above and those of `generate::Stream`
    /// (`tests/reference.py`).
    #[test]
    fn delays_and_bodies_match_the_formulas_in_another_language() {
        let delays = Delays::new(7, Duration::from_millis(5));
        assert_eq!([0, 1, 2].map(|i| delays.of(i).as_nanos()), [4_214_107, 3_860_149, 2_834_713]);
        assert_eq!(delays.longest_ns(64), 7_222_552);
        assert_eq!(delays.makespan_ns(64, 2), 152_752_741);
        assert_eq!(Bodies::new(7, 10).of(3), [86, 225, 203, 35, 194, 118, 206, 181, 255, 154]);
    }

    #[test]
    fn a_server_with_room_for_all_is_bound_by_the_longest() {
        let delays = Delays::new(7, Duration::from_millis(5));
        assert_eq!(delays.makespan_ns(64, 64), delays.longest_ns(64));
        assert_eq!(delays.makespan_ns(0, 2), 0);
    }

    #[test]
    fn no_delay_and_no_bytes_are_allowed() {
        assert_eq!(Delays::new(7, Duration::ZERO).of(3), Duration::ZERO);
        assert!(Bodies::new(7, 0).of(3).is_empty());
    }
}
