//! A ring of records from one worker to the coordinator: one producer, one consumer, no locks.
//!
//! Positions count all bytes that ever passed and never wrap back; a position modulo the capacity
//! is a place. The bytes from `head` to `tail` belong to the consumer, all others to the producer:
//! - `tail` is stored with Release after a record is written and loaded with Acquire before it is
//!   read, so the consumer sees whole records;
//! - `head` is stored with Release after records were read and loaded with Acquire before their
//!   bytes are written again, so the producer never overwrites what is being read.
//!
//! Two rare edges need the other side to act, and each is one flag that both sides *swap*. Swaps
//! of one flag have one order. Whoever comes second reads what the first one wrote and, by
//! acquire and release, sees all that the first one did before; so of the two, either the first is
//! noticed by the second or the second finds the work done. Plain loads and stores would need
//! sequentially consistent fences instead.
//! - `called`: the producer calls the consumer when the ring is half full, or too full for a
//!   record. A second call while the first is on its way would be a system call for nothing.
//! - `waiting`: the producer sleeps on it until there is room.
//!
//! Model-checked with loom: `cargo xtask loom`.
#![allow(unsafe_code)]

use crossbeam_utils::CachePadded;
#[cfg(manyhands_loom)]
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
#[cfg(not(manyhands_loom))]
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::futex::Futex;

/// What both sides share besides the bytes. Each word on cache lines of its own: the two sides
/// write different ones all the time. All zeroes is an empty ring.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Header {
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
    called: CachePadded<AtomicU32>,
    waiting: CachePadded<Futex>,
}

impl Header {
    /// Wakes a producer that waits for room, to make it look at why it should stop.
    pub(super) fn wake_producer(&self) {
        if self.waiting.swap(0, Ordering::AcqRel) == 1 {
            self.waiting.wake();
        }
    }
}

/// The bytes of a ring.
pub(super) trait Bytes {
    /// A power of two.
    fn capacity(&self) -> usize;

    /// Writes at a position.
    ///
    /// # Safety
    /// Nobody else reads or writes these bytes meanwhile.
    unsafe fn put(&self, position: usize, from: &[u8]);

    /// Reads from a position.
    ///
    /// # Safety
    /// Nobody writes these bytes meanwhile.
    unsafe fn get(&self, position: usize, into: &mut [u8]);
}

/// Each record is preceded by its length.
const PREFIX: usize = 4;

/// The worker's side. There is one at a time.
#[derive(Debug)]
pub(super) struct Producer<'a, B> {
    header: &'a Header,
    bytes: B,
    tail: usize,
    /// The consumer's position when last looked at: looking takes its cache line away from it.
    head_seen: usize,
}

impl<'a, B: Bytes> Producer<'a, B> {
    pub(super) fn new(header: &'a Header, bytes: B) -> Self {
        // Relaxed: only producers write it, and the one before us handed over to us.
        let tail = header.tail.load(Ordering::Relaxed);
        let head_seen = header.head.load(Ordering::Acquire);
        Self { header, bytes, tail, head_seen }
    }

    /// The longest record that fits when the ring is empty.
    pub(super) fn longest(&self) -> usize {
        self.bytes.capacity() - PREFIX
    }

    /// Appends a record of at most [`longest`](Self::longest) bytes, sleeping while there is no
    /// room for it. `call` gets the consumer's attention. False when `give_up` said so: whoever
    /// makes it say so must then [wake](Header::wake_producer) us.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: &[u8],
        mut call: impl FnMut(),
        give_up: impl Fn() -> bool,
    ) -> bool {
        let needed = PREFIX + record.len();
        if !self.has_room(needed) && !self.wait_for_room(needed, &mut call, give_up) {
            return false;
        }
        let prefix = (record.len() as u32).to_le_bytes();
        // SAFETY: there is room, so these bytes are the producer's until `tail` has passed them.
        unsafe {
            self.bytes.put(self.tail, &prefix);
            self.bytes.put(self.tail.wrapping_add(PREFIX), record);
        }
        self.tail = self.tail.wrapping_add(needed);
        self.header.tail.store(self.tail, Ordering::Release);
        if self.is_half_full() && self.header.called.load(Ordering::Relaxed) == 0 {
            // The relaxed look may miss that a call was just answered; then the next record
            // calls, or the full ring does, which does not trust such a look.
            self.call(&mut call);
        }
        true
    }

    #[inline]
    fn has_room(&mut self, needed: usize) -> bool {
        if self.used() + needed > self.bytes.capacity() {
            self.head_seen = self.header.head.load(Ordering::Acquire);
        }
        self.used() + needed <= self.bytes.capacity()
    }

    #[inline]
    fn is_half_full(&mut self) -> bool {
        let half = self.bytes.capacity() / 2;
        if self.used() >= half {
            self.head_seen = self.header.head.load(Ordering::Acquire);
        }
        self.used() >= half
    }

    #[inline]
    fn used(&self) -> usize {
        self.tail.wrapping_sub(self.head_seen)
    }

    #[cold]
    fn wait_for_room(
        &mut self,
        needed: usize,
        call: &mut impl FnMut(),
        give_up: impl Fn() -> bool,
    ) -> bool {
        loop {
            self.call(call);
            // From here on whoever makes room wakes us; what was there before, we see now.
            self.header.waiting.swap(1, Ordering::AcqRel);
            if self.has_room(needed) || give_up() {
                self.header.waiting.swap(0, Ordering::AcqRel);
                return self.has_room(needed);
            }
            self.header.waiting.wait(1);
        }
    }

    fn call(&self, call: &mut impl FnMut()) {
        if self.header.called.swap(1, Ordering::AcqRel) == 0 {
            call();
        }
    }
}

