//! The timer for systems without timerfd: a thread of its own sleeps until the next alarm.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::alarms::{Alarm, Alarms, Entry};

/// Rings alarms at their time; its thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when the next alarm is another one, and when the timer is dropped.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    alarms: Alarms,
    closed: bool,
}

impl Timer {
    /// Starts the timer's thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let timer = Self { shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("timer".to_owned()).spawn(move || ring(&shared))?;
        Ok(timer)
    }

    /// An alarm at a point in time.
    pub(crate) fn at(&self, at: Instant) -> Alarm {
        let (alarm, next) = self.shared.lock().alarms.add(at);
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
    let mut due = Vec::new();
    while wait(shared, &mut due) {
        // Rung outside the lock: a woken task may set its next alarm at once.
        due.drain(..).for_each(Entry::ring);
    }
}

/// Waits until alarms are due and takes them; false when the timer is closed.
fn wait(shared: &Shared, due: &mut Vec<Entry>) -> bool {
    let mut state = shared.lock();
    while !state.closed {
        state.alarms.take(due);
        if !due.is_empty() {
            return true;
        }
        state = match state.alarms.pause() {
            Some(pause) => {
                let waited = shared.changed.wait_timeout(state, pause);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
    false
}
