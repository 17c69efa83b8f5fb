//! What a chunk folds its rows into: an aggregate per group.

use manyhands_contract::answer::{Tolerance, escape, integer, real};
use manyhands_contract::{Answer, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value as Json};

use crate::keys::Keys;

/// The aggregates of some rows, by group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Groups {
    rows: u64,
    invalid: u64,
    keys: Keys,
    /// By the key's number.
    aggregates: Vec<Aggregate>,
    /// The number of the group met last: neighbouring rows are often of one group.
    #[serde(skip)]
    last: usize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Aggregate {
    count: u64,
    sum: f64,
    /// The sum of the terms' sizes, which says how far two sums in different order may differ.
    scale: f64,
    min: f64,
    max: f64,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, scale: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Aggregate {
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.scale += value.abs();
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn merge(&mut self, other: &Aggregate) {
        self.count += other.count;
        self.sum += other.sum;
        self.scale += other.scale;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// What a row has in the aggregated column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    /// Counted in `rows` only.
    Missing,
    /// Not a number, and to be skipped: counted in `rows` and `invalid`.
    Invalid,
}

/// A group key that is not UTF-8, which an answer could not spell.
#[derive(Debug)]
pub(super) struct NotText;

impl Groups {
    /// Counts one row.
    #[inline]
    pub(super) fn add(&mut self, key: &[u8], cell: Cell) -> Result<(), NotText> {
        self.rows += 1;
        let group = self.group(key)?;
        match cell {
            Cell::Number(value) => self.aggregates[group].add(value),
            Cell::Missing => {}
            Cell::Invalid => self.invalid += 1,
        }
        Ok(())
    }

    #[inline]
    fn group(&mut self, key: &[u8]) -> Result<usize, NotText> {
        if self.last < self.keys.len() && self.keys.get(self.last) == key {
            return Ok(self.last);
        }
        self.last = self.keys.index(key);
        if self.last == self.aggregates.len() {
            // Once per group, not per row.
            std::str::from_utf8(key).map_err(|_| NotText)?;
            self.aggregates.push(Aggregate::default());
        }
        Ok(self.last)
    }

    /// Adds the groups of later rows.
    pub(super) fn merge(&mut self, right: Groups) {
        self.rows += right.rows;
        self.invalid += right.invalid;
        for (key, aggregate) in right.keys.iter().zip(&right.aggregates) {
            let index = self.keys.index(key);
            match self.aggregates.get_mut(index) {
                Some(mine) => mine.merge(aggregate),
                None => self.aggregates.push(*aggregate),
            }
        }
    }

    /// The answer; `invalid` is in it when invalid cells were to be skipped.
    pub(super) fn answer(&self, skipped: bool) -> Result<Answer, TaskError> {
        let mut order: Vec<_> = (0..self.keys.len()).collect();
        order.sort_unstable_by_key(|index| self.keys.get(*index));
        let (mut groups, mut tolerances) = (Object::new(), Vec::new());
        for index in order {
            let key = std::str::from_utf8(self.keys.get(index)).map_err(TaskError::new)?;
            let aggregate = &self.aggregates[index];
            groups.insert(key.to_owned(), aggregate.to_json());
            tolerances.extend(aggregate.tolerances(key));
        }
        let mut answer = Answer::new().value("groups", groups.into()).count("rows", self.rows);
        if skipped {
            answer = answer.count("invalid", self.invalid);
        }
        Ok(tolerances.into_iter().fold(answer, |answer, (at, by)| answer.tolerate(&at, by)))
    }
}

impl Aggregate {
    /// A group without numbers has a sum (of nothing) but no mean, least or greatest.
    fn to_json(self) -> Json {
        let if_any = |value: f64| if self.count == 0 { Json::Null } else { real(value) };
        let mut json = Object::new();
        json.insert("count".into(), integer(self.count));
        json.insert("sum".into(), real(self.sum));
        json.insert("mean".into(), if_any(self.sum / self.count as f64));
        json.insert("min".into(), if_any(self.min));
        json.insert("max".into(), if_any(self.max));
        json.into()
    }

    fn tolerances(self, key: &str) -> [(String, Tolerance); 4] {
        let count = self.count.max(1) as f64;
        let scales =
            [("sum", self.scale), ("mean", self.scale / count), ("min", 0.0), ("max", 0.0)];
        scales.map(|(field, scale)| {
            (format!("/groups/{}/{field}", escape(key)), Tolerance::of_sum(scale))
        })
    }
}