/// The coordinator's side. There is one at a time.
#[derive(Debug)]
pub(super) struct Consumer<'a, B> {
    header: &'a Header,
    bytes: B,
    head: usize,
    /// What the producer knows of `head`.
    released: usize,
    /// Up to where there are records, as of the last [`look`](Self::look).
    tail_seen: usize,
}

impl<'a, B: Bytes> Consumer<'a, B> {
    pub(super) fn new(header: &'a Header, bytes: B) -> Self {
        // Relaxed: only consumers write it, and the one before us handed over to us.
        let head = header.head.load(Ordering::Relaxed);
        Self { header, bytes, head, released: head, tail_seen: head }
    }

    /// Answers the producer's call and looks how far it is.
    pub(super) fn look(&mut self) {
        self.header.called.swap(0, Ordering::AcqRel);
        self.tail_seen = self.header.tail.load(Ordering::Acquire);
    }

    /// Copies the next record out; false when there is none as of the last look. Room is given
    /// back by the quarter ring: one cache line's journey, and perhaps a wake-up, for many records.
    #[inline]
    pub(super) fn next(&mut self, record: &mut Vec<u8>) -> bool {
        if self.head == self.tail_seen {
            return false;
        }
        let mut prefix = [0; PREFIX];
        // SAFETY: from `head` to `tail` the bytes are the consumer's, and hold whole records.
        unsafe { self.bytes.get(self.head, &mut prefix) };
        record.resize(u32::from_le_bytes(prefix) as usize, 0);
        // SAFETY: as above.
        unsafe { self.bytes.get(self.head.wrapping_add(PREFIX), record) };
        self.head = self.head.wrapping_add(PREFIX + record.len());
        if self.head.wrapping_sub(self.released) >= self.bytes.capacity() / 4 {
            self.release();
        }
        true
    }

    /// Gives the room of all records that were copied out back to the producer.
    pub(super) fn release(&mut self) {
        self.released = self.head;
        self.header.head.store(self.head, Ordering::Release);
        self.header.wake_producer();
    }
}

#[cfg(all(test, manyhands_loom))]
mod tests {
    use loom::cell::UnsafeCell;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// Bytes whose every access loom checks against every other.
    #[derive(Clone)]
    struct Checked(Arc<Vec<UnsafeCell<u8>>>);

    impl Bytes for Checked {
        fn capacity(&self) -> usize {
            self.0.len()
        }

        unsafe fn put(&self, position: usize, from: &[u8]) {
            for (index, byte) in from.iter().enumerate() {
                // SAFETY: the caller's promise, which loom checks.
                self.0[(position + index) % self.0.len()].with_mut(|b| unsafe { *b = *byte });
            }
        }

        unsafe fn get(&self, position: usize, into: &mut [u8]) {
            for (index, byte) in into.iter_mut().enumerate() {
                // SAFETY: the caller's promise, which loom checks.
                *byte = self.0[(position + index) % self.0.len()].with(|b| unsafe { *b });
            }
        }
    }

    struct Shared {
        header: Header,
        bytes: Checked,
        /// The socket on which the consumer is called, as a count of calls.
        calls: Mutex<usize>,
        called: Condvar,
    }

    fn shared(capacity: usize) -> Arc<Shared> {
        let header = Header {
            tail: CachePadded::new(AtomicUsize::new(0)),
            head: CachePadded::new(AtomicUsize::new(0)),
            called: CachePadded::new(AtomicU32::new(0)),
            waiting: CachePadded::new(Futex::new()),
        };
        let bytes = Checked(Arc::new((0..capacity).map(|_| UnsafeCell::new(0)).collect()));
        Arc::new(Shared { header, bytes, calls: Mutex::new(0), called: Condvar::new() })
    }

    impl Shared {
        fn call(&self) {
            *self.calls.lock().unwrap() += 1;
            self.called.notify_one();
        }

        fn wait_for_call(&self) {
            let mut calls = self.calls.lock().unwrap();
            while *calls == 0 {
                calls = self.called.wait(calls).unwrap();
            }
            *calls -= 1;
        }
    }

    fn model(run: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(run);
    }

    /// Each record fills more than half of the ring, so the producer must wait every time. Were a
    /// call or a wake-up lost, both sides would sleep, which loom reports.
    #[test]
    fn every_record_arrives_once_and_in_order_though_the_producer_must_wait() {
        model(|| {
            const RECORDS: u8 = 3;
            let shared = shared(8);
            let theirs = Arc::clone(&shared);
            let producer = thread::spawn(move || {
                let mut producer = Producer::new(&theirs.header, theirs.bytes.clone());
                for record in 0..RECORDS {
                    assert!(producer.push(&[record], || theirs.call(), || false));
                }
                theirs.call(); // "finished"
            });
            let mut consumer = Consumer::new(&shared.header, shared.bytes.clone());
            let (mut seen, mut record) = (0, Vec::new());
            while seen < RECORDS {
                shared.wait_for_call();
                consumer.look();
                while consumer.next(&mut record) {
                    assert_eq!(record, [seen]);
                    seen += 1;
                }
                consumer.release();
            }
            producer.join().unwrap();
        });
    }

    #[test]
    fn a_producer_that_waits_for_room_can_be_told_to_give_up() {
        model(|| {
            let shared = shared(8);
            let stop = Arc::new(AtomicU32::new(0));
            let (theirs, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
            let producer = thread::spawn(move || {
                let mut producer = Producer::new(&theirs.header, theirs.bytes.clone());
                assert!(producer.push(&[1], || (), || false));
                let give_up = || stopped.load(Ordering::Relaxed) == 1;
                assert!(!producer.push(&[2], || (), give_up));
            });
            stop.store(1, Ordering::Relaxed);
            shared.header.wake_producer();
            producer.join().unwrap();
        });
    }
}
