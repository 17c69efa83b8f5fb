//! `spin` with phases whose tasks need the outputs of tasks of the phase before.

use std::ops::Range;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Map, Output, Parameters, Region, Step, Storage,
    TaskError, TaskFailure, Workload,
};
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Jump};
use super::pattern::{Graph, Pattern};

/// What `phases=0` stands for where there are dependencies: the shortest whole number of turns is
/// of no use to most patterns, and ten are enough to wait at nine barriers.
const USUAL_PHASES: u64 = 10;

/// `spin` of any pattern and number of phases.
///
/// Task i of phase t starts from t x `tasks` + i and leaves the end of its chain in its slot of
/// one of two buffers, which the phases use in turn. Before it starts it finds in the slots of its
/// inputs what the formula says they hold; anything else fails the task.
#[derive(Debug, Clone)]
pub struct Patterned {
    graph: Graph,
    phases: u64,
    steps: u64,
    chain: Chain,
    jump: Jump,
    /// Slots of the even phases, and of the odd ones. Empty where no task has inputs.
    slots: [Output<u64>; 2],
}

/// One phase, and what those before it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Its number, from 0.
    pub number: u64,
    /// Of all phases before.
    pub before: Ends,
}

/// What tasks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// How many they are.
    pub tasks: u64,
    /// The xor of their ends.
    pub xor: u64,
}

impl Ends {
    #[inline]
    fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.xor ^= other.xor;
    }
}

/// The number of phases that the parameters ask for.
pub(super) fn phases(parameters: &Parameters) -> u64 {
    match (parameters.integer("phases"), parameters.text("pattern")) {
        (0, "trivial") => 1,
        (0, _) => USUAL_PHASES,
        (phases, _) => phases,
    }
}

impl Patterned {
    /// As the parameters of [`DEFINITION`](super::DEFINITION) say.
    ///
    /// # Errors
    /// When there is no memory for the slots.
    fn new(parameters: &Parameters, seed: u64, storage: &Storage) -> Result<Self, InputError> {
        let graph = Graph::new(parameters, seed);
        let slots = if graph.pattern == Pattern::Trivial { 0 } else { graph.tasks };
        let steps = parameters.integer("steps");
        Ok(Self {
            graph,
            phases: phases(parameters),
            steps,
            chain: Chain::new(),
            jump: Jump::over(steps),
            slots: [storage.output(slots)?, storage.output(slots)?],
        })
    }

    /// Where a task's chain starts: from another number than every other task's.
    #[inline]
    fn start(&self, phase: u64, task: usize) -> u64 {
        phase.wrapping_mul(self.graph.tasks as u64).wrapping_add(task as u64)
    }

    /// The slots that a phase writes; those it reads are the other phases'.
    #[inline]
    fn written(&self, phase: u64) -> &Output<u64> {
        &self.slots[(phase % 2) as usize]
    }

    #[inline]
    fn read(&self, phase: u64) -> &Output<u64> {
        &self.slots[((phase + 1) % 2) as usize]
    }

    /// Whether all inputs of a task are what they must be.
    #[inline]
    fn check(&self, phase: u64, task: usize, slots: &[u64]) -> Result<(), TaskError> {
        self.graph.visit_inputs(phase, task, |input| {
            let expected = self.jump.end(self.start(phase - 1, input));
            if slots[input] == expected { Ok(()) } else { Err(self.wrong(phase, input, slots)) }
        })
    }

    #[cold]
    fn wrong(&self, phase: u64, input: usize, slots: &[u64]) -> TaskError {
        let (pattern, before) = (self.graph.pattern.name(), phase - 1);
        let (found, expected) = (slots[input], self.jump.end(self.start(before, input)));
        TaskError(format!(
            "in phase {phase} of the pattern {pattern} it found {found} as the output of task \
             {input} of phase {before}, which is {expected}: it was not delivered, or something \
             overwrote it"
        ))
    }

    /// A chunk of tasks that have no inputs and leave no outputs.
    fn run_alone(&self, last: &mut u64, phase: u64, tasks: Range<usize>) -> Ends {
        let mut ends = Ends { tasks: tasks.len() as u64, xor: 0 };
        for task in tasks {
            ends.xor ^= self.chain.run(self.start(phase, task), self.steps, last);
        }
        ends
    }

