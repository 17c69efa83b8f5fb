//! `files`: reading many small files, cold or warm.

use std::io;
use std::ops::Range;
use std::path::Path;

use manyhands_contract::{
    Context, Definition, InputError, Kind, Map, Output, Parameter, ParameterKind, Parameters,
    Preset, Region, Shape, Step, TaskError, Workload,
};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::corpus::{self, Corpus};
use crate::cpu::hash::{BUFFER, Hashed, Sum, hash_file};

/// Up to this size the async form reads a file whole, in one trip to the blocking pool.
const SMALL: u64 = 1 << 20;

static DEFINITION: Definition = Definition {
    name: "files",
    version: 1,
    kind: Kind::Io,
    shape: Shape::Map,
    summary: "many small files read, from the page cache or from the disk",
    about: "Loading thousands of small files: thumbnails, logs, mail, source code. From the page \
            cache (warm) there is next to no waiting: opening, copying and closing are system \
            calls that use a core, so more workers than cores do not help. From the disk (cold: \
            the kernel is asked to drop the files before each sample) each read waits, and \
            workers beyond the number of cores pay until the disk's own queue is full. Linux has \
            no ready-made asynchronous file read that runtimes use by default: tokio::fs hands \
            every call to a pool of threads and waits for them, so async here is threads with a \
            detour, and on a warm cache the detour is most of the time. Digests are only there \
            to check that every byte was read; SHA-256 takes under a millisecond per MiB.",
    task: "read one file and hash it",
    answer: "files; bytes; digest: SHA-256 over the files' digests in hexadecimal, in order of \
             path, each followed by a newline",
    input: Some(
        "any folders and files; generated: FFF/IIIIII.bin of random bytes, sizes skewed (a few \
         large, many small)",
    ),
    parameters: &[
        Parameter {
            name: "files",
            about: "how many files are generated",
            unit: "files",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000 },
            default: "500",
        },
        Parameter {
            name: "bytes",
            about: "their mean size; the largest is three times that",
            unit: "bytes",
            kind: ParameterKind::Integer { min: 0, max: 1 << 30 },
            default: "16KiB",
        },
        Parameter {
            name: "cache",
            about: "warm: files may be in the page cache; cold: they are dropped from it before \
                    each sample, which needs a file system on a disk",
            unit: "",
            kind: ParameterKind::Choice(&["warm", "cold"]),
            default: "warm",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("files", "64")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("files", "10000")] },
    ],
    grows: Some("files"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// `files`, ready to run.
#[derive(Debug)]
pub struct Files {
    corpus: Corpus,
    digests: Output<Sum>,
    cold: bool,
}

impl Files {
    /// Drops a file from the page cache. Pages that are not on the disk yet cannot be dropped, so
    /// they are written first: once, since nobody changes them again.
    fn drop_from_cache(&self, file: usize) -> Result<(), TaskError> {
        let source = self.corpus.open(file)?;
        source
            .sync_data()
            .and_then(|()| cache::drop(&source))
            .map_err(|error| self.corpus.failed(file, &error))
    }

    fn drop_all(&self) -> Result<(), TaskError> {
        (0..self.corpus.len()).try_for_each(|file| self.drop_from_cache(file))
    }

    /// Advice is only advice: a file system in memory cannot take it. A figure that is called
    /// cold and is not would be worse than none.
    fn check_cold(&self) -> Result<(), InputError> {
        let Some(file) = (0..self.corpus.len()).find(|file| self.corpus.size(*file) > 0) else {
            return Ok(());
        };
        let as_input = |error: TaskError| InputError(error.0);
        self.drop_from_cache(file).map_err(as_input)?;
        let source = self.corpus.open(file).map_err(as_input)?;
        if !cache::holds(&source) {
            return Ok(());
        }
        Err(InputError(format!(
            "the file system keeps {} in memory, so it cannot be read cold: put the input on a \
             disk or use -p cache=warm",
            self.corpus.path(file).display()
        )))
    }

    /// What people write: read the file whole. Every call of `tokio::fs` is a trip to a thread of
    /// the blocking pool and back, so one call is worth a buffer of the file's size; a large file
    /// is read in blocks all the same, so that memory stays flat.
    async fn hash_file_async(
        &self,
        file: usize,
        buffer: &mut [u8],
    ) -> Result<(Sum, u64), TaskError> {
        let path = self.corpus.path(file);
        let result = if self.corpus.size(file) <= SMALL {
            hash_whole(&path).await
        } else {
            hash_in_blocks(&path, buffer).await
        };
        result.map_err(|error| self.corpus.failed(file, &error))
    }

    fn record(&self, file: usize, (digest, bytes): (Sum, u64), into: &mut Hashed) {
        self.digests.write(file..file + 1)[0] = digest;
        into.add(bytes);
    }
}

async fn hash_whole(path: &Path) -> io::Result<(Sum, u64)> {
    let content = tokio::fs::read(path).await?;
    Ok((Sha256::digest(&content).into(), content.len() as u64))
}

async fn hash_in_blocks(path: &Path, buffer: &mut [u8]) -> io::Result<(Sum, u64)> {
    let mut source = tokio::fs::File::open(path).await?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    loop {
        let read = source.read(buffer).await?;
        if read == 0 {
            return Ok((hasher.finalize().into(), bytes));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// The page cache, as far as the system lets one reach it.
#[cfg(target_os = "linux")]
mod cache {
    use std::fs::File;
    use std::io::{self, IoSliceMut};

    use rustix::fs::{Advice, fadvise};
    use rustix::io::{ReadWriteFlags, preadv2};

    pub(super) fn drop(file: &File) -> io::Result<()> {
        Ok(fadvise(file, 0, None, Advice::DontNeed)?)
    }

    /// Whether a file's first byte can be had without waiting for a disk. Where that cannot be
    /// asked, the kernel is taken at its word.
    pub(super) fn holds(file: &File) -> bool {
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        matches!(preadv2(file, buffers, 0, ReadWriteFlags::NOWAIT), Ok(1))
    }
}

/// Other systems have no such advice: nothing can be dropped, so nothing is read cold.
#[cfg(not(target_os = "linux"))]
mod cache {
    use std::fs::File;
    use std::io;

    pub(super) fn drop(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn holds(_file: &File) -> bool {
        true
    }
}

impl Map for Files {
    type Phase = ();
    type Local = Vec<u8>;
    type Partial = Hashed;

    const WAITS: bool = true;

    fn local(&self) -> Result<Vec<u8>, TaskError> {
        Ok(vec![0; BUFFER])
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.corpus.len()
    }

    fn empty(&self, (): &()) -> Hashed {
        Hashed::default()
    }

    fn run(
        &self,
        local: &mut Vec<u8>,
        (): &(),
        task: usize,
        into: &mut Hashed,
    ) -> Result<(), TaskError> {
        self.record(task, hash_file(&self.corpus, task, local)?, into);
        Ok(())
    }

    async fn run_async<'a>(
        &'a self,
        local: &'a mut Vec<u8>,
        (): &'a (),
        task: usize,
        into: &'a mut Hashed,
    ) -> Result<(), TaskError> {
        self.record(task, self.hash_file_async(task, local).await?, into);
        Ok(())
    }

    fn merge(&self, left: &mut Hashed, right: Hashed) {
        *left += right;
    }

    fn next(&self, (): (), merged: Hashed) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(merged.answer(&self.digests.read(0..self.corpus.len()))))
    }

    fn reset(&self) -> Result<(), TaskError> {
        if self.cold { self.drop_all() } else { Ok(()) }
    }

    fn writes(&self, (): &(), tasks: Range<usize>) -> Vec<Region> {
        vec![self.digests.region(tasks)]
    }
}

impl Workload for Files {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn generate(parameters: &Parameters, seed: u64, folder: &Path) -> Result<(), InputError> {
        corpus::noise(folder, parameters.integer("files"), parameters.integer("bytes"), seed)
    }

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let corpus = Corpus::of(context.input)?;
        let digests = context.storage.output(corpus.len())?;
        let cold = context.parameters.text("cache") == "cold";
        let files = Self { corpus, digests, cold };
        // A worker process must not drop files that others may be reading.
        if cold && context.handover.is_none() {
            files.check_cold()?;
        }
        Ok(files)
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let cache = if self.cold {
            "cold: dropped with posix_fadvise before each sample"
        } else {
            "warm: whatever the page cache holds"
        };
        vec![
            ("client", "std::fs; async: tokio::fs, threads of the blocking pool".to_owned()),
            ("cache", cache.to_owned()),
            ("kernel", "sha2".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::testing::{folder, generated, prepared};
    use crate::cpu::hash::Hash;
    use crate::testing::{answer, same_in_all_chunks};

    #[test]
    fn files_are_digested_as_hash_digests_them() {
        let large = vec![b'x'; SMALL as usize + 1];
        let folder = folder(&[("a", &b""[..]), ("b/c", b"abc"), ("large", &large)]);
        let hash: Hash = prepared(folder.path(), &[]).expect("ready");
        let files: Files = prepared(folder.path(), &[]).expect("ready");
        assert_eq!(same_in_all_chunks(&files), answer(&hash, 1));
    }

    #[test]
    fn the_async_form_reads_the_same_bytes() {
        let large = vec![b'x'; SMALL as usize + 1];
        let folder = folder(&[("a", &b""[..]), ("b/c", b"abc"), ("large", &large)]);
        let files: Files = prepared(folder.path(), &[]).expect("ready");
        let (mut local, mut into) = (files.local().expect("memory"), Hashed::default());
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(files.run_chunk_async(&mut local, &(), 0..3, &mut into))
            .expect("readable");
        let found = files.next((), into).expect("an answer");
        assert_eq!(found, Step::Done(answer(&files, 1)));
    }

    #[test]
    fn cold_files_are_read_all_the_same_or_refused_with_the_remedy() {
        let (folder, warm) = generated::<Files>(&[]);
        match prepared::<Files>(folder.path(), &[("cache", "cold")]) {
            Ok(cold) => assert_eq!(answer(&cold, 1), answer(&warm, 1)),
            Err(error) => assert!(error.0.ends_with("use -p cache=warm"), "{error}"),
        }
    }
}
