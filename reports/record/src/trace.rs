//! What single tasks did, as a traced launch keeps it beside the record.

/// One task of a traced sample. Times are nanoseconds since the sample's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event {
    /// The task's number within its phase.
    pub task: u64,
    /// Its phase, from 0.
    pub phase: u32,
    /// The process that ran it, from 0.
    pub process: u32,
    /// The place for one task at a time, within its process.
    pub lane: u32,
    /// When it started.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How long it had waited for its start.
    pub queued_ns: u64,
}
