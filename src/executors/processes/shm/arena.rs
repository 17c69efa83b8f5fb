//! Where everything is in the stretch of shared memory that coordinator and workers talk through.
//!
//! This is one of the few modules with `unsafe`. The argument, once for all of it: the stretch is
//! page-aligned, zeroed, as long as [`len`] says and mapped as long as the [`Arena`] lives; the
//! types viewed in it consist of atomics, of which all zeroes is a valid value, and are only ever
//! shared, never viewed as exclusive; plain bytes are copied in and out through raw pointers under
//! the protocols of [`gate`](super::gate) and [`ring`](super::ring). Both sides are the same
//! program, so layouts agree. That another process keeps to the protocol is beyond Rust's model
//! and rests on its running the same code.
#![allow(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crossbeam_utils::CachePadded;
#[cfg(manyhands_loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use manyhands_contract::storage::Mapping;
use manyhands_contract::{InputError, Storage};
use manyhands_record::{Failure, FailureKind};
#[cfg(not(manyhands_loom))]
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::super::super::failed;
use super::super::frames::ArenaPlace;
use super::gate::{Command, Gate};
use super::ring::{Bytes, Consumer, Header, Producer};

/// Bytes of each worker's ring: some thousands of small results, so that a worker runs on while
/// the coordinator is off its core, and few enough for both to find them in their cores' caches.
const RING: usize = 256 * 1024;

/// Room for a phase, which is small by contract. Pages that are never touched cost nothing.
const PHASE: usize = 1024 * 1024;

/// Parts begin on pages.
const PAGE: usize = 4096;

/// A view of the arena.
#[derive(Debug)]
pub(in super::super) struct Arena {
    mapping: Arc<Mapping>,
    workers: usize,
}

/// What all share. It is followed by the phase's bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Control {
    mark: AtomicU64,
    pub(super) gate: Gate,
    /// Set when a sample has failed: workers look at it before each chunk.
    abandoned: AtomicU32,
    tasks: AtomicUsize,
    chunk: AtomicUsize,
    phase_len: AtomicUsize,
    /// The next chunk to be taken. On a line of its own: every worker writes it for every chunk.
    next: CachePadded<AtomicUsize>,
}

/// What one worker and the coordinator share. It is followed by the ring's bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Seat {
    pub(super) ring: Header,
    /// One more than the number of the chunk that runs, for the coordinator to name it should
    /// the worker die; 0 when none does.
    running: CachePadded<AtomicUsize>,
}

const PHASE_AT: usize = size_of::<Control>().next_multiple_of(PAGE);
const SEATS_AT: usize = PHASE_AT + PHASE;
const RING_AT: usize = size_of::<Seat>().next_multiple_of(PAGE);
const SEAT: usize = RING_AT + RING;

fn len(workers: usize) -> usize {
    SEATS_AT + workers * SEAT
}

impl Arena {
    /// Makes an arena behind the buffers of a prepared workload.
    pub(super) fn make(storage: &Storage, workers: usize) -> Result<Self, InputError> {
        let arena = Self { mapping: storage.reserve(len(workers))?, workers };
        // Any number that another stretch of memory is unlikely to hold. Relaxed, here and
        // below: published by the exec of the workers.
        arena.control().mark.store(RandomState::new().hash_one(workers) | 1, Ordering::Relaxed);
        Ok(arena)
    }

    /// Finds the arena that the coordinator made, behind the same buffers.
    pub(super) fn attach(storage: &Storage, place: ArenaPlace) -> Result<Self, Failure> {
        let astray = |why: &str| {
            let reason = format!(
                "a worker's buffers differ from the coordinator's ({why}): preparing the \
                 workload must ask for the same buffers in every process"
            );
            failed(FailureKind::Input, reason)
        };
        let mapping = storage.reserve(len(place.workers)).map_err(|error| astray(&error.0))?;
        let arena = Self { mapping, workers: place.workers };
        match arena.control().mark.load(Ordering::Relaxed) {
            mark if mark == place.mark => Ok(arena),
            _ => Err(astray("the arena is not behind them")),
        }
    }

    /// What a worker must know to find the arena and its seat in it.
    pub(in super::super) fn place(&self, worker: usize) -> ArenaPlace {
        let mark = self.control().mark.load(Ordering::Relaxed);
        ArenaPlace { worker, workers: self.workers, mark }
    }

    pub(super) fn control(&self) -> &Control {
        // SAFETY: the mapping begins with it; see the module's argument.
        unsafe { &*self.mapping.pointer().cast::<Control>() }
    }

    pub(super) fn seat(&self, worker: usize) -> &Seat {
        // SAFETY: in bounds and aligned to a page; see the module's argument.
        unsafe { &*self.seat_at(worker).cast::<Seat>() }
    }

    fn seat_at(&self, worker: usize) -> *mut u8 {
        assert!(worker < self.workers, "worker {worker} of {}", self.workers);
        // SAFETY: in bounds, by `len`.
        unsafe { self.mapping.pointer().add(SEATS_AT + worker * SEAT) }
    }

