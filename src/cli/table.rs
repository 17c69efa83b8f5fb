//! The comparison on the terminal.

use manyhands_record::Record;

/// The table that `reports` draws.
#[cfg(feature = "reports")]
pub(super) fn table(record: &Record, colour: bool) -> String {
    manyhands_reports::terminal(record, manyhands_reports::Style { color: colour })
}

/// Without `reports`, the sentence of each workload.
#[cfg(not(feature = "reports"))]
pub(super) fn table(record: &Record, _colour: bool) -> String {
    manyhands_record::groups(record)
        .iter()
        .filter_map(manyhands_record::sentence::sentence)
        .map(|sentence| sentence + "\n")
        .collect()
}