    /// A chunk of tasks that have inputs and leave outputs. The buffers are claimed once for the
    /// chunk: the lock in a claim, taken by each task, would be most of what a short task costs.
    fn run_connected(
        &self,
        last: &mut u64,
        phase: u64,
        tasks: Range<usize>,
    ) -> Result<Ends, TaskFailure> {
        let inputs = self.read(phase).read(0..self.graph.tasks);
        let mut outputs = self.written(phase).write(tasks.clone());
        let mut ends = Ends::default();
        for (task, slot) in tasks.zip(outputs.iter_mut()) {
            self.check(phase, task, &inputs).map_err(|error| TaskFailure { task, error })?;
            *slot = self.chain.run(self.start(phase, task), self.steps, last);
            ends.add(Ends { tasks: 1, xor: *slot });
        }
        Ok(ends)
    }

    /// Regions of slots; none where there are no slots.
    fn regions(slots: &Output<u64>, tasks: impl IntoIterator<Item = Range<usize>>) -> Vec<Region> {
        if slots.is_empty() {
            return Vec::new();
        }
        tasks.into_iter().map(|range| slots.region(range)).collect()
    }
}

impl Map for Patterned {
    type Phase = Wave;
    /// As in [`Spin`](super::Spin): where the worker's last chain ended.
    type Local = u64;
    type Partial = Ends;

    fn local(&self) -> Result<u64, TaskError> {
        Ok(0)
    }

    fn first(&self) -> Wave {
        Wave::default()
    }

    fn tasks(&self, phase: &Wave) -> usize {
        self.graph.width(phase.number)
    }

    fn empty(&self, _phase: &Wave) -> Ends {
        Ends::default()
    }

    fn run(
        &self,
        last: &mut u64,
        phase: &Wave,
        task: usize,
        into: &mut Ends,
    ) -> Result<(), TaskError> {
        self.run_chunk(last, phase, task..task + 1, into).map_err(|failure| failure.error)
    }

    fn run_chunk(
        &self,
        last: &mut u64,
        phase: &Wave,
        tasks: Range<usize>,
        into: &mut Ends,
    ) -> Result<(), TaskFailure> {
        into.add(match self.graph.pattern {
            Pattern::Trivial => self.run_alone(last, phase.number, tasks),
            _ => self.run_connected(last, phase.number, tasks)?,
        });
        Ok(())
    }

    fn merge(&self, left: &mut Ends, right: Ends) {
        left.add(right);
    }

    fn next(&self, phase: Wave, merged: Ends) -> Result<Step<Wave>, TaskError> {
        let Wave { number, mut before } = phase;
        before.add(merged);
        if number + 1 < self.phases {
            return Ok(Step::Continue(Wave { number: number + 1, before }));
        }
        let answer = Answer::new()
            .count("tasks", before.tasks)
            .count("steps", self.steps)
            .count("xor", before.xor);
        if self.graph.pattern == Pattern::Trivial && self.phases == 1 {
            return Ok(Step::Done(answer));
        }
        let pattern = self.graph.pattern.name();
        Ok(Step::Done(answer.count("phases", self.phases).text("pattern", pattern)))
    }

    /// Empties the slots: what the last sample left there would pass for this one's.
    fn reset(&self) -> Result<(), TaskError> {
        for slots in &self.slots {
            // No chain of these phases ends here, but for one start in 2^64.
            slots.write(0..slots.len()).fill(u64::MAX);
        }
        Ok(())
    }

    fn reads(&self, phase: &Wave, tasks: Range<usize>) -> Vec<Region> {
        Self::regions(self.read(phase.number), self.graph.inputs(phase.number, tasks))
    }

    fn writes(&self, phase: &Wave, tasks: Range<usize>) -> Vec<Region> {
        Self::regions(self.written(phase.number), [tasks])
    }
}

impl Workload for Patterned {
    const DEFINITION: &'static Definition = &super::DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Self::new(context.parameters, context.seed, context.storage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overhead::spin::{DEFINITION, Spin};
    use crate::testing::same_in_all_chunks;

    fn parameters(changes: &[(&str, &str)]) -> Parameters {
        Parameters::from_texts(&DEFINITION, changes.iter().copied()).expect("allowed values")
    }

    fn patterned(pattern: &str, [tasks, steps, phases]: [&str; 3]) -> Patterned {
        let changes =
            [("pattern", pattern), ("tasks", tasks), ("steps", steps), ("phases", phases)];
        Patterned::new(&parameters(&changes), 7, &Storage::private()).expect("memory")
    }

