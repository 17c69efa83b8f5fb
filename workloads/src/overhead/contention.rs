//! `contention`: many workers, one number to update.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

use super::crew::{self, Crew, Job, Tokio};
use super::shared::{Outcome, Shared, Updates};
use super::spin::chain::Chain;

/// `contention`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "contention",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "workers that update one shared number: locks as a serial fraction",
    about: "What a lock protects, one worker does at a time: it is the serial fraction of Amdahl's \
            law, and with `work=0` there is nothing else. So no form gains from workers here but \
            `sharded`, and most lose: two cores that both write a cache line pass it to and fro, \
            at tens of nanoseconds a time, where one alone needs a few, and a mutex that is \
            found locked may put its thread to sleep in the kernel. A rwlock that is only written \
            is a mutex with more to keep. An atomic never sleeps. A channel makes the updates one \
            owner's, who needs no lock; each message costs more than the update. Sharded, with a \
            number per worker added up at the end, shares nothing and scales. The sequential form \
            is a plain variable whatever `form` says. Futures on one thread never contend, \
            and their locks cost what the lock costs. Under async, `mutex` is std's, which is \
            right as long as nothing is awaited while it is held; `async-mutex` is tokio's, whose \
            waiting futures yield their thread, for more per update. With `work` the workers have \
            something to do between updates: the more, the later the curve bends.",
    task: "one worker's slice of the updates: update k, from 0, adds k to the shared number, after \
           `work` steps of spin's chain from k",
    answer: "`updates`; `value`, the sum of 0..`updates` modulo 2^64",
    input: None,
    parameters: &[
        Parameter {
            name: "updates",
            about: "how many updates there are, over all workers",
            unit: "updates",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000_000 },
            default: "10000000",
        },
        Parameter {
            name: "form",
            about: "how the number is shared; async-mutex and async-rwlock are tokio's",
            unit: "",
            kind: ParameterKind::Choice(&[
                "mutex",
                "rwlock",
                "atomic",
                "sharded",
                "channel",
                "async-mutex",
                "async-rwlock",
            ]),
            default: "mutex",
        },
        Parameter {
            name: "work",
            about: "what a worker computes by itself before each update",
            unit: "steps",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "0",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("updates", "1000000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("updates", "100000000")] },
    ],
    grows: Some("updates"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// Messages that a channel holds: enough that neither side waits for each single one.
const CAPACITY: usize = 1024;

/// How the number is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Mutex,
    RwLock,
    Atomic,
    Sharded,
    Channel,
    AsyncMutex,
    AsyncRwLock,
}

impl Form {
    /// # Panics
    /// When `form` is none that the definition allows: a bug there.
    fn new(parameters: &Parameters) -> Self {
        match parameters.text("form") {
            "mutex" => Self::Mutex,
            "rwlock" => Self::RwLock,
            "atomic" => Self::Atomic,
            "sharded" => Self::Sharded,
            "channel" => Self::Channel,
            "async-mutex" => Self::AsyncMutex,
            "async-rwlock" => Self::AsyncRwLock,
            other => panic!("no form is called '{other}'"),
        }
    }

    /// Whether only a future can wait for it.
    fn is_awaited(self) -> bool {
        matches!(self, Self::AsyncMutex | Self::AsyncRwLock)
    }

    /// For the fairness card: what the updates of a crew go through.
    fn transport(self, crew: &Crew) -> &'static str {
        match (self, crew) {
            (_, Crew::Sequential) => "none",
            (Self::Mutex, _) => "std::sync::Mutex",
            (Self::RwLock, _) => "std::sync::RwLock, only written",
            (Self::Atomic, _) => "AtomicU64::fetch_add, relaxed",
            (Self::Sharded, _) => "an AtomicU64 per worker, padded",
            (Self::Channel, Crew::Async(_)) => "tokio::sync::mpsc, bounded",
            (Self::Channel, _) => "crossbeam-channel",
            (Self::AsyncMutex, _) => "tokio::sync::Mutex",
            (Self::AsyncRwLock, _) => "tokio::sync::RwLock, only written",
        }
    }
}

/// A poisoned number is still a number; the panic that poisoned it is reported by the crew.
impl Shared for Mutex<u64> {
    #[inline]
    fn add(&self, _worker: usize, amount: u64) {
        let mut value = self.lock().unwrap_or_else(PoisonError::into_inner);
        *value = value.wrapping_add(amount);
    }

