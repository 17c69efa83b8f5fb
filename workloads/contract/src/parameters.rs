//! Typed parameters: what was typed, what it means, and what is allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Definition;

/// One parameter of a workload.
#[derive(Debug)]
pub struct Parameter {
    /// The key in `-p key=value`.
    pub name: &'static str,
    /// What it changes.
    pub about: &'static str,
    /// `tasks`, `bytes`, `rows`; empty for texts.
    pub unit: &'static str,
    /// What it may be.
    pub kind: ParameterKind,
    /// Its value unless a preset or the user says otherwise.
    pub default: &'static str,
}

/// The type and limits of a parameter; limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParameterKind {
    /// A whole number: `1000`, `1_000`, `1e6`, `64KiB`, `2M`.
    Integer {
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A decimal number.
    Real {
        /// The least allowed.
        min: f64,
        /// The most allowed.
        max: f64,
    },
    /// A length of time: `20ms`, `1.5s`, `300us`.
    Duration {
        /// The shortest allowed.
        min: Duration,
        /// The longest allowed.
        max: Duration,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Real { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Duration { min, max } => {
                write!(f, "a time from {} to {}", spell(*min), spell(*max))
            }
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Text => f.write_str("a text"),
        }
    }
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`ParameterKind::Integer`].
    Integer(u64),
    /// Of [`ParameterKind::Real`].
    Real(f64),
    /// Of [`ParameterKind::Duration`].
    Duration(Duration),
    /// Of [`ParameterKind::Choice`] or [`ParameterKind::Text`].
    Text(String),
}

/// The canonical spelling, which parses to the same value again: cells are identified by it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(x) => write!(f, "{x}"),
            Self::Duration(d) => f.write_str(&spell(*d)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A duration in the largest unit that keeps it whole: `20ms`, `1500us`.
fn spell(duration: Duration) -> String {
    let ns = duration.as_nanos();
    for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if ns.is_multiple_of(size) {
            return format!("{}{unit}", ns / size);
        }
    }
    format!("{ns}ns")
}

/// What was wrong with a parameter, what is allowed and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterError(pub String);

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParameterError {}

/// Every parameter of a workload, checked, in order of name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    values: BTreeMap<String, Value>,
}

impl Parameters {
    /// Defaults overridden, in order, by `texts`.
    ///
    /// # Errors
    /// An unknown name (with the nearest) or a value out of its limits.
    pub fn from_texts<'a>(
        definition: &Definition,
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ParameterError> {
        let mut values = BTreeMap::new();
        for parameter in definition.parameters {
            values.insert(parameter.name.to_owned(), parameter.parse(parameter.default)?);
        }
        for (name, text) in texts {
            let parameter = definition
                .parameters
                .iter()
                .find(|p| p.name == name)
                .ok_or_else(|| unknown_parameter(definition, name))?;
            values.insert(name.to_owned(), parameter.parse(text)?);
        }
        Ok(Self { values })
    }

    /// Name and canonical text of each, in order of name.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.values.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// An integer parameter.
    ///
    /// # Panics
    /// When the definition declares no integer of that name: a bug in the workload.
    pub fn integer(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Integer(n) => *n,
            other => panic!("parameter '{name}' is {other:?}, not an integer"),
        }
    }

    /// An integer parameter as a size in memory.
    ///
    /// # Panics
    /// As [`integer`](Self::integer), or beyond `usize`.
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).expect("limits of size parameters fit in usize")
    }

    /// A real parameter.
    ///
    /// # Panics
    /// When the definition declares no real of that name: a bug in the workload.
    pub fn real(&self, name: &str) -> f64 {
        match self.value(name) {
            Value::Real(x) => *x,
            other => panic!("parameter '{name}' is {other:?}, not a real"),
        }
    }

    /// A duration parameter.
    ///
    /// # Panics
    /// When the definition declares no duration of that name: a bug in the workload.
    pub fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Value::Duration(d) => *d,
            other => panic!("parameter '{name}' is {other:?}, not a duration"),
        }
    }

    /// A text or choice parameter.
    ///
    /// # Panics
    /// When the definition declares no text of that name: a bug in the workload.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            other => panic!("parameter '{name}' is {other:?}, not a text"),
        }
    }

    fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or_else(|| panic!("the definition has no parameter '{name}'"))
    }
}

