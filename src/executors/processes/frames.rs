//! The frames between a coordinator and its workers: a length (u32, little-endian), then one
//! message in postcard, then whatever that message says comes with it.

use std::io::{self, Read};
use std::ops::Range;

use manyhands_contract::{Region, Storage};
use manyhands_record::{Failure, FailureKind};
use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::failed;
use crate::executors::Recipe;
use crate::measure::Usage;

/// What a coordinator tells a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// First of all, to a worker that was exec'ed: make the workload. Answered by `Ready`.
    Prepare(Box<Preparation>),
    /// A phase begins; the phase comes with it.
    Phase,
    /// Run a chunk; the regions that it reads come with it. Answered by `Done`, `Failed` or, in
    /// the end, by the worker's death.
    Run(Range<usize>),
    /// Reset the workload. Answered by `Ready`.
    Reset,
    /// Answered by `Usage`.
    Usage,
}

/// What a worker needs to make its own copy of the workload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Preparation {
    pub(super) recipe: Recipe,
    /// For `processes:shm`: where in the shared mapping the arena is.
    pub(super) arena: Option<ArenaPlace>,
}

/// A worker's place in the arena of `processes:shm`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ArenaPlace {
    /// This worker's number.
    pub(super) worker: usize,
    /// Of how many.
    pub(super) workers: usize,
    /// What the arena's first bytes hold, to notice one that was looked for in the wrong place.
    pub(super) mark: u64,
}

/// What a worker tells its coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    /// Done with `Prepare` or `Reset`; the first one comes unasked from a forked worker.
    Ready,
    /// One or more neighbouring chunks are done; their partial and the regions that they wrote
    /// come with it.
    Done {
        tasks: Range<usize>,
        /// How long they took, for the coordinator to choose how many chunks to have in flight.
        busy_ns: u64,
    },
    /// CPU time and switches so far.
    Usage(Usage),
    /// Nothing more will come from this worker.
    Failed(Failure),
    /// `processes:shm`: the worker's ring should be emptied.
    Drain,
    /// `processes:shm`: there were no more chunks, and all results are in the ring.
    Finished,
}

/// Appends one frame: a message and what comes with it.
pub(super) fn append<T: Serialize>(
    out: &mut Vec<u8>,
    message: &T,
    with: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    append_value(out, message)?;
    with(out)?;
    let len = out.len() - start - 4;
    let prefix = u32::try_from(len).map_err(|_| {
        let reason = format!(
            "{len} bytes do not fit in a frame of at most 4 GiB; use a smaller chunk, or \
             processes:shm"
        );
        failed(FailureKind::Error, reason)
    })?;
    out[start..start + 4].copy_from_slice(&prefix.to_le_bytes());
    Ok(())
}

/// Appends a value in postcard.
pub(super) fn append_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), Failure> {
    postcard::serialize_with_flavor(value, Appending(out)).map_err(|error| {
        failed(FailureKind::Protocol, format!("a value cannot be sent to a process: {error}"))
    })
}

/// Writes to the end of a buffer that is used again: postcard's own flavors want a new buffer or
/// one of known size.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends regions of output buffers, each followed by its bytes.
pub(super) fn append_regions(
    out: &mut Vec<u8>,
    storage: &Storage,
    regions: &[Region],
) -> Result<(), Failure> {
    for region in regions {
        append_value(out, region)?;
        storage.copy_out(region, out);
    }
    Ok(())
}

/// Puts regions that came with a frame where they belong.
pub(super) fn take_regions(mut bytes: &[u8], storage: &Storage) -> Result<(), Failure> {
    while !bytes.is_empty() {
        let region: Region = take_value(&mut bytes)?;
        let (content, rest) =
            bytes.split_at_checked(region.bytes.len()).ok_or_else(|| unreadable("cut off"))?;
        storage.copy_in(&region, content);
        bytes = rest;
    }
    Ok(())
}

/// Reads one value from the front of a frame.
#[inline]
pub(super) fn take_value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Failure> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(unreadable)?;
    *bytes = rest;
    Ok(value)
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    failed(FailureKind::Protocol, format!("a frame between processes is unreadable: {error}"))
}

/// Bytes that arrived, until they are whole frames.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Bytes asked for at once: what a socket buffer holds of small frames, and more than a worker
/// answers in one go.
const READ: usize = 64 * 1024;

impl Inbox {
    /// The next whole frame, without its length.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let (prefix, rest) = self.buffer[self.start..self.end].split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*prefix) as usize;
        if rest.len() < len {
            return None;
        }
        let body = self.start + 4;
        self.start = body + len;
        Some(&self.buffer[body..body + len])
    }

    /// Reads once; 0 is the end of file.
    pub(super) fn fill(&mut self, mut from: impl Read) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Twice what is there: a large frame takes a number of reads that grows with its logarithm.
        let room = READ.max(self.end * 2);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        loop {
            match from.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let mut sent = Vec::new();
        for start in 0..50_usize {
            let with = |out: &mut Vec<u8>| {
                out.extend(std::iter::repeat_n(7, start * 37));
                Ok(())
            };
            append(&mut sent, &ToWorker::Run(start..start + 1), with).expect("small");
        }
        for cut in [1, 2, 3, 7, 1000] {
            let (mut inbox, mut seen) = (Inbox::default(), 0);
            for piece in sent.chunks(cut) {
                inbox.fill(piece).expect("memory");
                while let Some(mut frame) = inbox.next() {
                    let message = take_value(&mut frame).expect("whole");
                    assert!(matches!(message, ToWorker::Run(range) if range.start == seen));
                    assert_eq!(frame, vec![7; seen * 37]);
                    seen += 1;
                }
            }
            assert_eq!(seen, 50);
        }
    }

    #[test]
    fn regions_are_carried_with_their_bytes() {
        let (here, there) = (Storage::private(), Storage::private());
        let (a, b) =
            (here.output::<u16>(8).expect("memory"), there.output::<u16>(8).expect("memory"));
        a.write(2..5).copy_from_slice(&[1, 2, 3]);
        let mut bytes = Vec::new();
        append_regions(&mut bytes, &here, &[a.region(2..4), a.region(4..5)]).expect("small");
        take_regions(&bytes, &there).expect("whole");
        assert_eq!(*b.read(0..8), [0, 0, 1, 2, 3, 0, 0, 0]);
    }
}