    fn total(&self) -> u64 {
        *self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared for RwLock<u64> {
    #[inline]
    fn add(&self, _worker: usize, amount: u64) {
        let mut value = self.write().unwrap_or_else(PoisonError::into_inner);
        *value = value.wrapping_add(amount);
    }

    fn total(&self) -> u64 {
        *self.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Relaxed is enough for a sum: additions of one atomic have one order, and who reads the total
/// has waited for all workers.
impl Shared for AtomicU64 {
    #[inline]
    fn add(&self, _worker: usize, amount: u64) {
        self.fetch_add(amount, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }
}

/// A number per worker, each on cache lines of its own.
struct Sharded(Vec<CachePadded<AtomicU64>>);

impl Sharded {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::new(AtomicU64::new(0))).collect())
    }
}

impl Shared for Sharded {
    #[inline]
    fn add(&self, worker: usize, amount: u64) {
        self.0[worker].fetch_add(amount, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        let shards = self.0.iter().map(|shard| shard.load(Ordering::Relaxed));
        shards.fold(0, u64::wrapping_add)
    }
}

/// The workload.
#[derive(Debug)]
pub struct Contention {
    crew: Crew,
    form: Form,
    updates: Updates,
    chain: Chain,
    last: Outcome,
}

impl Probe for Contention {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, parameters: &Parameters) -> Option<String> {
        let futures = matches!(executor, "async" | "async:current-thread");
        crew::unsupported(executor).or_else(|| {
            let form = Form::new(parameters);
            let refused = form.is_awaited() && !futures && executor != "sequential";
            refused.then(|| {
                "tokio's locks are waited for by futures, and its workers are none: give \
                 form=mutex or form=rwlock, or see async"
                    .to_owned()
            })
        })
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        let parameters = context.parameters;
        if let Some(reason) = Self::unsupported(context.executor, parameters) {
            return Err(ProbeError::Unsupported(reason));
        }
        let updates = Updates {
            count: parameters.integer("updates"),
            work: parameters.integer("work"),
            numbered: true,
        };
        Ok(Box::new(Self {
            crew: Crew::start(context)?,
            form: Form::new(parameters),
            updates,
            chain: Chain::new(),
            last: Outcome::default(),
        }))
    }
}

impl Contention {
    fn outcome(&self) -> Result<Outcome, TaskError> {
        let Self { crew, form, updates, chain, .. } = self;
        if let Crew::Sequential = crew {
            return Ok(updates.alone(chain));
        }
        match form {
            Form::Mutex => updates.split(crew, chain, Mutex::new(0)),
            Form::RwLock => updates.split(crew, chain, RwLock::new(0)),
            Form::Atomic => updates.split(crew, chain, AtomicU64::new(0)),
            Form::Sharded => updates.split(crew, chain, Sharded::new(crew.workers())),
            Form::Channel | Form::AsyncMutex | Form::AsyncRwLock => {
                let began = Instant::now();
                let (made, total) = self.awaited()?;
                Ok(Outcome { made, total, elapsed: began.elapsed() })
            }
        }
    }

    /// The forms that futures write in another way than threads: updates made, and their sum.
    fn awaited(&self) -> Result<(u64, u64), TaskError> {
        match (self.form, &self.crew) {
            (Form::Channel, Crew::Async(tokio)) => self.future_channel(tokio),
            (Form::Channel, crew) => self.channel(crew),
            (Form::AsyncRwLock, Crew::Async(tokio)) => self.future_rwlock(tokio),
            (_, Crew::Async(tokio)) => self.future_mutex(tokio),
            _ => Err(TaskError::new("tokio's locks need futures; give another form")),
        }
    }

    /// Workers send; this thread owns the number and adds.
    fn channel(&self, crew: &Crew) -> Result<(u64, u64), TaskError> {
        let Self { updates, ref chain, .. } = *self;
        let workers = crew.workers();
        let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
        // Each worker takes its sender with it: the channel ends when the last one is dropped.
        let senders: Vec<_> = (0..workers).map(|_| Mutex::new(Some(sender.clone()))).collect();
        drop(sender);
        let chain = chain.clone();
        let job: Job = Arc::new(move |worker| {
            let sender = senders[worker].lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(sender) = sender else { return };
            let mut last = 0;
            for number in updates.slice(worker, workers) {
                updates.compute(&chain, number, &mut last);
                // The owner receives until all senders are gone.
                let _ = sender.send(updates.amount(number));
            }
            std::hint::black_box(last);
        });
        crew.run_beside(&job, || receiver.iter().fold((0, 0), added))
    }

    fn future_channel(&self, tokio: &Tokio) -> Result<(u64, u64), TaskError> {
        let Self { updates, ref chain, .. } = *self;
        let workers = self.crew.workers();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
        let future = |worker| {
            let (sender, chain) = (sender.clone(), chain.clone());
            async move {
                let mut last = 0;
                for number in updates.slice(worker, workers) {
                    updates.compute(&chain, number, &mut last);
                    let _ = sender.send(updates.amount(number)).await;
                }
                std::hint::black_box(last);
            }
        };
        // Made here, so that the sender that they are cloned from can be dropped before the owner
        // begins to receive.
        let mut futures: Vec<_> = (0..workers).map(|worker| Some(future(worker))).collect();
        drop(sender);
        let owner = async {
            let mut sum = (0, 0);
            while let Some(amount) = receiver.recv().await {
                sum = added(sum, amount);
            }
            sum
        };
        tokio.run_futures(|worker| futures[worker].take().expect("each once"), owner)
    }

    fn future_mutex(&self, tokio: &Tokio) -> Result<(u64, u64), TaskError> {
        let Self { updates, ref chain, .. } = *self;
        let workers = self.crew.workers();
        let state = Arc::new(tokio::sync::Mutex::new((0, 0)));
        let future = |worker| {
            let (state, chain) = (Arc::clone(&state), chain.clone());
            async move {
                let mut last = 0;
                for number in updates.slice(worker, workers) {
                    updates.compute(&chain, number, &mut last);
                    let mut sum = state.lock().await;
                    *sum = added(*sum, updates.amount(number));
                }
                std::hint::black_box(last);
            }
        };
        tokio.run_futures(future, async {})?;
        Ok(*state.blocking_lock())
    }

    fn future_rwlock(&self, tokio: &Tokio) -> Result<(u64, u64), TaskError> {
        let Self { updates, ref chain, .. } = *self;
        let workers = self.crew.workers();
        let state = Arc::new(tokio::sync::RwLock::new((0, 0)));
        let future = |worker| {
            let (state, chain) = (Arc::clone(&state), chain.clone());
            async move {
                let mut last = 0;
                for number in updates.slice(worker, workers) {
                    updates.compute(&chain, number, &mut last);
                    let mut sum = state.write().await;
                    *sum = added(*sum, updates.amount(number));
                }
                std::hint::black_box(last);
            }
        };
        tokio.run_futures(future, async {})?;
        Ok(*state.blocking_read())
    }
}

/// One more update.
fn added((made, total): (u64, u64), amount: u64) -> (u64, u64) {
    (made + 1, total.wrapping_add(amount))
}

impl Experiment for Contention {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.last = self.updates.complete(self.outcome()?)?;
        Ok(Answer::new().count("updates", self.last.made).count("value", self.last.total))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        vec![("nanoseconds-per-update", self.last.nanoseconds_per_update())]
    }

    fn actual(&self) -> (usize, usize) {
        (self.crew.threads(), 1)
    }

    fn tasks(&self) -> usize {
        self.crew.workers()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let transport = self.form.transport(&self.crew);
        vec![("construct", self.crew.construct().to_owned()), ("transport", transport.to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        self.crew.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overhead::crew::tests::sampled;

    const FORMS: [&str; 7] =
        ["mutex", "rwlock", "atomic", "sharded", "channel", "async-mutex", "async-rwlock"];

    /// `sum(range(10000))` in Python 3.
    #[test]
    fn no_form_loses_an_update() {
        let expected = r#"{"updates":10000,"value":49995000}"#;
        for form in FORMS {
            for work in ["0", "2"] {
                let changes = [("form", form), ("updates", "10000"), ("work", work)];
                for (name, sample) in sampled::<Contention>(&changes) {
                    assert_eq!(sample.answer, expected, "{form} {name}");
                }
            }
        }
    }

    #[test]
    fn no_updates_are_no_sum_and_take_no_time_each() {
        for (name, sample) in sampled::<Contention>(&[("updates", "0")]) {
            assert_eq!(sample.answer, r#"{"updates":0,"value":0}"#, "{name}");
            assert!(sample.counters[0].1.is_finite(), "{name}");
        }
    }

    #[test]
    fn tokios_locks_are_for_futures_only() {
        let parameters =
            Parameters::from_texts(&DEFINITION, [("form", "async-mutex")]).expect("allowed");
        assert_eq!(Contention::unsupported("async", &parameters), None);
        assert_eq!(Contention::unsupported("sequential", &parameters), None);
        let reason = Contention::unsupported("threads", &parameters).expect("refused");
        assert!(reason.contains("form=mutex"), "{reason}");
        let (executor, helper) = ("threads", std::path::Path::new("unused"));
        let parameters = &parameters;
        let context = ProbeContext { parameters, seed: 0, executor, workers: 1, helper };
        assert_eq!(Contention::start(&context).err(), Some(ProbeError::Unsupported(reason)));
    }
}
