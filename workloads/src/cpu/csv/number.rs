//! From the text of a cell to a number.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Nineteen digits always fit in 64 bits.
const DIGITS: usize = 19;

/// A decimal with optional sign, fraction and exponent, blanks around it allowed; `None` for
/// anything else, such as `NaN`, `1,000` and what is too large for a double.
///
/// A mantissa of up to 2^53 and a power of ten of up to 22 are both exact as doubles, so one
/// multiplication or division rounds once and correctly (Clinger, How to Read Floating Point
/// Numbers Accurately, 1990). Almost all data is like that; the rest takes the library's way.
#[inline]
pub(super) fn parse(cell: &[u8]) -> Option<f64> {
    let cell = cell.trim_ascii();
    let (negative, unsigned) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, cell),
    };
    let (whole, mantissa) = digits(unsigned, 0);
    let rest = &unsigned[whole..];
    let (fraction, mantissa, rest) = match rest {
        [b'.', rest @ ..] => {
            let (fraction, mantissa) = digits(rest, mantissa);
            (fraction, mantissa, &rest[fraction..])
        }
        _ => (0, mantissa, rest),
    };
    if whole + fraction == 0 {
        return None;
    }
    if !rest.is_empty() || whole + fraction > DIGITS || fraction > 22 || mantissa > 1 << 53 {
        return parse_slowly(cell, rest);
    }
    let size = mantissa as f64 / POWERS[fraction];
    Some(if negative { -size } else { size })
}

/// How many digits the text begins with, and what they make of a number that they go on.
#[inline]
fn digits(text: &[u8], mut number: u64) -> (usize, u64) {
    let mut count = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Beyond nineteen digits this wraps, and the number is not used.
        number = number.wrapping_mul(10).wrapping_add(digit.into());
        count += 1;
    }
    (count, number)
}

/// Numbers with an exponent, with many digits, and what is no number at all. `exponent` is what
/// follows the digits: empty or an exponent, if `cell` is a number.
#[cold]
fn parse_slowly(cell: &[u8], exponent: &[u8]) -> Option<f64> {
    let well_formed = match exponent {
        [] => true,
        [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] => {
            !power.is_empty() && power.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if !well_formed {
        return None;
    }
    let number: f64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use manyhands_contract::generate::Stream;

    use super::*;

    #[test]
    fn decimals_are_numbers_and_nothing_else_is() {
        let numbers = [
            ("0", 0.0),
            ("-0", -0.0),
            ("7", 7.0),
            ("+7", 7.0),
            ("-12.50", -12.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("-2.5e-1", -0.25),
            (" 3 ", 3.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("1e-400", 0.0),
            ("12345678901234567890123", 1.234_567_890_123_456_8e22),
            ("0.00000000000000000000000000000000001", 1e-35),
        ];
        for (text, number) in numbers {
            assert_eq!(
                parse(text.as_bytes()).map(f64::to_bits),
                Some(f64::to_bits(number)),
                "{text}"
            );
        }
        let others = [
            "", " ", "-", "+", ".", "-.", "e5", ".e5", "1e", "1e+", "1e5.0", "NaN", "nan", "inf",
            "-inf", "infinity", "0x10", "1,000", "1_000", "1 000", "--1", "+-1", "1.2.3", "1-",
            "12a", "1e999", "\u{661}", "1\0",
        ];
        for text in others {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_short_way_and_the_librarys_agree_to_the_last_bit() {
        let stream = Stream::new(1, 0);
        for i in 0..200_000 {
            let whole = stream.bits(3 * i) >> stream.below(3 * i + 1, 64);
            let text = match stream.below(3 * i + 2, 4) {
                0 => format!("{whole}"),
                1 => format!("-{}.{:02}", whole >> 20, whole % 100),
                2 => format!("{}.{whole}", whole % 1000),
                _ => format!("{whole}e{}", (whole % 60) as i64 - 30),
            };
            let expected: f64 = text.parse().expect("a number");
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }
}