    pub(super) fn producer(&self, worker: usize) -> Producer<'_, RingBytes<'_>> {
        Producer::new(&self.seat(worker).ring, self.ring_bytes(worker))
    }

    pub(super) fn consumer(&self, worker: usize) -> Consumer<'_, RingBytes<'_>> {
        Consumer::new(&self.seat(worker).ring, self.ring_bytes(worker))
    }

    fn ring_bytes(&self, worker: usize) -> RingBytes<'_> {
        // SAFETY: in bounds, by `len`.
        RingBytes { start: unsafe { self.seat_at(worker).add(RING_AT) }, arena: self }
    }

    /// Writes down a phase and lets the workers at it. All of them must be waiting at the gate.
    pub(super) fn open_phase(
        &self,
        phase: &[u8],
        tasks: usize,
        chunk: usize,
    ) -> Result<(), Failure> {
        if phase.len() > PHASE {
            let reason = format!(
                "the phase takes {} bytes, and the arena has {PHASE} for it; use processes, \
                 which sends it in frames over sockets",
                phase.len()
            );
            return Err(failed(FailureKind::Error, reason));
        }
        // SAFETY: it fits, and no worker reads it before the gate opens.
        unsafe { copy(phase.as_ptr(), self.mapping.pointer().add(PHASE_AT), phase.len()) };
        let control = self.control();
        // Relaxed: the gate publishes them.
        control.phase_len.store(phase.len(), Ordering::Relaxed);
        control.tasks.store(tasks, Ordering::Relaxed);
        control.chunk.store(chunk, Ordering::Relaxed);
        control.next.store(0, Ordering::Relaxed);
        control.gate.open(Command::Phase);
        Ok(())
    }

    /// The phase as it was written down. To be called between the gate and the finish.
    pub(super) fn phase(&self) -> Vec<u8> {
        let mut phase = vec![0; self.control().phase_len.load(Ordering::Relaxed).min(PHASE)];
        // SAFETY: it fits, and nobody writes it before all workers have finished.
        unsafe { copy(self.mapping.pointer().add(PHASE_AT), phase.as_mut_ptr(), phase.len()) };
        phase
    }

    /// Tells all workers to end, wherever they wait.
    pub(in super::super) fn dismiss(&self) {
        self.control().abandon();
        self.control().gate.open(Command::Stop);
        for worker in 0..self.workers {
            self.seat(worker).ring.wake_producer();
        }
    }
}

/// A copy between memory that another process can see and memory that it cannot.
///
/// # Safety
/// As for `copy_nonoverlapping`, other processes included.
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
}

impl Control {
    pub(super) fn tasks_and_chunk(&self) -> (usize, usize) {
        (self.tasks.load(Ordering::Relaxed), self.chunk.load(Ordering::Relaxed))
    }

    /// Takes a chunk; numbers beyond the last one mean that there are no more. Relaxed: the
    /// counter only has to give each number once, and publishes nothing.
    #[inline]
    pub(super) fn take(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Relaxed: it carries no data, and who sees it late does a chunk for nothing.
    pub(super) fn abandon(&self) {
        self.abandoned.store(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) != 0
    }
}

impl Seat {
    /// Relaxed: read only when the worker is dead, and its death was learnt from the kernel.
    #[inline]
    pub(super) fn set_running(&self, chunk: Option<usize>) {
        self.running.store(chunk.map_or(0, |index| index + 1), Ordering::Relaxed);
    }

    pub(super) fn running(&self) -> Option<usize> {
        self.running.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// The bytes of one worker's ring.
#[derive(Debug)]
pub(super) struct RingBytes<'a> {
    start: *mut u8,
    /// Keeps the mapping alive.
    arena: &'a Arena,
}

impl RingBytes<'_> {
    /// The place of a position, and how many bytes there are to the ring's end.
    #[inline]
    fn place(&self, position: usize) -> (*mut u8, usize) {
        debug_assert!(self.arena.workers > 0);
        let offset = position & (RING - 1);
        // SAFETY: less than the ring's length.
        (unsafe { self.start.add(offset) }, RING - offset)
    }
}

impl Bytes for RingBytes<'_> {
    fn capacity(&self) -> usize {
        RING
    }

    #[inline]
    unsafe fn put(&self, position: usize, from: &[u8]) {
        let (place, to_end) = self.place(position);
        let (first, rest) = from.split_at(from.len().min(to_end));
        // SAFETY: the caller's promise; in two parts where the ring ends.
        unsafe {
            copy(first.as_ptr(), place, first.len());
            copy(rest.as_ptr(), self.start, rest.len());
        }
    }

    #[inline]
    unsafe fn get(&self, position: usize, into: &mut [u8]) {
        let (place, to_end) = self.place(position);
        let cut = into.len().min(to_end);
        let (first, rest) = into.split_at_mut(cut);
        // SAFETY: the caller's promise; in two parts where the ring ends.
        unsafe {
            copy(place, first.as_mut_ptr(), first.len());
            copy(self.start, rest.as_mut_ptr(), rest.len());
        }
    }
}

const _: () = assert!(RING.is_power_of_two(), "places are positions modulo the ring");
