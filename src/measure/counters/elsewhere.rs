//! Systems without `perf_event_open`.

use super::Counts;

const REASON: &str = "counting events needs Linux's perf_event_open";

/// Nothing can be attached here.
#[derive(Debug)]
pub struct Counters(());

impl Counters {
    /// Attaches nothing.
    ///
    /// # Errors
    /// Always.
    pub fn attach(_processes: &[u32]) -> Result<Self, String> {
        Err(REASON.to_owned())
    }

    /// What was counted: nothing.
    pub fn detach(self) -> Counts {
        Counts::default()
    }
}

/// Why there are no hardware counters.
pub fn unavailable() -> Option<String> {
    Some(REASON.to_owned())
}
