//! Open loop: tasks fall due at a rate of their own, whether workers are free or not.
//!
//! In a closed loop a slow answer holds up the requests after it, which are then sent late and
//! never counted as late: *coordinated omission* (Gil Tene, "How NOT to Measure Latency", 2015).
//! Here task i is due at its phase's start + i / rate. Who takes it before that waits; who takes it
//! later has kept it waiting, and that counts: latency is timed from when it was due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use manyhands_contract::Mark;

use super::clock::now_ns;

/// When tasks are due.
#[derive(Debug)]
pub(super) struct Pace {
    rate: NonZeroU32,
    /// Started by the first future that waits: threads and processes do without, and must, where
    /// they fork.
    alarm: OnceLock<Alarm>,
}

impl Pace {
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self { rate, alarm: OnceLock::new() }
    }

    pub(super) fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// When a task of a phase is due.
    pub(super) fn due_ns(&self, mark: Mark, task: usize) -> u64 {
        let after = task as u128 * 1_000_000_000 / u128::from(self.rate.get());
        mark.began_ns.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// Waits without keeping a thread, and gives the time that it waited.
    pub(super) fn until(&self, due_ns: u64) -> Until<'_> {
        Until { pace: self, due_ns, came_ns: now_ns(), known: None }
    }
}

/// Waits until the moment has come, and gives the time that it waited.
pub(super) fn wait_until(due_ns: u64) -> u64 {
    let came_ns = now_ns();
    let early = due_ns.saturating_sub(came_ns);
    if early > 0 {
        promptly(|| thread::sleep(Duration::from_nanos(early)));
    }
    now_ns().saturating_sub(came_ns)
}

/// Has the kernel wake this thread on time: by default it may be 50 us late, which would be counted
/// as a delay of every task. The thread's own sleeping, in tasks, stays as it is.
fn promptly<T>(sleep: impl FnOnce() -> T) -> T {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::set_current_timer_slack;
        // What fails leaves the thread as late as it was.
        let _ = set_current_timer_slack(Some(std::num::NonZeroU64::MIN));
        let slept = sleep();
        let _ = set_current_timer_slack(None);
        slept
    }
    #[cfg(not(target_os = "linux"))]
    sleep()
}

/// A future of the moment when a task is due.
#[derive(Debug)]
pub(super) struct Until<'a> {
    pace: &'a Pace,
    due_ns: u64,
    came_ns: u64,
    /// Whom the alarm will wake.
    known: Option<Waker>,
}

impl Future for Until<'_> {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u64> {
        let now_ns = now_ns();
        if now_ns >= self.due_ns {
            return Poll::Ready(now_ns - self.came_ns);
        }
        if !self.known.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            let waker = context.waker().clone();
            self.known = Some(waker.clone());
            self.pace.alarm.get_or_init(Alarm::start).set(self.due_ns, waker);
        }
        Poll::Pending
    }
}

/// A thread that wakes futures on time. tokio's own timer counts in milliseconds, and each task
/// would be late by up to one.
#[derive(Debug)]
struct Alarm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told of every alarm that is earlier than all others, and of the end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    alarms: BinaryHeap<Reverse<Entry>>,
    over: bool,
}

#[derive(Debug)]
struct Entry {
    due_ns: u64,
    waker: Waker,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due_ns == other.due_ns
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
        self.due_ns.cmp(&other.due_ns)
    }
}

impl Alarm {
    fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let spawned =
            thread::Builder::new().name("alarm".to_owned()).spawn(move || promptly(|| ring(&own)));
        // A machine without room for one more thread fails the cell, by the panic's message.
        let thread = Some(spawned.expect("a thread that wakes tasks when they are due"));
        Self { shared, thread }
    }

    fn set(&self, due_ns: u64, waker: Waker) {
        let mut queue = self.shared.queue();
        let first = queue.alarms.peek().is_none_or(|Reverse(entry)| due_ns < entry.due_ns);
        queue.alarms.push(Reverse(Entry { due_ns, waker }));
        if first {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it cannot panic but by a waker's fault
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The alarm's life: wakes who is due, sleeps until the next one is.
fn ring(shared: &Shared) {
    let mut queue = shared.queue();
    while !queue.over {
        let now_ns = now_ns();
        match queue.alarms.peek().map(|Reverse(entry)| entry.due_ns) {
            None => {
                queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            Some(due_ns) if due_ns > now_ns => {
                let early = Duration::from_nanos(due_ns - now_ns);
                let waited = shared.changed.wait_timeout(queue, early);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(_) => {
                let due = queue.alarms.pop();
                // Who is woken may set another alarm at once.
                drop(queue);
                due.into_iter().for_each(|Reverse(entry)| entry.waker.wake());
                queue = shared.queue();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Pace {
        Pace::new(NonZeroU32::new(per_second).expect("positive"))
    }

    #[test]
    fn tasks_are_due_at_even_steps_from_their_phases_start() {
        let mark = Mark { phase: 3, began_ns: 1_000 };
        assert_eq!(rate(1_000_000).due_ns(mark, 0), 1_000);
        assert_eq!(rate(1_000_000).due_ns(mark, 7), 8_000);
        assert_eq!(rate(3).due_ns(mark, 10), 1_000 + 3_333_333_333);
        assert_eq!(rate(1).due_ns(mark, usize::MAX), u64::MAX);
    }

    #[test]
    fn nobody_gets_past_before_the_moment() {
        let due_ns = now_ns() + 3_000_000;
        let waited = wait_until(due_ns);
        assert!(now_ns() >= due_ns && waited > 0);
        let late = due_ns - 1;
        assert!(wait_until(late) < due_ns, "who is late does not wait");
    }

    #[test]
    fn futures_are_woken_in_any_order_of_their_moments() {
        let (pace, now) = (Arc::new(rate(1)), now_ns());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let wait = |due_ns: u64| {
            let pace = Arc::clone(&pace);
            runtime.spawn(async move {
                pace.until(due_ns).await;
                (due_ns, now_ns())
            })
        };
        let waits: Vec<_> = [9, 2, 5, 0, 7].map(|ms| wait(now + ms * 1_000_000)).into();
        let woken: Vec<_> = runtime.block_on(async {
            let mut woken = Vec::new();
            for wait in waits {
                woken.push(wait.await.expect("it only waits"));
            }
            woken
        });
        assert_eq!(woken.len(), 5);
        assert!(woken.iter().all(|(due_ns, at_ns)| at_ns >= due_ns), "{woken:?}");
    }
}
