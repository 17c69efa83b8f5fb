//! Numbers on axes, and estimates with their intervals in words. All else is written by
//! `manyhands_record::format`, so that a number looks the same wherever it stands.

use manyhands_record::Interval;
use manyhands_record::format::{digits, duration, ratio};

use crate::charts::Estimate;

/// `12.3 ms (95 % interval 12.1 ms to 12.6 ms)`.
pub(crate) fn time_estimate(time: Estimate) -> String {
    in_words(duration(time.point), time.interval, duration)
}

/// `1.92x (95 % interval 1.90x to 1.95x)`.
pub(crate) fn ratio_estimate(found: Estimate) -> String {
    in_words(ratio(found.point), found.interval, ratio)
}

fn in_words(point: String, interval: Option<Interval>, text: fn(f64) -> String) -> String {
    match interval {
        None => format!("{point} (no interval)"),
        Some(i) => format!("{point} (95 % interval {} to {})", text(i.low), text(i.high)),
    }
}

/// An interval in the unit of its estimate: `12.1 to 12.6`.
pub(crate) fn time_interval(ns: f64, interval: Interval) -> String {
    let (scale, _) = fitting(&TIMES, ns);
    range(Interval { low: interval.low / scale, high: interval.high / scale })
}

/// `1.90 to 1.95`.
pub(crate) fn range(interval: Interval) -> String {
    format!("{} to {}", digits(interval.low), digits(interval.high))
}

const TIMES: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
const SIZES: [f64; 5] = [1_099_511_627_776.0, 1_073_741_824.0, 1_048_576.0, 1024.0, 1.0];

/// The largest unit that a size reaches, in bytes: steps of 1, 2 and 5 of it look round.
pub(crate) fn size_unit(bytes: f64) -> f64 {
    SIZES.into_iter().find(|scale| bytes >= *scale).unwrap_or(1.0)
}

/// Labels for the ticks of a time axis, without trailing zeros.
pub(crate) fn time_ticks(ticks: &[f64]) -> Vec<String> {
    ticks
        .iter()
        .map(|ns| match fitting(&TIMES, *ns) {
            _ if *ns == 0.0 => "0".to_owned(),
            (scale, unit) => format!("{} {unit}", plain(ns / scale)),
        })
        .collect()
}

/// Labels for the ticks of a size axis that counts in `unit` bytes.
pub(crate) fn size_ticks(ticks: &[f64], unit: f64) -> Vec<String> {
    let name = match SIZES.iter().position(|scale| *scale == unit) {
        Some(at) => ["TiB", "GiB", "MiB", "KiB", "B"][at],
        None => "B",
    };
    let label = |tick: &f64| format!("{} {name}", plain(*tick));
    ticks.iter().map(|tick| if *tick == 0.0 { "0".to_owned() } else { label(tick) }).collect()
}

/// A number without trailing zeros: `0.5`, `20`.
pub(crate) fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The largest unit that the value reaches when it is written with three digits.
fn fitting(units: &[(f64, &'static str)], value: f64) -> (f64, &'static str) {
    let last = units[units.len() - 1];
    units.iter().copied().find(|(scale, _)| value >= scale * 0.9995).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_no_trailing_zeros() {
        assert_eq!(time_ticks(&[0.0, 5e5, 1e6, 1.5e6]), ["0", "500 us", "1 ms", "1.5 ms"]);
        assert_eq!(size_ticks(&[0.0, 20.0], 1_048_576.0), ["0", "20 MiB"]);
    }

    #[test]
    fn an_interval_is_in_the_unit_of_its_estimate() {
        let interval = Interval { low: 900_000.0, high: 1_200_000.0 };
        assert_eq!(time_interval(1_040_000.0, interval), "0.900 to 1.20");
    }
}
