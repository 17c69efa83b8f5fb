//! A word that processes wait on: the kernel compares it and puts the caller to sleep in one step,
//! so a wake-up cannot fall between the look and the sleep (futex(2)).
//!
//! `unsafe`: the system call is given the address of an atomic that is borrowed during the call.
#![allow(unsafe_code)]

#[cfg(manyhands_loom)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(manyhands_loom))]
use std::sync::atomic::{AtomicU32, Ordering};

/// The word. All zeroes is a valid one, so it can live in a fresh mapping.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Futex {
    word: AtomicU32,
    #[cfg(manyhands_loom)]
    model: model::Sleepers,
}

impl Futex {
    #[inline]
    pub(super) fn load(&self, ordering: Ordering) -> u32 {
        self.word.load(ordering)
    }

    #[inline]
    pub(super) fn swap(&self, value: u32, ordering: Ordering) -> u32 {
        self.word.swap(value, ordering)
    }

    pub(super) fn fetch_add(&self, value: u32, ordering: Ordering) -> u32 {
        self.word.fetch_add(value, ordering)
    }

    /// Sleeps if the word is `expected`. May return for no reason, so callers look again.
    #[cfg(not(manyhands_loom))]
    pub(super) fn wait(&self, expected: u32) {
        // Not FUTEX_WAIT_PRIVATE: those who wake us are other processes.
        // SAFETY: the word lives during the call; no time-out is passed.
        unsafe {
            let none = std::ptr::null::<libc::timespec>();
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAIT, expected, none);
        }
    }

    /// Wakes everybody who sleeps on the word, which the caller has changed before.
    #[cfg(not(manyhands_loom))]
    pub(super) fn wake(&self) {
        // SAFETY: the word lives during the call.
        unsafe {
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
        }
    }
}

/// The kernel's side of a futex as loom can see it: the look and the sleep under one lock.
#[cfg(manyhands_loom)]
mod model {
    use loom::sync::{Condvar, Mutex};

    use super::{AtomicU32, Futex, Ordering};

    #[derive(Debug)]
    pub(super) struct Sleepers {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl Futex {
        pub(in super::super) fn new() -> Self {
            let model = Sleepers { lock: Mutex::new(()), woken: Condvar::new() };
            Self { word: AtomicU32::new(0), model }
        }

        pub(in super::super) fn wait(&self, expected: u32) {
            let guard = self.model.lock.lock().expect("never poisoned");
            if self.word.load(Ordering::Relaxed) == expected {
                drop(self.model.woken.wait(guard).expect("never poisoned"));
            }
        }

        pub(in super::super) fn wake(&self) {
            let _guard = self.model.lock.lock().expect("never poisoned");
            self.model.woken.notify_all();
        }
    }
}
