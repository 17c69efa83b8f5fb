//! manyhands.
