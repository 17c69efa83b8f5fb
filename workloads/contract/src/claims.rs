//! Which ranges of an output buffer are in use: what makes handing out slices of it sound.

use std::ops::Range;

#[cfg(manyhands_loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(manyhands_loom))]
use std::sync::{Mutex, MutexGuard};

/// The ranges in use at the moment: at most one or two per worker, so a list is searched faster
/// than a tree is kept. A lock, and not atomics, because a range must be checked against all
/// others in one step; it is held for nanoseconds, and taken per task only by workloads that
/// write output.
#[derive(Debug)]
pub(crate) struct Claims {
    live: Mutex<Vec<(Range<usize>, Use)>>,
}

/// What a range is claimed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// May overlap other readers.
    Read,
    /// May overlap nothing.
    Write,
}

impl Claims {
    pub(crate) fn new() -> Self {
        Self { live: Mutex::new(Vec::new()) }
    }

    /// Claims a range until the claim is dropped.
    ///
    /// # Panics
    /// When it overlaps a writer, or a writer's range overlaps anything.
    pub(crate) fn claim(&self, range: Range<usize>, what: Use) -> Claim<'_> {
        let mut live = self.lock();
        let clash = live.iter().find(|(other, other_use)| {
            (what == Use::Write || *other_use == Use::Write)
                && range.start < other.end
                && other.start < range.end
        });
        if let Some((other, _)) = clash {
            let message =
                format!("two tasks use bytes {range:?} and {other:?} of one buffer at once");
            drop(live); // panic without the lock, so that it is not poisoned
            panic!("{message}");
        }
        live.push((range.clone(), what));
        Claim { claims: self, range, what }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Range<usize>, Use)>> {
        self.live.lock().expect("never held across a panic")
    }
}

/// A claimed range; dropping it ends the claim. The lock's release and acquire make what was
/// written under one claim visible to the next claim of those bytes.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    claims: &'a Claims,
    range: Range<usize>,
    what: Use,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut live = self.claims.lock();
        let mine = live.iter().position(|(range, what)| *range == self.range && *what == self.what);
        live.swap_remove(mine.expect("a claim is listed until it is dropped"));
    }
}

#[cfg(all(test, manyhands_loom))]
mod tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    use super::*;

    /// Two threads that want the same byte: whenever both got it, loom sees the accesses of one
    /// happen before those of the other; whenever they would have overlapped, one was refused.
    #[test]
    fn claimed_bytes_are_never_written_at_once() {
        loom::model(|| {
            let shared = Arc::new((Claims::new(), UnsafeCell::new(0_u32)));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || write(&other));
            write(&shared);
            thread.join().expect("a refused claim is caught");
        });

        fn write(shared: &(Claims, UnsafeCell<u32>)) {
            let claim = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                shared.0.claim(0..1, Use::Write)
            }));
            if let Ok(_claim) = claim {
                // SAFETY: the claim is exclusive; loom checks that it is.
                #[allow(unsafe_code)]
                shared.1.with_mut(|byte| unsafe { *byte += 1 });
            }
        }
    }
}
