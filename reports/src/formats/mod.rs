//! What a record can be turned into: one file, or folder, per format.

mod granularity;
pub(crate) mod html;
pub(crate) mod markdown;
pub(crate) mod terminal;
