//! Workloads of kind `overhead`: what a concurrency model itself costs.

use manyhands_contract::Catalogue;

pub mod spin;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<spin::Spin>()
}
