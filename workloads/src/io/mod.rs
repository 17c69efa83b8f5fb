//! Workloads of kind `io`.

use manyhands_contract::Catalogue;

pub mod downloads;
pub mod fetch;
pub mod files;
pub mod http;
pub mod ingest;
pub mod sleep;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<sleep::Sleep>()
        .with::<fetch::Fetch>()
        .with::<files::Files>()
        .with::<ingest::Ingest>()
}
