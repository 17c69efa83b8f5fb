//! `payload`: tasks that do little but receive bytes, to measure what moving data costs.

use std::ops::Range;

use manyhands_contract::generate::Stream;
use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Output, Parameter, ParameterKind,
    Parameters, Preset, Region, Shape, Step, Storage, TaskError, TaskFailure, Workload,
};
use serde::{Deserialize, Serialize};

/// `payload`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "payload",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Map,
    summary: "tasks that receive k bytes each: the price of moving data",
    about: "Each task is handed `size` bytes that lie in the first process's memory when the \
            sample begins, adds them up as 64-bit words and returns the sum: work at about the \
            speed of memory, so that what is measured is how the bytes get there. Threads, rayon \
            and async only pass a reference; with `move=copied` each task first copies its bytes \
            into memory of its worker's own, as a program does that must not share them. \
            Processes over sockets, forked ones too, are sent every byte through the kernel: \
            written into a frame, copied in and out of a socket buffer, and put in its place; \
            expect them to lose to a plain loop at any size and any number of workers. \
            processes:shm has the bytes in a mapping that all share, and comes out near threads. \
            With `size=8` nothing but the hand-over is left.",
    task: "task i receives payload p = i mod P, where P = max(1, min(`tasks`, floor(16 MiB / \
           `size`))): the first `size` bytes of values p w, p w + 1, ... of stream 0, as \
           little-endian 64-bit words, where w = ceil(`size` / 8). Its checksum is the sum of \
           those words modulo 2^64, the last one filled up with zero bytes",
    answer: "`tasks`; `bytes` that they received; `checksum`, the sum over the tasks of (i + 1) \
             times the checksum of task i, modulo 2^64",
    input: None,
    parameters: &[
        Parameter {
            name: "tasks",
            about: "how many payloads are handed out",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "40000",
        },
        Parameter {
            name: "size",
            about: "how large each is",
            unit: "bytes",
            kind: ParameterKind::Integer { min: 1, max: 1 << 30 },
            default: "65536",
        },
        Parameter {
            name: "move",
            about: "whether a task reads the bytes where they are, or a copy of its own",
            unit: "",
            kind: ParameterKind::Choice(&["shared", "copied"]),
            default: "shared",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("tasks", "4000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("tasks", "400000")] },
    ],
    grows: Some("tasks"),
    length: None,
    // A payload is handed out by itself: what is measured is the price of one.
    max_chunk: Some(1),
    simulated: false,
};

/// Payloads are used again beyond this many bytes: more than the caches near a core hold, and
/// little enough to be made again before each sample.
const DISTINCT_BYTES: usize = 16 << 20;

/// The workload.
#[derive(Debug, Clone)]
pub struct Payload {
    tasks: usize,
    size: usize,
    copied: bool,
    payloads: Output<u8>,
    stream: Stream,
    /// The process in whose memory the payloads are made; `None` in a process that was started to
    /// work for it. A forked worker is known by having another number.
    maker: Option<u32>,
}

/// What tasks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Bytes received.
    pub bytes: u64,
    /// Their checksums, each times its task's number plus one, modulo 2^64.
    pub checksum: u64,
}

impl Payload {
    /// As the parameters of [`DEFINITION`] say.
    ///
    /// # Errors
    /// When there is no memory for the payloads.
    fn new(
        parameters: &Parameters,
        seed: u64,
        storage: &Storage,
        maker: Option<u32>,
    ) -> Result<Self, InputError> {
        let (tasks, size) = (parameters.size("tasks"), parameters.size("size"));
        let distinct = tasks.min(DISTINCT_BYTES / size).max(1);
        Ok(Self {
            tasks,
            size,
            copied: parameters.text("move") == "copied",
            payloads: storage.output(distinct * size)?,
            stream: Stream::new(seed, 0),
            maker,
        })
    }

    /// Where a task's payload lies.
    #[inline]
    fn place(&self, task: usize) -> Range<usize> {
        let start = task % (self.payloads.len() / self.size) * self.size;
        start..start + self.size
    }

    fn make(&self, payloads: &mut [u8]) {
        let words = self.size.div_ceil(8) as u64;
        for (payload, number) in payloads.chunks_exact_mut(self.size).zip(0_u64..) {
            for (word, i) in payload.chunks_mut(8).zip(number * words..) {
                word.copy_from_slice(&self.stream.bits(i).to_le_bytes()[..word.len()]);
            }
        }
    }
}

/// The sum of the bytes as little-endian words, the last one filled up with zeroes.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    sum.wrapping_add(u64::from_le_bytes(last))
}

impl Map for Payload {
    type Phase = ();
    /// Room for a copy.
    type Local = Vec<u8>;
    type Partial = Sums;

