//! An experiment with one hand-written form per executor.
//!
//! Some questions are about a construct and not about a list of tasks: what does a thread weigh,
//! what does a lock cost, who waits for whom? Such a workload is no [`Map`](crate::Map). It brings
//! its own code for each executor, as a person would write it with that library, and says why
//! where there is none.

use std::path::Path;

use crate::answer::Answer;
use crate::definition::Definition;
use crate::map::TaskError;
use crate::parameters::Parameters;

/// A workload of shape `probe`.
pub trait Probe: 'static {
    /// What `list` and `describe` print and what the command line is checked against.
    const DEFINITION: &'static Definition;

    /// Why there is no form of this experiment for an executor, by its name on the command line
    /// (`threads:static`); `None` where there is one. Asked when a run is planned: no process is
    /// started for what is unsupported.
    fn unsupported(executor: &str, parameters: &Parameters) -> Option<String>;

    /// Starts what the executor's form needs: threads, a runtime, processes. This is timed apart
    /// from the samples.
    ///
    /// # Errors
    /// [`ProbeError::Unsupported`] when the machine's limits stand in the way, by name.
    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError>;
}

/// What [`Probe::start`] is given.
#[derive(Debug)]
pub struct ProbeContext<'a> {
    /// Checked against the definition.
    pub parameters: &'a Parameters,
    /// Seeds everything that is drawn.
    pub seed: u64,
    /// The executor's name on the command line, one for which there is a form.
    pub executor: &'a str,
    /// How many tasks may be in flight.
    pub workers: usize,
    /// The program to start another process with: `HELPER __manyhands probe WORKLOAD ...`.
    pub helper: &'a Path,
}

/// A started form of a probe.
pub trait Experiment {
    /// Executes the experiment once, completely: the timed region.
    ///
    /// # Errors
    /// Why it could not be completed.
    fn sample(&mut self) -> Result<Answer, TaskError>;

    /// What the last sample counted beside its answer: `("lost-updates", 17.0)`. Names are
    /// lower-case words joined by hyphens and end in their unit where they have one:
    /// `nanoseconds-per-switch`.
    fn counters(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// CPU time and context switches so far of processes other than this one, by their own
    /// `getrusage`: user nanoseconds, system nanoseconds, voluntary switches, involuntary ones.
    ///
    /// # Errors
    /// When a process died.
    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        Ok([0; 4])
    }

    /// Threads and processes that take part.
    fn actual(&self) -> (usize, usize);

    /// Tasks of a sample.
    fn tasks(&self) -> usize;

    /// What is really used, for the fairness card: `construct` and `transport` take the place of
    /// what the executor would say; others are added.
    fn card(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Ends threads, processes and runtime, and waits until they are gone.
    ///
    /// # Errors
    /// When one did not end as it should.
    fn stop(self: Box<Self>) -> Result<(), TaskError>;
}

/// Why a probe could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeError {
    /// The machine refuses: which limit stands in the way, and how it could be raised.
    Unsupported(String),
    /// Something went wrong.
    Failed(String),
}
