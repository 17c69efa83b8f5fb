//! What a server is to serve, as its command line carries it.

use std::num::NonZeroUsize;
use std::time::Duration;

/// What a server is to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Seeds delays and bodies.
    pub seed: u64,
    /// The mean of the delays.
    pub delay: Duration,
    /// The length of every body.
    pub bytes: usize,
    /// How many sources are worked on at a time; pages have no such limit.
    pub capacity: NonZeroUsize,
}

impl Spec {
    /// `seed=42 delay-ns=5000000 bytes=4096 capacity=2`.
    pub(super) fn to_args(self) -> [String; 4] {
        [
            format!("seed={}", self.seed),
            format!("delay-ns={}", self.delay.as_nanos()),
            format!("bytes={}", self.bytes),
            format!("capacity={}", self.capacity),
        ]
    }

    /// Reads what [`to_args`](Self::to_args) wrote.
    pub(super) fn from_args(args: &[String]) -> Result<Self, String> {
        let mut values = [None; 4];
        for arg in args {
            let known = |(name, value): (&str, &str)| {
                let place = NAMES.iter().position(|known| *known == name)?;
                Some((place, value.parse().ok()?))
            };
            let (place, value) = arg.split_once('=').and_then(known).ok_or_else(|| {
                format!("'{arg}' is not for a server: give {}", NAMES.join("=N "))
            })?;
            values[place] = Some(value);
        }
        let value =
            |place: usize| values[place].ok_or_else(|| format!("{}=N is missing", NAMES[place]));
        let size =
            |place| value(place).and_then(|n: u64| n.try_into().map_err(|_| too_large(place)));
        Ok(Self {
            seed: value(0)?,
            delay: Duration::from_nanos(value(1)?),
            bytes: size(2)?,
            capacity: NonZeroUsize::new(size(3)?).ok_or("a server of capacity 0 serves nobody")?,
        })
    }
}

const NAMES: [&str; 4] = ["seed", "delay-ns", "bytes", "capacity"];

fn too_large(place: usize) -> String {
    format!("{} is larger than this machine's memory", NAMES[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_command_line() {
        let spec = Spec {
            seed: u64::MAX,
            delay: Duration::from_nanos(1_500_001),
            bytes: 0,
            capacity: NonZeroUsize::MIN,
        };
        assert_eq!(Spec::from_args(&spec.to_args()), Ok(spec));
    }

    #[test]
    fn what_is_wrong_with_an_argument_is_said() {
        let message = |args: &[&str]| {
            let args: Vec<_> = args.iter().map(ToString::to_string).collect();
            Spec::from_args(&args).unwrap_err()
        };
        assert_eq!(
            message(&["speed=1"]),
            "'speed=1' is not for a server: give seed=N delay-ns=N bytes=N capacity"
        );
        assert_eq!(message(&["seed=1", "delay-ns=2"]), "bytes=N is missing");
    }
}
