//! `race`: workers that add 1 to a shared counter, and what gets lost.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

use super::crew::{self, Crew};
use super::shared::{Outcome, Shared, Updates};
use super::spin::chain::Chain;

/// `race`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "race",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "adding 1 to a shared counter, wrong and right: lost updates",
    about: "To add 1 is to read, to add and to write. Two workers that both read before either \
            writes leave one addition behind where there were two. The racy form does just that, \
            with an atomic load and an atomic store: each is whole by itself, so that nothing \
            here is undefined, as it would be with a plain variable, which safe Rust does not \
            let two threads share. It is only wrong, and how wrong is the result: it cannot be \
            said in advance, differs from sample to sample, and is none at all with one worker, \
            in a plain loop, or among futures on one thread that do not await in between. So \
            what is checked is the number of updates that were tried, and what was lost is \
            counted beside it. One operation that reads and writes (atomic, a fetch_add) or a \
            lock around both (mutex) lose nothing, and cost more: that is what being right \
            costs. That nothing was lost proves nothing: in a short run two workers may never \
            meet, and a compiler that makes one instruction of the load and the store (prevented \
            here) hides the error from every machine with one core.",
    task: "one worker's slice of the updates; each adds 1 to the shared counter",
    answer: "`updates` that were tried; what the counter had lost at the end is in the counters \
             lost-updates and lost-percent, since there is no right value for it",
    input: None,
    parameters: &[
        Parameter {
            name: "updates",
            about: "how often 1 is added, over all workers",
            unit: "updates",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000_000 },
            default: "200000000",
        },
        Parameter {
            name: "form",
            about: "how 1 is added: a load and a store, an atomic addition, or under a lock",
            unit: "",
            kind: ParameterKind::Choice(&["racy", "mutex", "atomic"]),
            default: "racy",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("updates", "20000000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("updates", "2000000000")] },
    ],
    grows: Some("updates"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// A counter that is read and written separately.
struct Racy(AtomicU64);

impl Shared for Racy {
    /// Relaxed, as a plain variable of other languages would be. No stronger ordering would help:
    /// the other worker's store comes between the load and the store.
    #[inline]
    fn add(&self, _worker: usize, amount: u64) {
        // Opaque, or the compiler makes one instruction of all three: still not atomic between
        // cores, but no longer the separate load and store that this is about.
        let value = black_box(self.0.load(Ordering::Relaxed));
        self.0.store(value.wrapping_add(amount), Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How 1 is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Racy,
    Mutex,
    Atomic,
}

/// The workload.
#[derive(Debug)]
pub struct Race {
    crew: Crew,
    form: Form,
    updates: Updates,
    chain: Chain,
    last: Outcome,
}

impl Probe for Race {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, _parameters: &Parameters) -> Option<String> {
        crew::unsupported(executor)
    }

    /// # Panics
    /// When `form` is none that the definition allows: a bug there.
    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        let form = match context.parameters.text("form") {
            "racy" => Form::Racy,
            "mutex" => Form::Mutex,
            "atomic" => Form::Atomic,
            other => panic!("no form is called '{other}'"),
        };
        let count = context.parameters.integer("updates");
        Ok(Box::new(Self {
            crew: Crew::start(context)?,
            form,
            updates: Updates { count, work: 0, numbered: false },
            chain: Chain::new(),
            last: Outcome::default(),
        }))
    }
}

impl Race {
    fn outcome(&self) -> Result<Outcome, TaskError> {
        let Self { crew, form, updates, chain, .. } = self;
        match (crew, form) {
            (Crew::Sequential, _) => Ok(updates.alone(chain)),
            (_, Form::Racy) => updates.split(crew, chain, Racy(AtomicU64::new(0))),
            (_, Form::Mutex) => updates.split(crew, chain, Mutex::new(0)),
            (_, Form::Atomic) => updates.split(crew, chain, AtomicU64::new(0)),
        }
    }

    fn lost(&self) -> u64 {
        // A racy counter never runs ahead of the updates: each stores one more than was there.
        self.last.made - self.last.total
    }

    fn transport(&self) -> &'static str {
        match (&self.crew, self.form) {
            (Crew::Sequential, _) => "none",
            (_, Form::Racy) => "an AtomicU64, loaded and stored separately, relaxed",
            (_, Form::Mutex) => "std::sync::Mutex",
            (_, Form::Atomic) => "AtomicU64::fetch_add, relaxed",
        }
    }
}

impl Experiment for Race {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let outcome = self.outcome()?;
        let may_lose = self.form == Form::Racy && self.crew.workers() > 1;
        self.last = if may_lose { outcome } else { self.updates.complete(outcome)? };
        Ok(Answer::new().count("updates", self.last.made))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        let (lost, made) = (self.lost() as f64, self.last.made.max(1) as f64);
        vec![
            ("lost-updates", lost),
            ("lost-percent", 100.0 * lost / made),
            ("nanoseconds-per-update", self.last.nanoseconds_per_update()),
        ]
    }

    fn actual(&self) -> (usize, usize) {
        (self.crew.threads(), 1)
    }

    fn tasks(&self) -> usize {
        self.crew.workers()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![
            ("construct", self.crew.construct().to_owned()),
            ("transport", self.transport().to_owned()),
        ]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        self.crew.stop()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Barrier;

    use super::*;
    use crate::overhead::crew::tests::sampled;

    #[test]
    fn every_form_tries_every_update_and_the_right_ones_lose_none() {
        for form in ["racy", "mutex", "atomic"] {
            let changes = [("form", form), ("updates", "10001")];
            for (name, sample) in sampled::<Race>(&changes) {
                assert_eq!(sample.answer, r#"{"updates":10001}"#, "{form} {name}");
                let lost = sample.counters[0].1;
                let may_lose = form == "racy" && !name.contains("sequential");
                assert!(lost == 0.0 || may_lose, "{form} {name} lost {lost}");
            }
        }
    }

    /// The interleaving that loses an update, made to happen: both load before either stores.
    #[test]
    fn two_loads_before_two_stores_lose_one_of_two() {
        let racy = Arc::new(Racy(AtomicU64::new(0)));
        let both_loaded = Arc::new(Barrier::new(2));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (racy, both_loaded) = (Arc::clone(&racy), Arc::clone(&both_loaded));
                std::thread::spawn(move || {
                    let value = racy.0.load(Ordering::Relaxed);
                    both_loaded.wait();
                    racy.0.store(value + 1, Ordering::Relaxed);
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(racy.total(), 1);
    }

    #[test]
    fn what_was_lost_is_counted_in_updates_and_in_percent() {
        let race = Race {
            crew: Crew::Sequential,
            form: Form::Racy,
            updates: Updates { count: 200, work: 0, numbered: false },
            chain: Chain::new(),
            last: Outcome { made: 200, total: 150, ..Outcome::default() },
        };
        let counters = race.counters();
        assert_eq!(counters[..2], [("lost-updates", 50.0), ("lost-percent", 25.0)]);
    }
}
