//! From a record to what people see.
//!
//! Everything here is made from a [`Record`] alone, and, where they are at hand, from the events of
//! its traced launches. What can be said of the numbers was decided in
//! `manyhands_record`: this crate draws and writes, and computes no statistics.
//!
//! - [`html`]: one self-contained page, for a browser without network or script;
//! - [`terminal`]: the table that is printed after a run;
//! - [`markdown`]: the same for a pull request.

mod backend;
mod charts;
mod escape;
mod formats;
mod granularity;
mod units;
mod view;

use std::collections::BTreeMap;
use std::fmt;

use manyhands_record::trace::Event;
use manyhands_record::{Launch, Mode, Record, groups};

pub use formats::terminal::Style;

/// The events of traced launches, by the launch's [`sequence`](manyhands_record::Launch::sequence).
pub type Traces = BTreeMap<u32, Vec<Event>>;

/// A page that is larger makes browsers slow, and mail servers refuse it.
const LIMIT: usize = 8 * 1024 * 1024;

/// The report as one HTML page. It loads nothing, runs nothing and needs no other file.
///
/// # Errors
/// When the page is larger than 8 MiB; [`html_of_any_size`] makes it all the same.
pub fn html(record: &Record) -> Result<String, ReportError> {
    html_with_traces(record, &Traces::new())
}

/// As [`html`], with a timeline of lanes for the launches whose events are given. The others are
/// shown without: what a trace comes to is in the record.
///
/// # Errors
/// As [`html`].
pub fn html_with_traces(record: &Record, traces: &Traces) -> Result<String, ReportError> {
    let page = formats::html::page(record, traces);
    if page.len() > LIMIT {
        return Err(ReportError::TooLarge { bytes: page.len(), limit: LIMIT });
    }
    Ok(page)
}

/// The traced launches whose timelines [`html_with_traces`] draws: no others need to be read.
pub fn timelines(record: &Record) -> Vec<&Launch> {
    let groups = groups(record);
    let cells = groups.iter().flat_map(|group| {
        view::timelines(group).into_iter().map(|at| group.cells[at].cell).collect::<Vec<_>>()
    });
    let traced = |launch: &&Launch| launch.trace.is_some();
    cells.filter_map(|cell| cell.sound_launches(Mode::Trace).find(traced)).collect()
}

/// As [`html`], for those who know what they ask for.
pub fn html_of_any_size(record: &Record) -> String {
    formats::html::page(record, &Traces::new())
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
    /// The page is longer than a browser shows with ease.
    TooLarge {
        /// Its length.
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
                "the report is {bytes} bytes long, and browsers slow down above {limit}: \
                 report fewer workloads or executors at a time"
            ),
        }
    }
}

impl std::error::Error for ReportError {}
