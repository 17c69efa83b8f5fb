//! Python's own process pool, the yardstick of ours.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::side::{Result, workers};

/// A Python that has a `multiprocessing.Pool` and times it.
///
/// It times itself, so that neither its start nor the pipe to it is counted; the pool persists,
/// as ours does.
pub(crate) struct Pool {
    python: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// No-ops per sample: some 150 ms, as one costs about 14 microseconds.
const TASKS: usize = 10_000;

impl Pool {
    /// Starts it and runs it once, so that its workers are there.
    pub(crate) fn start() -> Result<Self> {
        let mut python = Command::new("python3")
            .args(["-c", include_str!("pool.py")])
            .args([workers().to_string(), TASKS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run python3: {error}"))?;
        let answers = python.stdout.take().ok_or("python3 has no output")?;
        let questions = python.stdin.take();
        let mut pool = Self { python, questions, answers: BufReader::new(answers) };
        pool.ns_per_task()?;
        Ok(pool)
    }

    /// Nanoseconds per no-op of one `map` with chunks of one.
    pub(crate) fn ns_per_task(&mut self) -> Result<f64> {
        let seconds = self.ask().map_err(|error| format!("python3 gave no time: {error}"))?;
        let seconds: f64 = seconds
            .trim()
            .parse()
            .map_err(|_| format!("python3 gave no time but '{}'", seconds.trim()))?;
        Ok(seconds * 1e9 / TASKS as f64)
    }

    fn ask(&mut self) -> std::io::Result<String> {
        if let Some(questions) = &mut self.questions {
            questions.write_all(b"\n")?;
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.questions = None; // the end of its input is the end of its loop
        let _ = self.python.wait(); // its exit code changes no number
    }
}
