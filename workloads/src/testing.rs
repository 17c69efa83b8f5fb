//! Sequential drivers for the workloads' own tests.

use manyhands_contract::{Answer, Map, Step};

/// Runs every phase in chunks of at most `chunk` tasks, merged in task order as executors do.
///
/// # Panics
/// When a task fails, or `chunk` is zero.
pub(crate) fn answer<M: Map>(work: &M, chunk: usize) -> Answer {
    let mut local = work.local().expect("a local");
    let mut phase = work.first();
    work.reset().expect("reset");
    loop {
        let tasks = work.tasks(&phase);
        let mut merged = work.empty(&phase);
        for start in (0..tasks).step_by(chunk) {
            let end = tasks.min(start.saturating_add(chunk));
            let mut partial = work.empty(&phase);
            work.run_chunk(&mut local, &phase, start..end, &mut partial)
                .unwrap_or_else(|failure| panic!("{failure}"));
            work.merge(&mut merged, partial);
        }
        match work.next(phase, merged).unwrap_or_else(|error| panic!("{error}")) {
            Step::Continue(next) => phase = next,
            Step::Done(answer) => return answer,
        }
    }
}

/// The answer, which is the same in chunks of 1, of 7 and of everything.
///
/// # Panics
/// When a task fails or two chunkings disagree.
pub(crate) fn same_in_all_chunks<M: Map>(work: &M) -> Answer {
    let reference = answer(work, usize::MAX);
    for chunk in [1, 7] {
        if let Err(mismatch) = reference.check(&answer(work, chunk)) {
            panic!("in chunks of {chunk}: {mismatch}");
        }
    }
    reference
}
