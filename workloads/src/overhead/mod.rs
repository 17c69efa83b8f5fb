//! Workloads of kind `overhead`: what a concurrency model itself costs.

use manyhands_contract::Catalogue;

pub mod contention;
mod crew;
pub mod false_sharing;
pub mod imbalance;
pub mod payload;
pub mod race;
mod shared;
pub mod spin;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<spin::Patterned>()
        .with::<imbalance::Imbalance>()
        .with::<payload::Payload>()
        .with_probe::<contention::Contention>()
        .with_probe::<race::Race>()
        .with_probe::<false_sharing::FalseSharing>()
}
