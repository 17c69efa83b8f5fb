//! Workloads of kind `io`.

use manyhands_contract::Catalogue;

pub mod files;
pub mod sleep;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<sleep::Sleep>().with::<files::Files>()
}
