//! From a record to what people see.
//!
//! Everything here is made from a [`Record`] alone. What can be said of the numbers was decided in
//! `manyhands_record`: this crate draws and writes, and computes no statistics.
//!
//! - [`html`]: one self-contained page, for a browser without network or script;
//! - [`terminal`]: the table that is printed after a run;
//! - [`markdown`]: the same for a pull request.

mod backend;
mod charts;
mod escape;
mod formats;
mod units;
mod view;

use std::fmt;

use manyhands_record::Record;

pub use formats::terminal::Style;

/// The report as one HTML page. It loads nothing, runs nothing and needs no other file.
///
/// # Errors
/// When the page would be larger than a browser can be trusted with.
pub fn html(record: &Record) -> Result<String, ReportError> {
    formats::html::page(record)
}

/// The table that is printed after a run, at most 100 columns wide.
pub fn terminal(record: &Record, style: Style) -> String {
    formats::terminal::table(record, style)
}

/// The table in GitHub's Markdown.
pub fn markdown(record: &Record) -> String {
    formats::markdown::document(record)
}

/// Why there is no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReportError {
    /// The page would be this many bytes long.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => write!(
                f,
                "the report would be {bytes} bytes long, and {limit} are allowed: \
                 report fewer workloads or executors at a time"
            ),
        }
    }
}

impl std::error::Error for ReportError {}
