//! Reading and writing `record.json`.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Record;
use crate::schema::SCHEMA;

/// The record's name in the folder of its run.
pub const FILE_NAME: &str = "record.json";

/// Why a record cannot be used. Each is one line that ends in what to do.
#[derive(Debug)]
pub enum RecordError {
    /// The file could not be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is of another version of the schema, or no record at all.
    Schema {
        /// What its `schema` says; absent where there is none.
        found: Option<String>,
    },
    /// It is of the right version, but damaged.
    Damaged {
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// One of these, in a file.
    In {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<RecordError>,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(
                f,
                "cannot read {}: {source}; give the {FILE_NAME} of a run, or the folder it is in",
                path.display()
            ),
            Self::Schema { found: Some(found) } => write!(
                f,
                "the record's schema is {found:?}, and this program reads {SCHEMA:?}; use the \
                 version of manyhands that wrote it, or measure again"
            ),
            Self::Schema { found: None } => write!(
                f,
                "this is no record: it has no \"schema\", which would be {SCHEMA:?}; give the \
                 {FILE_NAME} of a run"
            ),
            Self::Damaged { source } => write!(
                f,
                "the record is damaged: {source}; rebuild it from its journal, or measure again"
            ),
            Self::In { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

// The messages hold their causes already, so there is no source() that would say them twice.
impl Error for RecordError {}

impl Record {
    /// Reads a record from its file, or from the folder of its run.
    ///
    /// # Errors
    /// If the file cannot be read, is of another schema or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_json(&text)
                .map_err(|source| RecordError::In { path, source: Box::new(source) }),
            Err(source) => Err(RecordError::Unreadable { path, source }),
        }
    }

    /// Reads a record from its text.
    ///
    /// # Errors
    /// If it is of another schema or damaged.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        match serde_json::from_str::<Self>(text) {
            Ok(record) if record.header.schema == SCHEMA => Ok(record),
            Ok(record) => Err(RecordError::Schema { found: Some(record.header.schema) }),
            // Another version is likely to look different: asked only now, because a second look
            // at a large file takes time that a good one need not spend.
            Err(source) => Err(why(text, source)),
        }
    }

    /// The record's text: compact JSON in one line, with a newline at its end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string(self);
        text.expect("a record's keys are strings, and no part of it refuses to be written") + "\n"
    }
}

/// Why the text of a record could not be read: its schema, if that is another one.
fn why(text: &str, source: serde_json::Error) -> RecordError {
    #[derive(Deserialize)]
    struct Versioned {
        schema: Option<serde_json::Value>,
    }
    let as_text =
        |value: serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
    match serde_json::from_str(text).map(|Versioned { schema }| schema.map(as_text)) {
        Ok(Some(found)) if found == SCHEMA => RecordError::Damaged { source },
        Ok(found) => RecordError::Schema { found },
        Err(_) => RecordError::Damaged { source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{memory, record, timed};

    #[test]
    fn what_was_written_is_read_again() {
        let mut cell = timed("threads", &[1_000, 1_001]);
        cell.launches.push(memory(1, 2));
        let mut record = record(vec![cell]);
        record.header.machine.load = Some(0.1 + 0.2);
        record.header.budget_ns = Some(u64::MAX);
        let text = record.to_json();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(Record::from_json(&text).unwrap(), record);
    }

    fn error(text: &str) -> String {
        Record::from_json(text).unwrap_err().to_string()
    }

    #[test]
    fn another_schema_is_named_with_the_one_that_is_supported() {
        let expected = "the record's schema is \"manyhands/record/2\", and this program reads \
                        \"manyhands/record/1\"; use the version of manyhands that wrote it, or \
                        measure again";
        assert_eq!(error(r#"{"schema": "manyhands/record/2", "rows": []}"#), expected);
        let newer = record(vec![]).to_json().replace("record/1", "record/2");
        assert_eq!(error(&newer), expected);
        assert!(error(r#"{"schema": 7}"#).starts_with("the record's schema is \"7\""));
    }

    #[test]
    fn what_is_no_record_or_a_damaged_one_is_told_in_one_line() {
        assert!(error("{}").starts_with("this is no record"));
        assert!(error("").starts_with("the record is damaged: EOF"));
        let text = record(vec![timed("threads", &[1])]).to_json();
        assert!(error(&text[..text.len() / 2]).starts_with("the record is damaged: EOF"));
        assert!(error(&text.replace("\"workers\":2", "\"workers\":-2")).contains("damaged"));
        assert!(!error("[1").contains('\n'));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Record::read("/nowhere/record.json").unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/record.json: No such file"), "{error}");
    }
}
