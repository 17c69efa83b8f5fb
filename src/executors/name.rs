//! The executors' names, as typed, stored and shown, and what they are in one line.

use std::fmt;
use std::str::FromStr;

use manyhands_contract::parameters::nearest;
use manyhands_record::ExecutorText;

/// One concurrency model or a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExecutorName {
    /// `sequential`
    Sequential,
    /// `threads`
    Threads,
    /// `threads:static`
    ThreadsStatic,
    /// `threads:spawn`
    ThreadsSpawn,
    /// `processes`, also `processes:spawn`
    Processes,
    /// `processes:fork`
    ProcessesFork,
    /// `processes:shm`
    ProcessesShm,
    /// `rayon`
    Rayon,
    /// `async`
    Async,
    /// `async:pull`
    AsyncPull,
    /// `async:current-thread`
    AsyncCurrentThread,
    /// `async:blocking`
    AsyncBlocking,
}

/// What is said of an executor: in `list`, on fairness cards, in the record.
struct Text {
    name: &'static str,
    summary: &'static str,
    workers: &'static str,
    construct: &'static str,
    /// Crates whose versions belong on the fairness card.
    crates: &'static [&'static str],
    transport: &'static str,
}

impl ExecutorName {
    /// All of them, in the order in which `list` prints them.
    pub const ALL: [Self; 12] = [
        Self::Sequential,
        Self::Threads,
        Self::ThreadsStatic,
        Self::ThreadsSpawn,
        Self::Processes,
        Self::ProcessesFork,
        Self::ProcessesShm,
        Self::Rayon,
        Self::Async,
        Self::AsyncPull,
        Self::AsyncCurrentThread,
        Self::AsyncBlocking,
    ];

    /// The five models, each in its plain form: what a run compares unless told otherwise.
    pub const MODELS: [Self; 5] =
        [Self::Sequential, Self::Threads, Self::Processes, Self::Rayon, Self::Async];

    /// The name on the command line and in the record.
    pub fn as_str(self) -> &'static str {
        self.text().name
    }

    /// What its fairness card calls it.
    pub fn construct(self) -> &'static str {
        self.text().construct
    }

    /// Crates that it is made of.
    pub fn crates(self) -> &'static [&'static str] {
        self.text().crates
    }

    /// How data reaches its workers.
    pub fn transport(self) -> &'static str {
        self.text().transport
    }

    /// Whether its tasks run in other processes.
    pub fn is_process_pool(self) -> bool {
        matches!(self, Self::Processes | Self::ProcessesFork | Self::ProcessesShm)
    }

    /// Whether buffers must lie in memory that other processes can attach to.
    pub fn needs_shared_storage(self) -> bool {
        self == Self::ProcessesShm
    }

    /// What the record says of it.
    pub fn record_text(self) -> ExecutorText {
        let text = self.text();
        ExecutorText {
            name: text.name.to_owned(),
            summary: text.summary.to_owned(),
            workers: text.workers.to_owned(),
        }
    }

    fn text(self) -> &'static Text {
        const SHARED: &str = "shared memory";
        const FRAMES: &str = "length-prefixed postcard frames over a socket pair";
        match self {
            Self::Sequential => &Text {
                name: "sequential",
                summary: "a plain loop: the baseline of every speed-up",
                workers: "always 1",
                construct: "a loop",
                crates: &[],
                transport: "none",
            },
            Self::Threads => &Text {
                name: "threads",
                summary: "a fixed pool of threads fed through a bounded channel",
                workers: "threads",
                construct: "std::thread pool, chunks pulled from a bounded channel",
                crates: &["crossbeam-channel"],
                transport: SHARED,
            },
            Self::ThreadsStatic => &Text {
                name: "threads:static",
                summary: "scoped threads, each with an equal slice of the tasks",
                workers: "threads",
                construct: "std::thread::scope, one slice a thread",
                crates: &[],
                transport: SHARED,
            },
            Self::ThreadsSpawn => &Text {
                name: "threads:spawn",
                summary: "a thread per chunk, at most `workers` at once",
                workers: "threads at once",
                construct: "std::thread::scope, one thread a chunk",
                crates: &["crossbeam-channel"],
                transport: SHARED,
            },
            Self::Processes => &Text {
                name: "processes",
                summary: "worker processes, started afresh, fed through socket pairs",
                workers: "processes",
                construct: "worker processes by exec, several frames in flight",
                crates: &["postcard"],
                transport: FRAMES,
            },
            Self::ProcessesFork => &Text {
                name: "processes:fork",
                summary: "worker processes forked after the input is loaded (copy-on-write)",
                workers: "processes",
                construct: "worker processes by fork, several frames in flight",
                crates: &["postcard"],
                transport: FRAMES,
            },
            Self::ProcessesShm => &Text {
                name: "processes:shm",
                summary: "worker processes on one shared mapping: input, task counter, results",
                workers: "processes",
                construct: "worker processes by exec, an atomic task counter and a futex",
                crates: &["postcard", "memmap2"],
                transport: "one shared mapping",
            },
            Self::Rayon => &Text {
                name: "rayon",
                summary: "the rayon pool: work stealing",
                workers: "threads",
                construct: "rayon::join, halving the range down to single chunks",
                crates: &["rayon"],
                transport: SHARED,
            },
            Self::Async => &Text {
                name: "async",
                summary: "tokio, multi-thread: a task spawned per chunk under a semaphore",
                workers: "futures in flight",
                construct: "tokio::spawn per chunk under a semaphore, multi-thread runtime",
                crates: &["tokio"],
                transport: SHARED,
            },
            Self::AsyncPull => &Text {
                name: "async:pull",
                summary: "tokio, multi-thread: as many futures as workers, pulling chunks",
                workers: "futures in flight",
                construct: "one tokio task a worker, chunks from an atomic counter",
                crates: &["tokio"],
                transport: SHARED,
            },
            Self::AsyncCurrentThread => &Text {
                name: "async:current-thread",
                summary: "tokio on one thread, as Python's asyncio",
                workers: "futures in flight",
                construct: "tokio::spawn per chunk under a semaphore, current-thread runtime",
                crates: &["tokio"],
                transport: "none: one thread",
            },
            Self::AsyncBlocking => &Text {
                name: "async:blocking",
                summary: "tokio with blocking code on its blocking pool",
                workers: "blocking threads",
                construct: "tokio::task::spawn_blocking per chunk under a semaphore",
                crates: &["tokio"],
                transport: SHARED,
            },
        }
    }
}

impl fmt::Display for ExecutorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line: the name that is not one, the nearest, and all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownExecutor(String);

impl fmt::Display for UnknownExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownExecutor {}

impl FromStr for ExecutorName {
    type Err = UnknownExecutor;

    fn from_str(typed: &str) -> Result<Self, UnknownExecutor> {
        if typed == "processes:spawn" {
            return Ok(Self::Processes);
        }
        Self::ALL.into_iter().find(|name| name.as_str() == typed).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            let hint = nearest(typed, names)
                .map_or(String::new(), |near| format!("did you mean '{near}'? "));
            let names = names.join(", ");
            UnknownExecutor(format!("there is no executor '{typed}'; {hint}there are {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_itself() {
        for name in ExecutorName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert_eq!("processes:spawn".parse(), Ok(ExecutorName::Processes));
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = "thread:static".parse::<ExecutorName>().unwrap_err();
        assert!(error.to_string().contains("did you mean 'threads:static'?"), "{error}");
    }
}
