//! What the workloads that download something fold their tasks into.

use manyhands_contract::{InputError, Output, Region, Storage};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::ops::Range;

use super::http::Body;

/// The size of a SHA-256 digest.
const DIGEST: usize = 32;

/// A digest for each task, in order of task whatever the order in which they are done.
#[derive(Debug)]
pub struct Digests {
    of_tasks: Output<u8>,
}

impl Digests {
    /// Room for so many tasks.
    pub fn new(storage: &Storage, tasks: usize) -> Result<Self, InputError> {
        Ok(Self { of_tasks: storage.output(tasks.saturating_mul(DIGEST))? })
    }

    /// Notes the digest of a task and counts its body.
    pub fn put(&self, task: usize, body: &Body, into: &mut Totals) {
        self.of_tasks.write(place(task..task + 1)).copy_from_slice(&body.digest);
        into.count += 1;
        into.bytes += body.bytes;
    }

    /// What `tasks` write.
    pub fn region(&self, tasks: Range<usize>) -> Region {
        self.of_tasks.region(place(tasks))
    }

    /// SHA-256 over the hexadecimal digests in order of task, each with a newline: what
    /// `sha256sum` makes of the first columns of its own output.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for digest in self.of_tasks.read(0..self.of_tasks.len()).chunks_exact(DIGEST) {
            hasher.update(hex(digest));
            hasher.update(b"\n");
        }
        hex(&hasher.finalize())
    }

    /// Forgets every digest, so that one that is missing cannot hide behind the last sample's.
    pub fn clear(&self) {
        self.of_tasks.write(0..self.of_tasks.len()).fill(0);
    }
}

fn place(tasks: Range<usize>) -> Range<usize> {
    tasks.start * DIGEST..tasks.end * DIGEST
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// What a chunk folds its downloads into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Downloads.
    pub count: u64,
    /// The sum of their lengths.
    pub bytes: u64,
}

impl Totals {
    /// Adds another chunk's.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}
