//! Waiting with more precision than tokio's own timer, which rounds up to whole milliseconds: a
//! fifth of a delay of five.
//!
//! One thread sleeps until the next alarm (the kernel wakes it within tens of microseconds) and
//! rings whoever waits for it. A timerfd that the runtime watches beside its sockets would spare a
//! request the visit to another thread; it was tried on two busy cores with a thousand requests in
//! flight, took as much of the processors, and served a fifth to a half fewer requests a second. A
//! thread also compiles everywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// Rings alarms at their time; its thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Timer {
    shared: Arc<Shared>,
}

/// Completes when the alarm rings, never before its time; with an error when the timer is gone.
pub(super) type Alarm = oneshot::Receiver<()>;

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when the next alarm is another one, and when the timer is dropped.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    alarms: BinaryHeap<Reverse<Entry>>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    bell: oneshot::Sender<()>,
}

impl Timer {
    /// Starts the timer's thread.
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let timer = Self { shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("timer".to_owned()).spawn(move || ring(&shared))?;
        Ok(timer)
    }

    /// An alarm at a point in time.
    pub(super) fn at(&self, at: Instant) -> Alarm {
        let (bell, alarm) = oneshot::channel();
        let mut state = self.shared.lock();
        let next = state.alarms.peek().is_none_or(|Reverse(first)| at < first.at);
        state.alarms.push(Reverse(Entry { at, bell }));
        drop(state);
        if next {
            self.shared.changed.notify_one();
        }
        alarm
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    /// Nothing panics while the lock is held, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The timer's thread.
fn ring(shared: &Shared) {
    wake_promptly();
    let mut due = Vec::new();
    while wait(shared, &mut due) {
        // Rung outside the lock: a woken task may set its next alarm at once.
        for Entry { bell, .. } in due.drain(..) {
            // A connection that went away no longer listens.
            let _ = bell.send(());
        }
    }
}

/// Waits until alarms are due and takes them; false when the timer is closed.
fn wait(shared: &Shared, due: &mut Vec<Entry>) -> bool {
    let mut state = shared.lock();
    while !state.closed {
        let now = Instant::now();
        while state.alarms.peek().is_some_and(|Reverse(first)| first.at <= now) {
            due.extend(state.alarms.pop().map(|Reverse(entry)| entry));
        }
        if !due.is_empty() {
            return true;
        }
        let pause = state.alarms.peek().map(|Reverse(first)| first.at.duration_since(now));
        state = match pause {
            Some(pause) => {
                let waited = shared.changed.wait_timeout(state, pause);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
    false
}

/// Asks the kernel not to hold this thread's wake-ups back by the usual 50 microseconds, in which
/// it gathers several. Refused, delays are that much longer: not an error.
#[cfg(target_os = "linux")]
fn wake_promptly() {
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

#[cfg(not(target_os = "linux"))]
fn wake_promptly() {}

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn alarms_ring_in_order_of_time_and_never_early() {
        let timer = Timer::start().expect("a thread");
        let begin = Instant::now();
        let late = timer.at(begin + Duration::from_millis(6));
        let mut early = timer.at(begin + Duration::from_millis(3));
        late.blocking_recv().expect("rung");
        assert!(begin.elapsed() >= Duration::from_millis(6));
        early.try_recv().expect("the earlier one rang before, though it was set after");
    }

    #[test]
    fn an_alarm_in_the_past_rings_at_once_and_a_dropped_timer_lets_go() {
        let timer = Timer::start().expect("a thread");
        timer.at(Instant::now()).blocking_recv().expect("rung");
        let never = timer.at(Instant::now() + Duration::from_secs(3600));
        drop(timer);
        assert!(never.blocking_recv().is_err());
    }
}
