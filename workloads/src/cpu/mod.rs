//! Workloads of kind `cpu`.

use manyhands_contract::Catalogue;

pub mod csv;
pub mod hash;
pub mod mandelbrot;
pub mod primes;
pub mod risk;
pub mod squares;
pub mod wordcount;

/// Adds them to a catalogue.
pub(crate) fn add(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<squares::Squares>()
        .with::<primes::Primes>()
        .with::<mandelbrot::Mandelbrot>()
        .with::<csv::Csv>()
        .with::<wordcount::WordCount>()
        .with::<hash::Hash>()
        .with::<risk::Risk>()
}
