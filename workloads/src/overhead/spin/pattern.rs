//! Who needs whose output: the dependence patterns of Task Bench.
//!
//! Slaughter et al., "Task Bench: A Parameterized Benchmark for Evaluating Parallel Runtime
//! Performance", SC 2020. Ranges and limits are those of its implementation; the random draws are
//! our own generator's.

use std::ops::Range;

use manyhands_contract::Parameters;
use manyhands_contract::generate::Stream;

/// The words for `pattern`, in the order of [`Pattern`].
pub(super) const NAMES: &[&str] =
    &["trivial", "stencil", "tree", "fft", "all-to-all", "nearest", "random"];

/// How the tasks of a phase depend on those of the phase before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pattern {
    /// On none.
    Trivial,
    /// i on i - 1, i and i + 1.
    Stencil,
    /// i on i / 2; phase t has at most 2^t tasks.
    Tree,
    /// i on i - d, i and i + d, where d is 1, 2, 4, ... in turn and below the number of tasks.
    Fft,
    /// Each on all.
    AllToAll,
    /// i on the `radix` tasks around i.
    Nearest { radix: usize },
    /// i on i, and on each other of the `radix` tasks around it with probability `fraction`.
    Random { radix: usize, fraction: f64, seed: u64 },
}

impl Pattern {
    /// As the parameters say.
    ///
    /// # Panics
    /// When `pattern` is none of [`NAMES`]: a bug in the definition.
    fn new(parameters: &Parameters, seed: u64) -> Self {
        let radix = parameters.size("radix");
        match parameters.text("pattern") {
            "trivial" => Self::Trivial,
            "stencil" => Self::Stencil,
            "tree" => Self::Tree,
            "fft" => Self::Fft,
            "all-to-all" => Self::AllToAll,
            "nearest" => Self::Nearest { radix },
            "random" => Self::Random { radix, fraction: parameters.real("fraction"), seed },
            other => panic!("no pattern is called '{other}'"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[match self {
            Self::Trivial => 0,
            Self::Stencil => 1,
            Self::Tree => 2,
            Self::Fft => 3,
            Self::AllToAll => 4,
            Self::Nearest { .. } => 5,
            Self::Random { .. } => 6,
        }]
    }
}

/// The tasks of all phases and what they need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Graph {
    pub(super) pattern: Pattern,
    /// Tasks of the widest phase.
    pub(super) tasks: usize,
}

/// Ranges of tasks that may overlap or be empty.
type Spans = [Range<usize>; 3];

impl Graph {
    pub(super) fn new(parameters: &Parameters, seed: u64) -> Self {
        Self { pattern: Pattern::new(parameters, seed), tasks: parameters.size("tasks") }
    }

    /// How many tasks a phase has.
    pub(super) fn width(&self, phase: u64) -> usize {
        match self.pattern {
            Pattern::Tree => {
                let doubled = u32::try_from(phase).ok().and_then(|t| 1_usize.checked_shl(t));
                self.tasks.min(doubled.unwrap_or(usize::MAX))
            }
            _ => self.tasks,
        }
    }

    /// Calls `visit` with each task of the phase before that `task` needs, some perhaps twice.
    #[inline]
    pub(super) fn visit_inputs<E>(
        &self,
        phase: u64,
        task: usize,
        mut visit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for span in self.spans(phase, task..task + 1) {
            for input in span {
                if self.draws(phase, task, input) {
                    visit(input)?;
                }
            }
        }
        Ok(())
    }

    /// The tasks of the phase before that any of `tasks` needs: ranges in ascending order that
    /// neither overlap nor touch.
    pub(super) fn inputs(&self, phase: u64, tasks: Range<usize>) -> Vec<Range<usize>> {
        let mut needed: Vec<Range<usize>> = Vec::new();
        if let Pattern::Random { .. } = self.pattern {
            for task in tasks {
                let _never: Result<(), ()> = self.visit_inputs(phase, task, |input| {
                    needed.push(input..input + 1);
                    Ok(())
                });
            }
        } else {
            needed.extend(self.spans(phase, tasks).into_iter().filter(|span| !span.is_empty()));
        }
        joined(needed)
    }

    /// What tasks next to each other may need, before chance has its say. Of every pattern the
    /// spans of neighbours overlap or touch, so that those of many are no more than those of one.
    #[inline]
    fn spans(&self, phase: u64, tasks: Range<usize>) -> Spans {
        if phase == 0 || tasks.is_empty() {
            return [0..0, 0..0, 0..0];
        }
        let before = self.width(phase - 1);
        let Range { start, end } = tasks;
        let around = |left: usize, right: usize| {
            let range = start.saturating_sub(left)..before.min(end.saturating_add(right));
            [range, 0..0, 0..0]
        };
        match self.pattern {
            Pattern::Trivial => [0..0, 0..0, 0..0],
            Pattern::Stencil => around(1, 1),
            Pattern::Tree => [start / 2..(end - 1) / 2 + 1, 0..0, 0..0],
            Pattern::Fft => {
                let d = self.stride(phase);
                let right = before.min(start + d)..before.min(end + d);
                [start.saturating_sub(d)..end.saturating_sub(d), start..end, right]
            }
            Pattern::AllToAll => [0..before, 0..0, 0..0],
            Pattern::Nearest { radix } | Pattern::Random { radix, .. } => {
                around(radix / 2, (radix - 1) / 2)
            }
        }
    }