    fn local(&self) -> Result<Vec<u8>, TaskError> {
        Ok(Vec::with_capacity(if self.copied { self.size } else { 0 }))
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.tasks
    }

    fn empty(&self, _phase: &()) -> Sums {
        Sums::default()
    }

    fn run(
        &self,
        own: &mut Vec<u8>,
        _phase: &(),
        task: usize,
        into: &mut Sums,
    ) -> Result<(), TaskError> {
        self.run_chunk(own, &(), task..task + 1, into).map_err(|failure| failure.error)
    }

    /// Claims the payloads once for the chunk, not once a task.
    fn run_chunk(
        &self,
        own: &mut Vec<u8>,
        _phase: &(),
        tasks: Range<usize>,
        into: &mut Sums,
    ) -> Result<(), TaskFailure> {
        let payloads = self.payloads.read(0..self.payloads.len());
        for task in tasks {
            let mut payload = &payloads[self.place(task)];
            if self.copied {
                own.clear();
                own.extend_from_slice(payload);
                payload = own;
            }
            let weighted = checksum(payload).wrapping_mul(task as u64 + 1);
            into.bytes += payload.len() as u64;
            into.checksum = into.checksum.wrapping_add(weighted);
        }
        Ok(())
    }

    fn merge(&self, left: &mut Sums, right: Sums) {
        left.bytes += right.bytes;
        left.checksum = left.checksum.wrapping_add(right.checksum);
    }

    fn next(&self, (): (), sums: Sums) -> Result<Step<()>, TaskError> {
        let answer = Answer::new()
            .count("tasks", self.tasks as u64)
            .count("bytes", sums.bytes)
            .count("checksum", sums.checksum);
        Ok(Step::Done(answer))
    }

    /// Makes the payloads in the first process, and takes those of the last sample from the
    /// others: what they add up must have been moved to them.
    fn reset(&self) -> Result<(), TaskError> {
        let mut payloads = self.payloads.write(0..self.payloads.len());
        if self.maker == Some(std::process::id()) {
            self.make(&mut payloads);
        } else {
            payloads.fill(0);
        }
        Ok(())
    }

    /// One region a task, also where two tasks of a chunk have the same payload: each is handed
    /// its own.
    fn reads(&self, _phase: &(), tasks: Range<usize>) -> Vec<Region> {
        tasks.map(|task| self.payloads.region(self.place(task))).collect()
    }
}

impl Workload for Payload {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let maker = context.handover.is_none().then(std::process::id);
        Self::new(context.parameters, context.seed, context.storage, maker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_in_all_chunks;

    fn payload(changes: &[(&str, &str)], seed: u64, maker: Option<u32>) -> Payload {
        let parameters =
            Parameters::from_texts(&DEFINITION, changes.iter().copied()).expect("allowed values");
        Payload::new(&parameters, seed, &Storage::private(), maker).expect("memory")
    }

    /// Computed by Python 3 from the definition.
    #[test]
    fn answers_are_those_that_python_gives() {
        let cases = [
            (7, "10", "100", r#"{"tasks":10,"bytes":1000,"checksum":"6033380667237397735"}"#),
            (7, "1", "8", r#"{"tasks":1,"bytes":8,"checksum":"17527383841289775211"}"#),
            (3, "5", "1", r#"{"tasks":5,"bytes":5,"checksum":1210}"#),
            (3, "0", "1", r#"{"tasks":0,"bytes":0,"checksum":0}"#),
        ];
        for (seed, tasks, size, expected) in cases {
            for way in ["shared", "copied"] {
                let changes = [("tasks", tasks), ("size", size), ("move", way)];
                let work = payload(&changes, seed, Some(std::process::id()));
                assert_eq!(same_in_all_chunks(&work).to_string(), expected, "{changes:?}");
            }
        }
    }

    /// Two payloads of 8 MiB fit; the third task receives the first one again.
    #[test]
    fn payloads_are_used_again_when_they_are_large() {
        let work = payload(&[("tasks", "3"), ("size", "8MiB")], 7, None);
        assert_eq!(work.place(2), 0..8 << 20);
        assert_eq!(work.reads(&(), 1..3).len(), 2);
        let larger = payload(&[("tasks", "3"), ("size", "17MiB")], 7, None);
        assert_eq!(larger.place(2), 0..17 << 20);
    }

    #[test]
    fn a_worker_that_is_handed_nothing_gives_a_wrong_answer() {
        let changes = [("tasks", "10"), ("size", "100")];
        let maker = payload(&changes, 7, Some(std::process::id()));
        let worker = payload(&changes, 7, None);
        assert!(same_in_all_chunks(&maker).check(&same_in_all_chunks(&worker)).is_err());
    }
}
