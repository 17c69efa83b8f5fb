//! `wordcount`: the words of every file of a folder.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Parameters,
    Preset, Shape, Step, TaskError, Workload, answer,
};
use serde::{Deserialize, Serialize};
use unicode_general_category::{GeneralCategory, get_general_category};

use crate::blocks::{self, BLOCK, after, block_at};
use crate::corpus::{self, Corpus};
use crate::keys::Keys;

/// How much of a file is in memory at a time, unless one word is longer.
const BUFFER: usize = 64 << 10;

/// How many of the most frequent words the answer names.
const TOP: usize = 20;

static DEFINITION: Definition = Definition {
    name: "wordcount",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "the words of every file of a folder, counted",
    about: "The textbook map-reduce: each file is counted on its own, and the counts are added \
            up. The map step shares nothing; the reduce step is the lesson. Every chunk ends in \
            a table of all its words, and somebody must add the tables: threads and rayon hand \
            them over for nothing and pay only for the additions, while processes pack, copy and \
            unpack each of them, so that small chunks cost more than they gain. A larger chunk \
            means fewer tables; watch what the chunk size does here before blaming the executor. \
            Async on one thread can only lose: there is no waiting to overlap.",
    task: "count the words of one file",
    answer: "total: words; distinct: different words; top: the twenty most frequent with their \
             counts, ties by word. A word is a run of letters (Unicode general category L), \
             lower-cased after the text was split",
    input: Some(
        "any folders and files, taken as UTF-8; generated: FFF/IIIIII.txt of made-up words by \
         Zipf's law, one in eleven with letters beyond ASCII",
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
            default: "128KiB",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("files", "100"), ("bytes", "64KiB")] },
        Preset { name: "standard", values: &[("files", "500"), ("bytes", "128KiB")] },
        Preset { name: "large", values: &[("files", "5000"), ("bytes", "128KiB")] },
    ],
    max_chunk: None,
    simulated: false,
};

/// `wordcount`, ready to run.
#[derive(Debug)]
pub struct WordCount {
    corpus: Corpus,
}

/// How often each word was met.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    total: u64,
    words: Keys,
    /// By the word's number.
    counts: Vec<u64>,
}

impl Counts {
    #[inline]
    fn add(&mut self, word: &[u8], times: u64) {
        let index = self.words.index(word);
        match self.counts.get_mut(index) {
            Some(count) => *count += times,
            None => self.counts.push(times),
        }
        self.total += times;
    }

    /// Adds the smaller table to the larger one: sums do not care about order.
    fn merge(&mut self, mut other: Counts) {
        if other.words.len() > self.words.len() {
            std::mem::swap(self, &mut other);
        }
        for (word, count) in other.words.iter().zip(&other.counts) {
            self.add(word, *count);
        }
    }

    /// Splits `text` into words and counts them. A word that touches the end of the text may go
    /// on in the next block unless this one is the `last`.
    ///
    /// Returns how many bytes are done with; the rest belongs in front of the next block.
    fn add_text(&mut self, text: &mut [u8], last: bool, scratch: &mut String) -> usize {
        // In place and all at once: the compiler makes this 32 bytes per instruction. It changes
        // no letter's being a letter, nor what the other letters' lower case is.
        text.make_ascii_lowercase();
        let text = &*text;
        // Runs of ASCII letters and non-ASCII bytes: whatever the latter turn out to be, a
        // character is never cut, since all of its bytes are of one kind.
        let (mut begin, mut inside) = (text.len(), 0);
        for base in (0..text.len()).step_by(BLOCK) {
            let block = block_at(text, base);
            let runs = blocks::lower_case(&block) | blocks::high(&block);
            let mut edges = runs ^ (runs << 1 | inside);
            while edges != 0 {
                let bit = edges.trailing_zeros();
                edges &= after(bit);
                let at = base + bit as usize;
                if runs >> bit & 1 == 1 {
                    begin = at;
                } else if at < text.len() {
                    self.add_run(&text[begin..at], scratch);
                    begin = text.len();
                }
            }
            inside = runs >> (BLOCK - 1);
        }
        let open = &text[begin..];
        let finished = if last { open.len() } else { finished(open) };
        self.add_run(&open[..finished], scratch);
        begin + finished
    }

    #[inline]
    fn add_run(&mut self, run: &[u8], scratch: &mut String) {
        if run.is_empty() {
        } else if run.is_ascii() {
            self.add(run, 1);
        } else {
            self.add_unicode(run, scratch);
        }
    }

    /// Counts the words of a run in which some bytes are not ASCII.
    fn add_unicode(&mut self, run: &[u8], scratch: &mut String) {
        for chunk in run.utf8_chunks() {
            for word in chunk.valid().split(|c| !is_letter(c)).filter(|word| !word.is_empty()) {
                lower_case(word, scratch);
                self.add(scratch.as_bytes(), 1);
            }
        }
    }

