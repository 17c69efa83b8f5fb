//! `hash`: SHA-256 of every file of a folder.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Output, Parameter, ParameterKind,
    Parameters, Preset, Region, Shape, Step, TaskError, Workload,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::corpus::{self, Corpus};

/// Large enough that the price of a system call disappears, small enough to stay in a core's
/// second-level cache between the read and the hash.
pub(crate) const BUFFER: usize = 64 << 10;

/// A SHA-256 digest.
pub(crate) type Sum = [u8; 32];

static DEFINITION: Definition = Definition {
    name: "hash",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "SHA-256 of every file of a folder",
    about: "Checksums of a backup, deduplication, content addressing: every file is read and \
            passed through SHA-256. Files share nothing, so each executor should come near its \
            number of cores; what holds them back is worth seeing. SHA-256 is a chain: one file \
            cannot be split, so a single huge file is finished last and alone (static slices \
            suffer, stealing helps). With the processor's SHA instructions a core takes in more \
            than a gigabyte a second, so on many cores the page cache, and on a cold one the \
            disk, becomes the limit. Per-file digests travel back 32 bytes each: processes pay \
            little for that. Async gains nothing: there is no waiting to overlap.",
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
            default: "400",
        },
        Parameter {
            name: "bytes",
            about: "their mean size; the largest is three times that",
            unit: "bytes",
            kind: ParameterKind::Integer { min: 0, max: 1 << 30 },
            default: "1MiB",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("files", "160"), ("bytes", "256KiB")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("files", "4000")] },
    ],
    grows: Some("files"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// `hash`, ready to run.
#[derive(Debug)]
pub struct Hash {
    corpus: Corpus,
    digests: Output<Sum>,
}

/// How much a chunk has hashed; the digests themselves are in the output buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Hashed {
    /// Counts a file.
    pub(crate) fn add(&mut self, bytes: u64) {
        *self += Hashed { files: 1, bytes };
    }

    /// The answer of `hash` and `files`.
    pub(crate) fn answer(self, digests: &[Sum]) -> Answer {
        let mut all = Sha256::new();
        for digest in digests {
            all.update(hexadecimal(digest));
            all.update(b"\n");
        }
        Answer::new()
            .count("files", self.files)
            .count("bytes", self.bytes)
            .text("digest", hexadecimal(&all.finalize().into()))
    }
}

impl std::ops::AddAssign for Hashed {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// A digest as people write it.
pub(crate) fn hexadecimal(digest: &Sum) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).expect("a nibble is a digit"));
        }
        text
    })
}

/// Hashes a file in blocks of the buffer's size: a file of any length in the same memory.
///
/// # Errors
/// When the file cannot be opened or read to its end.
pub(crate) fn hash_file(
    corpus: &Corpus,
    file: usize,
    buffer: &mut [u8],
) -> Result<(Sum, u64), TaskError> {
    let mut source = corpus.open(file)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    loop {
        match source.read(buffer) {
            Ok(0) => return Ok((hasher.finalize().into(), bytes)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(corpus.failed(file, &error)),
        }
    }
}

impl Map for Hash {
    type Phase = ();
    type Local = Vec<u8>;
    type Partial = Hashed;

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
        let (digest, bytes) = hash_file(&self.corpus, task, local)?;
        self.digests.write(task..task + 1)[0] = digest;
        into.add(bytes);
        Ok(())
    }

    fn merge(&self, left: &mut Hashed, right: Hashed) {
        *left += right;
    }

    fn next(&self, (): (), merged: Hashed) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(merged.answer(&self.digests.read(0..self.corpus.len()))))
    }

    fn writes(&self, (): &(), tasks: Range<usize>) -> Vec<Region> {
        vec![self.digests.region(tasks)]
    }
}

impl Workload for Hash {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn generate(parameters: &Parameters, seed: u64, folder: &Path) -> Result<(), InputError> {
        corpus::noise(folder, parameters.integer("files"), parameters.integer("bytes"), seed)
    }

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let corpus = Corpus::of(context.input)?;
        let digests = context.storage.output(corpus.len())?;
        Ok(Self { corpus, digests })
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("kernel", "sha2".to_owned()), ("buffer", format!("{BUFFER} bytes"))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::testing::{folder, generated, prepared};
    use crate::testing::same_in_all_chunks;

    #[test]
    fn the_digest_is_that_of_sha256sum_over_the_files_in_order_of_path() {
        let long = vec![b'x'; BUFFER + 1];
        let folder = folder(&[("b/c", &b"abc"[..]), ("a", b""), ("b.x", b"b\n"), ("long", &long)]);
        let hash: Hash = prepared(folder.path(), &[]).expect("ready");
        // cd FOLDER; for f in a b.x b/c long; do sha256sum $f | cut -c-64; done | sha256sum
        assert_eq!(
            same_in_all_chunks(&hash).to_string(),
            r#"{"files":4,"bytes":65542,"digest":"572aa18ac541f522b3d2f68f9ffeb31ca2c885e8d1558a832cc6268e8a255946"}"#
        );
    }

    #[test]
    fn generated_files_are_those_that_python_generates() {
        let (_folder, hash) = generated::<Hash>(&[("files", "120"), ("bytes", "1000")]);
        // hashlib over files written by the formulas of `corpus::noise` in Python 3.11.
        assert_eq!(
            same_in_all_chunks(&hash).to_string(),
            r#"{"files":120,"bytes":124376,"digest":"1e18d78d999ff31485494c98ef88044afc8c314ccfd7b97d11fca5644e697c07"}"#
        );
    }

    #[test]
    fn a_file_that_vanished_is_named() {
        let folder = folder(&[("gone", "x")]);
        let path = folder.path().join("gone");
        let hash: Hash = prepared(folder.path(), &[]).expect("ready");
        std::fs::remove_file(&path).expect("removable");
        let error = hash.run(&mut vec![0; 10], &(), 0, &mut Hashed::default()).unwrap_err();
        assert_eq!(
            error.0,
            format!(
                "cannot read {}: no such file or directory; check the path, and that nothing \
                 deletes it meanwhile",
                path.display()
            )
        );
    }
}
