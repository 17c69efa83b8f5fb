//! Threads: joined one by one, or by the end of a scope.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};

use manyhands_contract::{TaskError, limits};

use super::{Form, nothing};

fn refused(error: &io::Error) -> TaskError {
    TaskError(format!("cannot start a thread: {error}; {}", limits::nearest()))
}

/// `threads`: `std::thread::spawn` and `join`, the oldest first.
pub(super) struct Joined;

impl Form for Joined {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let mut threads = VecDeque::with_capacity(alive);
        let mut done = 0;
        for _ in 0..count {
            if threads.len() == alive {
                done += threads.pop_front().map_or(Ok(0), join)?;
            }
            let thread = thread::Builder::new().spawn(nothing).map_err(|e| refused(&e))?;
            threads.push_back(thread);
        }
        threads.into_iter().try_fold(done, |done, thread| Ok(done + join(thread)?))
    }

    fn actual(&self, alive: usize) -> (usize, usize) {
        (alive, 1)
    }

    fn construct(&self) -> &'static str {
        "std::thread::spawn and join, the oldest first"
    }
}

fn join(thread: JoinHandle<usize>) -> Result<usize, TaskError> {
    thread.join().map_err(|_| TaskError::new("a thread that does nothing panicked"))
}

/// `threads:static`: as many as may be alive in one `thread::scope`, then the next scope.
pub(super) struct Scoped;

impl Form for Scoped {
    fn run(&mut self, count: usize, alive: usize) -> Result<usize, TaskError> {
        let mut done = 0;
        for first in (0..count).step_by(alive) {
            done += scope(alive.min(count - first))?;
        }
        Ok(done)
    }

    fn actual(&self, alive: usize) -> (usize, usize) {
        (alive, 1)
    }

    fn construct(&self) -> &'static str {
        "std::thread::scope, as many threads in each as workers"
    }
}

fn scope(count: usize) -> Result<usize, TaskError> {
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, nothing);
        let threads: Vec<_> =
            (0..count).map(start).collect::<Result<_, _>>().map_err(|e| refused(&e))?;
        let panicked = |_| TaskError::new("a thread that does nothing panicked");
        threads.into_iter().try_fold(0, |done, t| Ok(done + t.join().map_err(panicked)?))
    })
}
