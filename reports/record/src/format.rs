//! How numbers are written: the same in tables, sentences and charts.
//!
//! Three significant digits, because no measurement here carries more; the unit fits the number.
//! ASCII only, so that every terminal and every font shows it.

use crate::statistics::Interval;

/// What takes the place of an absent number.
pub const ABSENT: &str = "-";

const TIME: [(&str, f64); 4] = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
const SIZE: [(&str, f64); 5] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
];

/// Nanoseconds: `1.93 ms`.
pub fn duration(ns: f64) -> String {
    let (unit, scale) = fitting(&TIME, ns);
    format!("{} {unit}", digits(ns / scale))
}

/// Nanoseconds and their interval, both in the unit of the first: `1.93 ms [1.90, 1.96]`.
pub fn duration_within(ns: f64, interval: Option<Interval>) -> String {
    let (_, scale) = fitting(&TIME, ns);
    let scaled = interval.map(|i| Interval { low: i.low / scale, high: i.high / scale });
    within(duration(ns), scaled)
}

/// Bytes: `12.3 MiB`.
pub fn bytes(bytes: f64) -> String {
    let (unit, scale) = fitting(&SIZE, bytes);
    format!("{} {unit}", if unit == "B" { format!("{bytes:.0}") } else { digits(bytes / scale) })
}

/// A difference of bytes: `+12.3 MiB`, `-410 KiB`, `+0 B`.
pub fn bytes_more(difference: f64) -> String {
    format!("{}{}", if difference < 0.0 { '-' } else { '+' }, bytes(difference.abs()))
}

/// A ratio: `1.93x`.
pub fn ratio(ratio: f64) -> String {
    format!("{}x", digits(ratio))
}

/// A ratio and its interval: `1.93x [1.88, 1.98]`.
pub fn ratio_within(estimate: f64, interval: Option<Interval>) -> String {
    within(ratio(estimate), interval)
}

/// An interval: `[1.88, 1.98]`.
pub fn interval(interval: Interval) -> String {
    format!("[{}, {}]", digits(interval.low), digits(interval.high))
}

/// A share of 1, in percent: `96.5 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // Beyond a hundred nobody reads tenths; below a tenth the first digit is all there is.
    let places = match percent.abs() {
        large if large >= 100.0 => 0,
        small if small > 0.0 && small < 0.05 => (-small.log10()).ceil() as i32,
        _ => 1,
    };
    let scale = 10_f64.powi(places.min(300));
    format!("{} %", (percent * scale).round() / scale)
}

/// A number of things, which may be a median of counts: `12,300`, `2.5`.
pub fn count(number: f64) -> String {
    if number < 100.0 {
        return format!("{}", (number * 10.0).round() / 10.0);
    }
    grouped(&format!("{number:.0}"))
}

/// Three significant digits, never in scientific notation; whole numbers above 100 keep all of
/// their digits, because `1230` for 1234 would be a lie of another kind.
pub fn digits(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || !size.is_finite() {
        return format!("{number}");
    }
    // Rounding first: 9.996 has two digits before the point.
    let magnitude = format!("{size:.2e}");
    let exponent: i32 = magnitude.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    let decimals = (2 - exponent).clamp(0, 12) as usize;
    format!("{number:.decimals$}")
}

fn within(text: String, bounds: Option<Interval>) -> String {
    match bounds {
        Some(bounds) => format!("{text} {}", interval(bounds)),
        None => text,
    }
}

/// The largest unit in which the number, rounded, is at least 1; the first for smaller ones.
fn fitting(units: &[(&'static str, f64)], number: f64) -> (&'static str, f64) {
    // 999.5 would round to 1000 in three digits: it belongs to the next unit.
    let fits = |&&(_, scale): &&(&str, f64)| number >= 0.9995 * scale;
    *units.iter().rev().find(fits).unwrap_or(&units[0])
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_fitting_unit() {
        let cases = [
            (0.0, "0 ns"),
            (0.5, "0.500 ns"),
            (7.0, "7.00 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 us"),
            (12_345.0, "12.3 us"),
            (1_930_000.0, "1.93 ms"),
            (999_700_000.0, "1.00 s"),
            (9_996_000_000.0, "10.0 s"),
            (1_234_000_000_000.0, "1234 s"),
        ];
        for (ns, expected) in cases {
            assert_eq!(duration(ns), expected);
        }
    }

    #[test]
    fn an_interval_is_in_the_unit_of_its_estimate() {
        let interval = Some(Interval { low: 900_000.0, high: 1_200_000.0 });
        assert_eq!(duration_within(1_040_000.0, interval), "1.04 ms [0.900, 1.20]");
        assert_eq!(duration_within(1_040_000.0, None), "1.04 ms");
    }

    #[test]
    fn sizes_are_binary_and_signed_where_they_are_differences() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1_023.0), "1023 B");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(12.3 * 1024.0 * 1024.0), "12.3 MiB");
        assert_eq!(bytes_more(-420_000.0), "-410 KiB");
        assert_eq!(bytes_more(0.0), "+0 B");
    }

    #[test]
    fn ratios_shares_and_counts_read_well() {
        let interval = Some(Interval { low: 1.879, high: 1.981 });
        assert_eq!(ratio_within(1.93, interval), "1.93x [1.88, 1.98]");
        assert_eq!((ratio(0.012_34).as_str(), ratio(123.4).as_str()), ("0.0123x", "123x"));
        assert_eq!((percent(0.9651).as_str(), percent(1.0).as_str()), ("96.5 %", "100 %"));
        assert_eq!((count(12_300.0).as_str(), count(2.5).as_str()), ("12,300", "2.5"));
        assert_eq!(count(1_234_567.0), "1,234,567");
    }
}
