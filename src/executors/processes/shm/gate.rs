//! Where workers wait between phases, and how a phase is handed to them and back.
//!
//! The coordinator writes what a phase is, then [opens](Gate::open) the gate: a Release increment
//! of the generation, which workers load with Acquire, so they see all of it. A worker that is
//! done says so with a Release increment of `finished`; the coordinator's Acquire load of the full
//! count then sees all that the workers wrote, and only after that does it write the next phase.
//! What worker A wrote in one phase is so seen by worker B in the next.

use crossbeam_utils::CachePadded;
#[cfg(manyhands_loom)]
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
#[cfg(not(manyhands_loom))]
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::futex::Futex;

/// Looks before sleeping: some microseconds, about what a futex sleep and its wake-up cost. The
/// coordinator often opens the next phase within that time; were it to spin for longer, a worker
/// would keep a core from the coordinator it waits for, wherever there are as many workers as cores.
const SPINS: usize = if cfg!(manyhands_loom) { 0 } else { 100 };

/// What workers are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Command {
    /// Run the phase.
    Phase = 1,
    /// Answer one message on the socket.
    Listen = 2,
    /// End.
    Stop = 3,
}

/// The gate. All zeroes is a closed one.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Gate {
    generation: CachePadded<Futex>,
    command: AtomicU32,
    finished: CachePadded<AtomicUsize>,
}

impl Gate {
    /// Lets every worker through once. For any command but `Stop`, all must be back from the last.
    pub(super) fn open(&self, command: Command) {
        // Relaxed: both are published by the generation below.
        self.finished.store(0, Ordering::Relaxed);
        self.command.store(command as u32, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        // Always, sleepers or not: knowing would take a fence on both sides, and this is one
        // system call a phase.
        self.generation.wake();
    }

    /// A worker is done with a phase.
    pub(super) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Release);
    }

    /// How many workers are done with the phase.
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Acquire)
    }
}

/// A worker's view of the gate: which opening it saw last.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    gate: &'a Gate,
    seen: u32,
}

impl<'a> Waiter<'a> {
    /// Counts from the first opening there ever was: the only one that can come before this
    /// worker has reported that it is ready is `Stop`, which must not be missed.
    pub(super) fn new(gate: &'a Gate) -> Self {
        Self { gate, seen: 0 }
    }

    /// Waits for the next opening. An opening between the look and the sleep ends the sleep at
    /// once: the kernel compares the generation itself.
    pub(super) fn wait(&mut self) -> Command {
        let mut spins = 0;
        loop {
            let generation = self.gate.generation.load(Ordering::Acquire);
            if generation != self.seen {
                self.seen = generation;
                return self.command();
            }
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                self.gate.generation.wait(generation);
            }
        }
    }

    fn command(&self) -> Command {
        match self.gate.command.load(Ordering::Relaxed) {
            command if command == Command::Phase as u32 => Command::Phase,
            command if command == Command::Listen as u32 => Command::Listen,
            _ => Command::Stop,
        }
    }
}

#[cfg(all(test, manyhands_loom))]
#[allow(unsafe_code)]
mod tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// What one worker and the coordinator write in turn; loom checks that they do.
    struct Shared {
        gate: Gate,
        phase: UnsafeCell<usize>,
        result: UnsafeCell<usize>,
    }

    #[test]
    fn a_phase_and_its_result_are_seen_whole_on_the_other_side() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let gate = Gate {
                generation: CachePadded::new(Futex::new()),
                command: AtomicU32::new(0),
                finished: CachePadded::new(AtomicUsize::new(0)),
            };
            let (phase, result) = (UnsafeCell::new(0), UnsafeCell::new(0));
            let shared = Arc::new(Shared { gate, phase, result });
            let theirs = Arc::clone(&shared);
            let worker = thread::spawn(move || {
                let mut waiter = Waiter::new(&theirs.gate);
                while waiter.wait() == Command::Phase {
                    // SAFETY: the gate hands both to the worker; loom checks it.
                    let phase = theirs.phase.with(|p| unsafe { *p });
                    // SAFETY: as above.
                    theirs.result.with_mut(|r| unsafe { *r = phase * 10 });
                    theirs.gate.finish();
                }
            });
            for step in 1..3 {
                // SAFETY: no worker has the phase; loom checks it.
                shared.phase.with_mut(|p| unsafe { *p = step });
                shared.gate.open(Command::Phase);
                while shared.gate.finished() == 0 {
                    thread::yield_now();
                }
                // SAFETY: the worker has finished; loom checks it.
                assert_eq!(shared.result.with(|r| unsafe { *r }), step * 10);
            }
            shared.gate.open(Command::Stop);
            worker.join().unwrap();
        });
    }
}
