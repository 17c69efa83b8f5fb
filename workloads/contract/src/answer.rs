//! Answers, and when two of them agree.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value as Json};

/// Integers beyond this are written as decimal strings: other languages' JSON readers hold
/// numbers as doubles, which are exact only up to 2^53.
pub const EXACT_INTEGER: u64 = 1 << 53;

/// What a workload computed: small, a JSON object with fields in a fixed order, and for each real
/// number in it how far another answer may be from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answer {
    fields: Object<String, Json>,
    /// By JSON pointer; a number that is not here must agree exactly.
    #[serde(default)]
    tolerances: BTreeMap<String, Tolerance>,
}

/// Two numbers a and b agree when |a - b| <= max(absolute, relative x max(|a|, |b|, scale)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Relative to the larger of the two numbers and the scale.
    pub relative: f64,
    /// The sum of the sizes of the terms that were added up: cancellation loses digits of the
    /// terms, not of the sum (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
    pub scale: f64,
    /// In the number's own unit.
    pub absolute: f64,
}

impl Tolerance {
    /// 1e-9 of the larger number, or of the sum of the terms' sizes.
    pub fn of_sum(scale: f64) -> Self {
        Self { relative: 1e-9, scale, absolute: 0.0 }
    }

    fn allows(self, a: f64, b: f64) -> bool {
        let size = a.abs().max(b.abs()).max(self.scale);
        (a - b).abs() <= self.absolute.max(self.relative * size)
    }
}

/// Where two answers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer of the first field that differs; empty for the whole answer.
    pub field: String,
    /// What the reference has there.
    pub expected: String,
    /// What was found there.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "answer" } else { &self.field[1..] };
        write!(f, "wrong answer: {field} is {}, expected {}", self.found, self.expected)
    }
}

impl Answer {
    /// An answer without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an exact integer.
    #[must_use]
    pub fn count(mut self, name: &str, value: u64) -> Self {
        self.fields.insert(name.to_owned(), integer(value));
        self
    }

    /// Adds a text that must agree exactly: a digest, a name.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.insert(name.to_owned(), Json::String(value.into()));
        self
    }

    /// Adds a real number; not-a-number and infinities are spelt as texts, which JSON can carry.
    #[must_use]
    pub fn real(self, name: &str, value: f64, tolerance: Tolerance) -> Self {
        let json = real(value);
        self.value(name, json).tolerate(&format!("/{}", escape(name)), tolerance)
    }

    /// Adds a nested value.
    #[must_use]
    pub fn value(mut self, name: &str, value: Json) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// Says how far the real number at a JSON pointer may be off.
    #[must_use]
    pub fn tolerate(mut self, pointer: &str, tolerance: Tolerance) -> Self {
        self.tolerances.insert(pointer.to_owned(), tolerance);
        self
    }

    /// The answer as people and other languages see it, without tolerances.
    pub fn to_json(&self) -> Json {
        Json::Object(self.fields.clone())
    }

    /// An answer from its fields and their tolerances. Other languages need not know tolerances:
    /// in a check those of the reference hold.
    pub fn from_parts(
        fields: Object<String, Json>,
        tolerances: BTreeMap<String, Tolerance>,
    ) -> Self {
        Self { fields, tolerances }
    }

    /// Its fields and their tolerances.
    pub fn into_parts(self) -> (Object<String, Json>, BTreeMap<String, Tolerance>) {
        (self.fields, self.tolerances)
    }

    /// Checks `found` against this reference.
    ///
    /// # Errors
    /// The first field that differs beyond its tolerance.
    pub fn check(&self, found: &Answer) -> Result<(), Mismatch> {
        let (expected, found) = (self.to_json(), found.to_json());
        self.compare(&mut String::new(), &expected, &found)
    }

    fn compare(&self, at: &mut String, expected: &Json, found: &Json) -> Result<(), Mismatch> {
        match (expected, found) {
            (Json::Object(a), Json::Object(b)) if a.len() == b.len() => {
                for (key, value) in a {
                    let missing = Json::Null;
                    self.descend(at, &escape(key), value, b.get(key).unwrap_or(&missing))?;
                }
                Ok(())
            }
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    self.descend(at, &index.to_string(), a, b)?;
                }
                Ok(())
            }
            (Json::Number(a), Json::Number(b)) if self.numbers_agree(at, a, b) => Ok(()),
            (a, b) if a == b => Ok(()),
            (a, b) => {
                Err(Mismatch { field: at.clone(), expected: abridged(a), found: abridged(b) })
            }
        }
    }

    fn descend(&self, at: &mut String, key: &str, a: &Json, b: &Json) -> Result<(), Mismatch> {
        let length = at.len();
        at.push('/');
        at.push_str(key);
        let result = self.compare(at, a, b);
        at.truncate(length);
        result
    }

    fn numbers_agree(&self, at: &str, a: &serde_json::Number, b: &serde_json::Number) -> bool {
        match (self.tolerances.get(at), a.as_f64(), b.as_f64()) {
            (Some(tolerance), Some(a), Some(b)) => tolerance.allows(a, b),
            _ => a == b,
        }
    }
}

