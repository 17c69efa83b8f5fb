//! Who holds what and who waits for what, as the tasks themselves declare it.
//!
//! A task declares that it holds a lock after it has got it, and that it does not any more before
//! it gives it back; it declares that it waits before it does, and takes that back after. So
//! whoever is said to hold a lock does hold it, and a task that is said to wait for that lock
//! cannot have got it: a circle of declarations is a circle of locks, however late each of them
//! came, and no second look is needed.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard};

use tokio::sync::Notify;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    A,
    B,
}

impl Lock {
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "lock A",
            Self::B => "lock B",
        })
    }
}

/// What one worker declares.
#[derive(Debug, Clone, Copy, Default)]
struct Declared {
    holds: [bool; 2],
    waits: Option<Lock>,
}

#[derive(Debug, Default)]
struct State {
    workers: Vec<Declared>,
    /// Tasks that have ended, well or not.
    ended: usize,
    waits: u64,
}

/// The graph, and a bell that rings when there is a reason to look at it.
#[derive(Debug)]
pub(super) struct Graph {
    state: Mutex<State>,
    /// For a watchdog that is a thread.
    changed: Condvar,
    /// For one that is a future.
    changed_async: Notify,
    tasks: usize,
}

/// What a watchdog waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All tasks have ended.
    Ended,
    /// Who waits for whom, in words.
    Cycle(String),
}

impl Graph {
    pub(super) fn new(workers: usize, tasks: usize) -> Self {
        let state = State { workers: vec![Declared::default(); workers], ..State::default() };
        let (changed, changed_async) = (Condvar::new(), Notify::new());
        Self { state: Mutex::new(state), changed, changed_async, tasks }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it locked")
    }

    fn ring(&self) {
        self.changed.notify_all();
        self.changed_async.notify_one();
    }

    /// It has got the lock.
    pub(super) fn holds(&self, worker: usize, lock: Lock) {
        let mut state = self.lock();
        state.workers[worker].waits = None;
        state.workers[worker].holds[lock.index()] = true;
    }

    /// It will give the lock back.
    pub(super) fn releases(&self, worker: usize, lock: Lock) {
        self.lock().workers[worker].holds[lock.index()] = false;
    }

    /// It did not get the lock at once and will wait for it.
    pub(super) fn waits(&self, worker: usize, lock: Lock) {
        let mut state = self.lock();
        state.workers[worker].waits = Some(lock);
        state.waits += 1;
        drop(state);
        self.ring();
    }

    /// A task has ended.
    pub(super) fn ends(&self) {
        self.lock().ended += 1;
        self.ring();
    }

    /// How often a lock was not free.
    pub(super) fn contended(&self) -> u64 {
        self.lock().waits
    }

    /// The watchdog, as a thread.
    pub(super) fn watch(&self) -> Outcome {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = self.outcome(&state) {
                return outcome;
            }
            state = self.changed.wait(state).expect("nobody panics with it locked");
        }
    }

    /// The watchdog, as a future. The bell keeps one ring for who comes late.
    pub(super) async fn watch_async(&self) -> Outcome {
        loop {
            let outcome = self.outcome(&self.lock());
            match outcome {
                Some(outcome) => return outcome,
                None => self.changed_async.notified().await,
            }
        }
    }

    fn outcome(&self, state: &State) -> Option<Outcome> {
        if state.ended == self.tasks {
            return Some(Outcome::Ended);
        }
        cycle(&state.workers).map(|members| Outcome::Cycle(in_words(&members, &state.workers)))
    }
}

/// Workers of which each waits for a lock that the next one holds, the last for one of the first.
fn cycle(workers: &[Declared]) -> Option<Vec<usize>> {
    let holder = |lock: Lock| workers.iter().position(|worker| worker.holds[lock.index()]);
    (0..workers.len()).find_map(|first| {
        let mut members = vec![first];
        loop {
            let next = holder(workers[*members.last()?].waits?)?;
            if next == first {
                return Some(members);
            }
            // A circle that `first` only leads to is found from one of its own members.
            if members.contains(&next) {
                return None;
            }
            members.push(next);
        }
    })
}

fn in_words(members: &[usize], workers: &[Declared]) -> String {
    let sentence = |worker: &usize| {
        let Declared { holds, waits } = workers[*worker];
        let held = [Lock::A, Lock::B].into_iter().filter(|lock| holds[lock.index()]);
        let held: Vec<_> = held.map(|lock| lock.to_string()).collect();
        let waits = waits.map_or(String::new(), |lock| format!(" and waits for {lock}"));
        format!("worker {worker} holds {}{waits}", held.join(" and "))
    };
    members.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(holds: [bool; 2], waits: Option<Lock>) -> Declared {
        Declared { holds, waits }
    }

    #[test]
    fn a_circle_of_two_is_found_and_told() {
        let workers = [worker([true, false], Some(Lock::B)), worker([false, true], Some(Lock::A))];
        let members = cycle(&workers).expect("a circle");
        let expected = "worker 0 holds lock A and waits for lock B; worker 1 holds lock B and \
                        waits for lock A";
        assert_eq!(in_words(&members, &workers), expected);
    }

    #[test]
    fn waiting_alone_is_no_circle() {
        let nobody = worker([false, false], None);
        let waits_for_a = worker([false, false], Some(Lock::A));
        assert_eq!(cycle(&[worker([true, true], None), waits_for_a]), None);
        assert_eq!(cycle(&[nobody, waits_for_a]), None);
        assert_eq!(cycle(&[]), None);
    }

    #[test]
    fn who_waits_for_a_circle_is_no_member_of_it() {
        let workers = [
            worker([false, false], Some(Lock::A)),
            worker([true, false], Some(Lock::B)),
            worker([false, true], Some(Lock::A)),
        ];
        assert_eq!(cycle(&workers), Some(vec![1, 2]));
        // Whoever waits for a lock of its own, as with a lock that cannot be taken twice.
        assert_eq!(cycle(&[worker([true, false], Some(Lock::A))]), Some(vec![0]));
    }

    #[test]
    fn the_watchdog_tells_an_end_from_a_circle() {
        let graph = Graph::new(2, 1);
        graph.holds(0, Lock::A);
        graph.ends();
        assert_eq!(graph.watch(), Outcome::Ended);
        let graph = Graph::new(2, 2);
        graph.holds(0, Lock::A);
        graph.holds(1, Lock::B);
        graph.waits(0, Lock::B);
        graph.waits(1, Lock::A);
        assert!(matches!(graph.watch(), Outcome::Cycle(_)));
        assert_eq!(graph.contended(), 2);
    }
}