    /// Computed by Python 3 from the definition, every chain step by step.
    #[test]
    fn answers_are_those_that_python_gives() {
        let cases = [
            ("trivial", ["10", "3", "4"], 40, "6034795869189717400"),
            ("stencil", ["10", "3", "4"], 40, "6034795869189717400"),
            ("tree", ["10", "3", "6"], 35, "5173877141753084322"),
            ("fft", ["1", "5", "3"], 3, "11283939161099991534"),
            ("nearest", ["10", "3", "4"], 40, "6034795869189717400"),
            ("random", ["10", "3", "4"], 40, "6034795869189717400"),
        ];
        for (pattern, sizes, tasks, xor) in cases {
            let [_, steps, phases] = sizes;
            let expected = format!(
                r#"{{"tasks":{tasks},"steps":{steps},"xor":"{xor}","phases":{phases},"pattern":"{pattern}"}}"#
            );
            assert_eq!(same_in_all_chunks(&patterned(pattern, sizes)).to_string(), expected);
        }
        let all = r#"{"tasks":21,"steps":0,"xor":20,"phases":3,"pattern":"all-to-all"}"#;
        assert_eq!(same_in_all_chunks(&patterned("all-to-all", ["7", "0", "3"])).to_string(), all);
        let none = r#"{"tasks":0,"steps":3,"xor":0,"phases":6,"pattern":"tree"}"#;
        assert_eq!(same_in_all_chunks(&patterned("tree", ["0", "3", "6"])).to_string(), none);
    }

    #[test]
    fn one_trivial_phase_answers_as_plain_spin_does() {
        let plain = Spin::new(100, 10);
        let same = patterned("trivial", ["100", "10", "0"]);
        assert_eq!(same_in_all_chunks(&same).to_string(), same_in_all_chunks(&plain).to_string());
    }

    #[test]
    fn only_one_trivial_phase_is_plain() {
        assert!(Spin::plain(&parameters(&[])).is_some());
        assert!(Spin::plain(&parameters(&[("phases", "1")])).is_some());
        assert!(Spin::plain(&parameters(&[("phases", "2")])).is_none());
        assert!(Spin::plain(&parameters(&[("pattern", "stencil")])).is_none());
        assert_eq!(phases(&parameters(&[("pattern", "stencil")])), USUAL_PHASES);
    }

    /// Runs phase 0, spoils the output of task 4, and runs the tasks of phase 1 one by one.
    #[test]
    fn a_wrong_input_fails_exactly_the_tasks_that_need_it() {
        let cases = [
            ("stencil", vec![3, 4, 5]),
            ("fft", vec![3, 4, 5]),
            ("nearest", vec![2, 3, 4, 5, 6]),
            ("all-to-all", (0..10).collect()),
        ];
        for (pattern, needing) in cases {
            let work = patterned(pattern, ["10", "3", "4"]);
            let (mut last, mut ends) = (0, Ends::default());
            let first = work.first();
            work.run_chunk(&mut last, &first, 0..10, &mut ends).expect("no inputs");
            work.written(0).write(4..5)[0] ^= 1;
            let second = Wave { number: 1, before: ends };
            let failed: Vec<_> = (0..10)
                .filter(|task| work.run(&mut last, &second, *task, &mut ends).is_err())
                .collect();
            assert_eq!(failed, needing, "{pattern}");
        }
    }

    #[test]
    fn a_failure_names_both_tasks_and_both_values() {
        let work = patterned("stencil", ["10", "0", "4"]);
        work.reset().expect("reset");
        let phase = Wave { number: 2, before: Ends::default() };
        let error = work.run_chunk(&mut 0, &phase, 6..8, &mut Ends::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "task 6 failed: in phase 2 of the pattern stencil it found 18446744073709551615 as \
             the output of task 5 of phase 1, which is 15: it was not delivered, or something \
             overwrote it"
        );
    }

    #[test]
    fn a_chunk_declares_its_slots_and_those_of_its_inputs() {
        let work = patterned("stencil", ["10", "3", "4"]);
        let phase = |number| Wave { number, before: Ends::default() };
        assert!(work.reads(&phase(0), 2..4).is_empty());
        assert_eq!(work.writes(&phase(0), 2..4), [Region { buffer: 0, bytes: 16..32 }]);
        assert_eq!(work.reads(&phase(1), 2..4), [Region { buffer: 0, bytes: 8..40 }]);
        assert_eq!(work.writes(&phase(1), 2..4), [Region { buffer: 1, bytes: 16..32 }]);
        let trivial = patterned("trivial", ["10", "3", "4"]);
        assert!(trivial.writes(&phase(1), 2..4).is_empty());
    }
}