/// One line of JSON.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

/// An integer as answers spell it: a number up to 2^53, a decimal string beyond.
pub fn integer(value: u64) -> Json {
    if value <= EXACT_INTEGER { Json::from(value) } else { Json::String(value.to_string()) }
}

/// A real as answers spell it: a number, or a text where JSON has none.
pub fn real(value: f64) -> Json {
    serde_json::Number::from_f64(value)
        .map_or_else(|| Json::String(value.to_string()), Json::Number)
}

/// A key as JSON pointers spell it (RFC 6901, section 3).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A value short enough for an error message.
fn abridged(value: &Json) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(value: f64, scale: f64) -> Answer {
        Answer::new().count("count", 3).real("sum", value, Tolerance::of_sum(scale))
    }

    #[test]
    fn reals_agree_within_the_scale_of_their_terms_and_counts_exactly() {
        // 1e9 - 1e9 + 1e-3: the terms lose about 1e-7, far more than 1e-9 of the sum.
        assert!(sum(1e-3, 2e9).check(&sum(1.1e-3, 0.0)).is_ok());
        assert!(sum(1e-3, 0.0).check(&sum(1.1e-3, 0.0)).is_err());
        assert!(Answer::new().count("n", 1).check(&Answer::new().count("n", 2)).is_err());
    }

    #[test]
    fn the_references_tolerances_hold_for_answers_from_other_languages() {
        let guest = serde_json::json!({"sum": 1.000_000_000_5, "count": 3});
        let Json::Object(fields) = guest else { unreachable!("an object literal") };
        assert!(sum(1.0, 0.0).check(&Answer::from_parts(fields, BTreeMap::new())).is_ok());
    }

    #[test]
    fn a_mismatch_names_the_field() {
        let a = Answer::new().value("groups", serde_json::json!({"a/b": {"count": 1}}));
        let b = Answer::new().value("groups", serde_json::json!({"a/b": {"count": 2}}));
        let mismatch = a.check(&b).unwrap_err();
        assert_eq!(mismatch.to_string(), "wrong answer: groups/a~1b/count is 2, expected 1");
    }

    #[test]
    fn a_missing_or_an_extra_field_is_a_mismatch() {
        let one = Answer::new().count("n", 1);
        let two = one.clone().count("m", 1);
        assert!(one.check(&two).is_err());
        assert!(two.check(&one).is_err());
    }

    #[test]
    fn integers_beyond_2_to_53_are_decimal_strings() {
        assert_eq!(
            Answer::new().count("n", EXACT_INTEGER).to_string(),
            r#"{"n":9007199254740992}"#
        );
        assert_eq!(
            Answer::new().count("n", u64::MAX).to_string(),
            r#"{"n":"18446744073709551615"}"#
        );
    }

    #[test]
    fn not_a_number_agrees_with_itself_only() {
        assert!(sum(f64::NAN, 0.0).check(&sum(f64::NAN, 0.0)).is_ok());
        assert!(sum(f64::NAN, 0.0).check(&sum(1.0, 0.0)).is_err());
    }
}
