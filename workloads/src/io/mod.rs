//! Workloads of kind `io`.

use manyhands_contract::Catalogue;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue
}