    /// 1, 2, 4, ... in turn, the last one below the number of tasks.
    #[inline]
    fn stride(&self, phase: u64) -> usize {
        let turns = self.tasks.next_power_of_two().trailing_zeros().max(1);
        1 << ((phase - 1) % u64::from(turns))
    }

    /// Whether chance, where there is any, connects `input` with `task`.
    #[inline]
    fn draws(&self, phase: u64, task: usize, input: usize) -> bool {
        match self.pattern {
            Pattern::Random { fraction, seed, .. } => {
                let pair = (task as u64).wrapping_mul(self.tasks as u64).wrapping_add(input as u64);
                task == input || Stream::new(seed, phase).uniform(pair) < fraction
            }
            _ => true,
        }
    }
}

/// The same elements in ascending ranges that neither overlap nor touch.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(graph: Graph, phase: u64, task: usize) -> Vec<usize> {
        let mut inputs = Vec::new();
        let _never: Result<(), ()> = graph.visit_inputs(phase, task, |input| {
            inputs.push(input);
            Ok(())
        });
        inputs
    }

    fn of(pattern: Pattern, tasks: usize) -> Graph {
        Graph { pattern, tasks }
    }

    const EVERY: [Pattern; 8] = [
        Pattern::Trivial,
        Pattern::Stencil,
        Pattern::Tree,
        Pattern::Fft,
        Pattern::AllToAll,
        Pattern::Nearest { radix: 1 },
        Pattern::Nearest { radix: 4 },
        Pattern::Random { radix: 5, fraction: 0.5, seed: 7 },
    ];

    /// By hand from Task Bench's `dependencies`; for `fft` also by a loop in Python 3.
    #[test]
    fn tasks_need_what_task_bench_says() {
        let stencil = of(Pattern::Stencil, 10);
        assert_eq!(inputs(stencil, 1, 0), [0, 1]);
        assert_eq!(inputs(stencil, 3, 5), [4, 5, 6]);
        assert_eq!(inputs(stencil, 1, 9), [8, 9]);
        let fft = of(Pattern::Fft, 10);
        let fours: Vec<_> = (1..6).map(|phase| inputs(fft, phase, 4)).collect();
        assert_eq!(fours, [vec![3, 4, 5], vec![2, 4, 6], vec![0, 4, 8], vec![4], vec![3, 4, 5]]);
        let nines: Vec<_> = (1..6).map(|phase| inputs(fft, phase, 9)).collect();
        assert_eq!(nines, [[8, 9], [7, 9], [5, 9], [1, 9], [8, 9]]);
        assert_eq!(inputs(of(Pattern::Fft, 1), 5, 0), [0]);
        let nearest = of(Pattern::Nearest { radix: 4 }, 10);
        assert_eq!(inputs(nearest, 1, 0), [0, 1]);
        assert_eq!(inputs(nearest, 1, 5), [3, 4, 5, 6]);
        assert_eq!(inputs(nearest, 1, 9), [7, 8, 9]);
        assert_eq!(inputs(of(Pattern::AllToAll, 4), 2, 3), [0, 1, 2, 3]);
        assert_eq!(inputs(of(Pattern::Tree, 10), 3, 7), [3]);
    }

    /// Computed by Python 3 from the definition: seed 7, radix 5, fraction 0.5, 12 tasks.
    #[test]
    fn chance_connects_whom_python_says() {
        let random = of(Pattern::Random { radix: 5, fraction: 0.5, seed: 7 }, 12);
        let first: Vec<_> = (0..6).map(|task| inputs(random, 1, task)).collect();
        let expected =
            [vec![0, 1, 2], vec![0, 1, 2], vec![2], vec![3, 4], vec![2, 3, 4], vec![5, 7]];
        assert_eq!(first, expected);
        assert_eq!(inputs(random, 2, 2), [0, 1, 2, 3, 4]);
        assert_eq!(inputs(random, 2, 11), [9, 10, 11]);
    }

    #[test]
    fn a_tree_doubles_until_all_tasks_are_there() {
        let tree = of(Pattern::Tree, 10);
        let widths: Vec<_> = (0..6).map(|phase| tree.width(phase)).collect();
        assert_eq!(widths, [1, 2, 4, 8, 10, 10]);
        assert_eq!(tree.width(u64::MAX), 10);
        assert_eq!(of(Pattern::Tree, 0).width(0), 0);
    }

    #[test]
    fn the_first_phase_needs_nothing() {
        for pattern in EVERY {
            assert!(of(pattern, 8).inputs(0, 0..1).is_empty(), "{pattern:?}");
        }
    }

    /// What a chunk declares is what its tasks read, neither less nor more.
    #[test]
    fn chunks_declare_exactly_the_inputs_of_their_tasks() {
        for pattern in EVERY {
            let graph = of(pattern, 13);
            for phase in 1..6 {
                let width = graph.width(phase);
                for start in 0..width {
                    for end in start + 1..=width {
                        let mut each: Vec<_> =
                            (start..end).flat_map(|task| inputs(graph, phase, task)).collect();
                        each.sort_unstable();
                        each.dedup();
                        let declared = graph.inputs(phase, start..end);
                        assert!(declared.windows(2).all(|pair| pair[0].end < pair[1].start));
                        let declared: Vec<_> = declared.into_iter().flatten().collect();
                        assert_eq!(declared, each, "{pattern:?} phase {phase} {start}..{end}");
                    }
                }
            }
        }
    }
}