impl Parameter {
    /// Reads and checks a value as it was typed.
    ///
    /// # Errors
    /// Names the parameter, what was typed and what is allowed.
    pub fn parse(&self, text: &str) -> Result<Value, ParameterError> {
        let value = match self.kind {
            ParameterKind::Integer { min, max } => {
                parse_integer(text).filter(|n| (min..=max).contains(n)).map(Value::Integer)
            }
            ParameterKind::Real { min, max } => {
                text.parse().ok().filter(|x| (min..=max).contains(x)).map(Value::Real)
            }
            ParameterKind::Duration { min, max } => {
                parse_duration(text).filter(|d| (min..=max).contains(d)).map(Value::Duration)
            }
            ParameterKind::Choice(words) => {
                words.contains(&text).then(|| Value::Text(text.to_owned()))
            }
            ParameterKind::Text => Some(Value::Text(text.to_owned())),
        };
        value.ok_or_else(|| {
            ParameterError(format!("'{text}' is not a value for {}: give {}", self.name, self.kind))
        })
    }
}

/// `1000`, `1_000`, `1e6`, `64KiB`, `2M`: whole numbers as people type them.
fn parse_integer(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    const SUFFIXES: [(&str, u64); 6] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
    ];
    for (suffix, factor) in SUFFIXES {
        if let Some(number) = text.strip_suffix(suffix) {
            return number.parse::<u64>().ok()?.checked_mul(factor);
        }
    }
    if let Some((mantissa, exponent)) = text.split_once('e') {
        let power = 10_u64.checked_pow(exponent.parse().ok()?)?;
        return mantissa.parse::<u64>().ok()?.checked_mul(power);
    }
    text.parse().ok()
}

/// `20ms`, `1.5s`, `300us`, `0`: a length of time as people type it.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    // Longest unit first: "ms" also ends in "s".
    for (unit, ns) in [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("min", 60e9), ("s", 1e9)] {
        if let Some(number) = text.strip_suffix(unit) {
            let number: f64 = number.trim().parse().ok()?;
            let ns = number * ns;
            // Beyond 2^63 ns (292 years) nobody waits; the check also refuses NaN.
            return (0.0..9.2e18).contains(&ns).then(|| Duration::from_nanos(ns.round() as u64));
        }
    }
    None
}

fn unknown_parameter(definition: &Definition, name: &str) -> ParameterError {
    let names: Vec<_> = definition.parameters.iter().map(|p| p.name).collect();
    if names.is_empty() {
        return ParameterError(format!("{} has no parameters", definition.name));
    }
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'? "),
        None => String::new(),
    };
    ParameterError(format!(
        "{} has no parameter '{name}'; {hint}it has {}",
        definition.name,
        names.join(", ")
    ))
}

/// The name most like what was typed, when one is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(typed.len()) / 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_parse_as_people_type_them() {
        let cases = [
            ("0", Some(0)),
            ("1_000", Some(1000)),
            ("1e6", Some(1_000_000)),
            ("64KiB", Some(65_536)),
            ("2M", Some(2_000_000)),
            ("-1", None),
            ("1.5", None),
            ("1e30", None),
            ("", None),
            ("k", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_integer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_parse_as_people_type_them() {
        let cases = [
            ("20ms", Some(Duration::from_millis(20))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("300us", Some(Duration::from_micros(300))),
            ("2min", Some(Duration::from_secs(120))),
            ("7ns", Some(Duration::from_nanos(7))),
            ("0", Some(Duration::ZERO)),
            ("-1s", None),
            ("NaNs", None),
            ("20", None),
            ("s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn canonical_texts_parse_to_the_same_value() {
        let durations = [0, 7, 1_500, 20_000_000, 3_000_000_000].map(Duration::from_nanos);
        for duration in durations {
            assert_eq!(parse_duration(&spell(duration)), Some(duration));
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("prmes", ["primes", "risk"]), Some("primes"));
        assert_eq!(nearest("zzzzzz", ["primes", "risk"]), None);
    }
}