    fn answer(&self) -> Answer {
        Answer::new()
            .count("total", self.total)
            .count("distinct", self.words.len() as u64)
            .value("top", self.top().into())
    }

    /// UTF-8 sorts by its bytes as it does by its characters, so ties need no decoding.
    fn top(&self) -> Vec<serde_json::Value> {
        let order = |index: &usize| (Reverse(self.counts[*index]), self.words.get(*index));
        let mut indices: Vec<_> = (0..self.words.len()).collect();
        if indices.len() > TOP {
            indices.select_nth_unstable_by(TOP, |a, b| order(a).cmp(&order(b)));
            indices.truncate(TOP);
        }
        indices.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        let word = |index| String::from_utf8_lossy(self.words.get(index)).into_owned();
        let entry = |index| vec![word(index).into(), answer::integer(self.counts[index])].into();
        indices.into_iter().map(entry).collect()
    }
}

/// How much of a run that the next block may go on with belongs to finished words: everything up
/// to its last separator. (Chinese text may have none in ASCII for megabytes.)
fn finished(run: &[u8]) -> usize {
    let (mut at, mut finished) = (0, 0);
    for chunk in run.utf8_chunks() {
        for (index, c) in chunk.valid().char_indices().filter(|(_, c)| !is_letter(*c)) {
            finished = at + index + c.len_utf8();
        }
        at += chunk.valid().len() + chunk.invalid().len();
        // Invalid bytes at the very end may be a character whose rest is in the next block.
        if !chunk.invalid().is_empty() && at < run.len() {
            finished = at;
        }
    }
    finished
}

/// Whether a character is of general category L. Not `char::is_alphabetic`, which also takes in
/// Roman numerals, circled letters and many combining marks.
fn is_letter(c: char) -> bool {
    use GeneralCategory as G;
    c.is_ascii_alphabetic()
        || (!c.is_ascii()
            && matches!(
                get_general_category(c),
                G::UppercaseLetter
                    | G::LowercaseLetter
                    | G::TitlecaseLetter
                    | G::ModifierLetter
                    | G::OtherLetter
            ))
}

/// As `str::to_lowercase`, but into memory that is there already. Only a capital sigma needs to
/// know its neighbours (it is written ς where a word ends).
fn lower_case(word: &str, into: &mut String) {
    into.clear();
    if word.contains('Σ') {
        into.push_str(&word.to_lowercase());
    } else {
        into.extend(word.chars().flat_map(char::to_lowercase));
    }
}

/// A worker's memory.
#[derive(Debug, Default)]
pub struct Scratch {
    block: Vec<u8>,
    word: String,
}

/// Counts the words of a file of any length in blocks; the unfinished word at the end of a block
/// goes in front of the next one.
fn count_file(file: &mut File, scratch: &mut Scratch, into: &mut Counts) -> std::io::Result<()> {
    let mut kept = 0;
    loop {
        // Twice as much for a word that fills the block, or it would be looked at too often.
        if scratch.block.len() < kept + kept.max(BUFFER / 2) {
            scratch.block.resize(2 * kept + BUFFER, 0);
        }
        let read = match file.read(&mut scratch.block[kept..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        let filled = kept + read;
        let done = into.add_text(&mut scratch.block[..filled], read == 0, &mut scratch.word);
        if read == 0 {
            return Ok(());
        }
        scratch.block.copy_within(done..filled, 0);
        kept = filled - done;
    }
}

impl Map for WordCount {
    type Phase = ();
    type Local = Scratch;
    type Partial = Counts;

    fn local(&self) -> Result<Scratch, TaskError> {
        Ok(Scratch::default())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.corpus.len()
    }

    fn empty(&self, (): &()) -> Counts {
        Counts::default()
    }

    fn run(
        &self,
        local: &mut Scratch,
        (): &(),
        task: usize,
        into: &mut Counts,
    ) -> Result<(), TaskError> {
        let mut file = self.corpus.open(task)?;
        count_file(&mut file, local, into).map_err(|error| self.corpus.failed(task, &error))
    }

    fn merge(&self, left: &mut Counts, right: Counts) {
        left.merge(right);
    }

    fn next(&self, (): (), merged: Counts) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(merged.answer()))
    }
}

impl Workload for WordCount {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn generate(parameters: &Parameters, seed: u64, folder: &Path) -> Result<(), InputError> {
        corpus::text(folder, parameters.integer("files"), parameters.integer("bytes"), seed)
    }

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Ok(Self { corpus: Corpus::of(context.input)? })
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let dotted = |(major, minor, patch)| format!("{major}.{minor}.{patch}");
        let letters = dotted(unicode_general_category::UNICODE_VERSION);
        let (major, minor, patch) = char::UNICODE_VERSION;
        let cases = dotted((major.into(), minor.into(), patch.into()));
        vec![
            ("kernel", blocks::NAME.to_owned()),
            ("table", "hashbrown".to_owned()),
            ("unicode", format!("letters of Unicode {letters}, lower case of Unicode {cases}")),
        ]
    }
}
