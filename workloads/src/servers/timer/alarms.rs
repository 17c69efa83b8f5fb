//! Alarms in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Completes when the alarm rings, never before its time; with an error when the timer is gone.
pub(crate) type Alarm = oneshot::Receiver<()>;

/// Those that have not rung yet.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<Entry>>,
}

/// An alarm as the timer sees it.
#[derive(Debug)]
pub(super) struct Entry {
    at: Instant,
    bell: oneshot::Sender<()>,
}

impl Alarms {
    /// Adds an alarm, and says whether it is now the next one.
    pub(super) fn add(&mut self, at: Instant) -> (Alarm, bool) {
        let (bell, alarm) = oneshot::channel();
        let next = self.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        self.heap.push(Reverse(Entry { at, bell }));
        (alarm, next)
    }

    /// Moves those whose time has come to `due`.
    pub(super) fn take(&mut self, due: &mut Vec<Entry>) {
        let now = Instant::now();
        while self.heap.peek().is_some_and(|Reverse(first)| first.at <= now) {
            due.extend(self.heap.pop().map(|Reverse(entry)| entry));
        }
    }

    /// How long it is until the next one.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(first)| first.at.saturating_duration_since(Instant::now()))
    }
}

impl Entry {
    /// Rings. A connection that went away no longer listens.
    pub(super) fn ring(self) {
        let _ = self.bell.send(());
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
