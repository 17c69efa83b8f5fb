//! Merging partials in task order, whatever the order in which chunks finish.

use std::collections::BTreeMap;
use std::ops::Range;

use manyhands_contract::Map;

/// Finished stretches of tasks, each as one partial.
///
/// Neighbouring stretches are merged as soon as both are there. What separates two stretches is a
/// chunk that is still in flight, so there are never more stretches than chunks in flight plus
/// one: memory stays flat however many tasks there are and however late the first one finishes.
pub(super) struct Merger<P> {
    /// All tasks up to the first that is missing: the task after them, and their partial. Chunks
    /// finish nearly in order, so most of them follow on this one and need no search.
    front: Option<(usize, P)>,
    /// The stretches beyond, by first task: the task after the last, and the partial.
    later: BTreeMap<usize, (usize, P)>,
}

impl<P> Merger<P> {
    pub(super) fn new() -> Self {
        Self { front: None, later: BTreeMap::new() }
    }

    /// Adds the partial of a finished range of tasks.
    #[inline]
    pub(super) fn add<M: Map<Partial = P>>(&mut self, work: &M, tasks: Range<usize>, partial: P) {
        match &mut self.front {
            Some((end, left)) if *end == tasks.start => {
                work.merge(left, partial);
                *end = tasks.end;
            }
            None if tasks.start == 0 => self.front = Some((tasks.end, partial)),
            _ => return self.add_later(work, tasks, partial),
        }
        if !self.later.is_empty() {
            self.close_gap(work);
        }
    }

    /// Merges the first later stretch into the front if no task is missing between them.
    fn close_gap<M: Map<Partial = P>>(&mut self, work: &M) {
        let Some((end, left)) = &mut self.front else { return };
        if let Some(first) = self.later.first_entry()
            && first.key() == end
        {
            let (right_end, right) = first.remove();
            work.merge(left, right);
            *end = right_end;
        }
    }

    fn add_later<M: Map<Partial = P>>(&mut self, work: &M, tasks: Range<usize>, mut partial: P) {
        let mut end = tasks.end;
        if let Some((right_end, right)) = self.later.remove(&tasks.end) {
            work.merge(&mut partial, right);
            end = right_end;
        }
        match self.later.range_mut(..tasks.start).next_back() {
            Some((_, (left_end, left))) if *left_end == tasks.start => {
                work.merge(left, partial);
                *left_end = end;
            }
            _ => {
                self.later.insert(tasks.start, (end, partial));
            }
        }
    }

    /// The partial of all tasks.
    ///
    /// # Panics
    /// When a task is missing: a bug in an executor, which must not pass for a result.
    pub(super) fn finish(self, tasks: usize) -> P {
        let next = self.later.first_key_value().map(|(start, (end, _))| *start..*end);
        match self.front {
            Some((end, partial)) if end == tasks && next.is_none() => partial,
            front => {
                let front = 0..front.map_or(0, |(end, _)| end);
                panic!("tasks are missing: of {tasks} there are {front:?} and, next, {next:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executors::tests_support::Order;
    use manyhands_contract::generate::Stream;

    #[test]
    fn any_order_of_chunks_gives_all_tasks_in_order() {
        for seed in 0..200 {
            let stream = Stream::new(seed, 0);
            let tasks = 1 + stream.below(0, 40) as usize;
            let chunk = 1 + stream.below(1, 5) as usize;
            let mut chunks: Vec<_> =
                (0..tasks).step_by(chunk).map(|start| start..tasks.min(start + chunk)).collect();
            chunks.sort_by_key(|range| stream.bits(2 + range.start as u64));
            let mut merger = Merger::new();
            for range in chunks {
                merger.add(&Order, range.clone(), range.collect());
            }
            assert_eq!(merger.finish(tasks), (0..tasks).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_late_chunk_leaves_one_stretch_to_wait() {
        let mut merger = Merger::new();
        for task in 1..1000 {
            merger.add(&Order, task..task + 1, vec![task]);
        }
        assert_eq!((merger.front.is_none(), merger.later.len()), (true, 1));
    }

    #[test]
    #[should_panic(expected = "tasks are missing")]
    fn a_missing_chunk_is_not_passed_over() {
        let mut merger = Merger::new();
        merger.add(&Order, 0..1, vec![0]);
        merger.finish(2);
    }
}
