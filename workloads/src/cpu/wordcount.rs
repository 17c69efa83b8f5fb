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
            default: "300",
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
        Preset { name: "quick", values: &[("files", "60"), ("bytes", "64KiB")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("files", "3000")] },
    ],
    grows: Some("files"),
    length: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::testing::{folder, generated, prepared};
    use crate::testing::same_in_all_chunks;

    /// The words of a text and their counts, read in blocks of `block` bytes.
    fn words(text: &[u8], block: usize) -> Vec<(String, u64)> {
        let (mut counts, mut word, mut carry) = (Counts::default(), String::new(), Vec::new());
        for part in text.chunks(block) {
            carry.extend_from_slice(part);
            let done = counts.add_text(&mut carry, false, &mut word);
            carry.drain(..done);
        }
        counts.add_text(&mut carry, true, &mut word);
        let spelt = counts.words.iter().map(|w| String::from_utf8_lossy(w).into_owned());
        let mut words: Vec<_> = spelt.zip(counts.counts.iter().copied()).collect();
        words.sort();
        assert_eq!(counts.total, words.iter().map(|(_, count)| count).sum::<u64>());
        words
    }

    /// Expected values from Python 3.11: split where unicodedata.category(c)[0] != "L" (invalid
    /// bytes decoded as U+FFFD), then str.lower() on each word.
    #[test]
    fn words_are_runs_of_letters_lower_cased_after_splitting() {
        let cases: [(&[u8], &[&str]); 12] = [
            (b"", &[]),
            (b"One two,ONE", &["one", "one", "two"]),
            (b"it's 2x4_y", &["it", "s", "x", "y"]),
            // A combining mark is not a letter: it splits the word.
            ("cafe\u{301}s".as_bytes(), &["cafe", "s"]),
            ("caf\u{e9}s".as_bytes(), &["caf\u{e9}s"]),
            // A sigma at the end of a word is written differently, also before a digit.
            ("ΟΔΟΣ ΟΔΟΣ1 ΣΑΣ Σ".as_bytes(), &["οδος", "οδος", "σ", "σας"]),
            // Split first, then lower-cased: the sigma ends its word though letters follow.
            ("ΑΣ\u{301}Α".as_bytes(), &["α", "ας"]),
            // Roman numerals (Nl) and circled letters (So) are alphabetic, but not letters.
            ("aⅣbⓐc".as_bytes(), &["a", "b", "c"]),
            // The capital dotted I becomes two characters; the second is a mark all the same.
            ("İx".as_bytes(), &["i\u{307}x"]),
            ("ǅ ʰ 語学 ß ẞ".as_bytes(), &["ß", "ß", "ǆ", "ʰ", "語学"]),
            // Invalid bytes separate words: a lone lead byte, a stray tail, an overlong form.
            (b"ab\xe4cd\x80ef\xc0\xafgh\xf0\x9f", &["ab", "cd", "ef", "gh"]),
            (b"\xed\xa0\x80a\xef\xbb\xbfb", &["a", "b"]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> = words(text, 1000)
                .into_iter()
                .flat_map(|(word, count)| std::iter::repeat_n(word, count as usize))
                .collect();
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn blocks_may_end_anywhere_even_inside_a_character() {
        let line = "Zwei, drei; 語学 ΟΔΟΣ, cafe\u{301} aⅣb \u{1d400}\u{1d401} x";
        let mut text = line.repeat(20).into_bytes();
        text.extend(b"\xe4\xf0\x9f tail \xe8\xaa");
        let whole = words(&text, text.len());
        assert!(whole.iter().any(|(word, count)| word == "οδος" && *count == 20), "{whole:?}");
        for block in 1..200 {
            assert_eq!(words(&text, block), whole, "blocks of {block}");
        }
    }

    #[test]
    fn text_without_ascii_is_finished_at_its_last_separator() {
        let run = "語学。文".as_bytes();
        assert_eq!(finished(run), 9);
        assert_eq!(finished(&run[..run.len() - 1]), 9, "the character may be completed");
        assert_eq!(finished("語学".as_bytes()), 0);
    }

    #[test]
    fn a_word_longer_than_a_block_is_one_word() {
        let long = "x".repeat(3 * BUFFER + 7);
        let folder = folder(&[("a", format!("y {long} {long}")), ("b", String::new())]);
        let work: WordCount = prepared(folder.path(), &[]).expect("ready");
        let expected = serde_json::json!({"total": 3, "distinct": 2, "top": [[long, 2], ["y", 1]]});
        assert_eq!(same_in_all_chunks(&work).to_json(), expected);
    }

    #[test]
    fn the_larger_table_takes_in_the_smaller_one_also_after_a_crossing() {
        let count = |text: &str| {
            let (mut counts, mut text) = (Counts::default(), text.to_owned().into_bytes());
            counts.add_text(&mut text, true, &mut String::new());
            let sent = postcard::to_stdvec(&counts).expect("serialisable");
            postcard::from_bytes::<Counts>(&sent).expect("counts")
        };
        for (left, right) in [("a b c a", "c d"), ("c d", "a b c a")] {
            let mut merged = count(left);
            merged.merge(count(right));
            assert_eq!(
                merged.answer().to_string(),
                r#"{"total":6,"distinct":4,"top":[["a",2],["c",2],["b",1],["d",1]]}"#
            );
        }
    }

    #[test]
    fn generated_texts_have_the_words_that_python_finds_in_them() {
        let (_folder, work) = generated::<WordCount>(&[("files", "120"), ("bytes", "1000")]);
        // unicodedata and Counter over texts written by the formulas of `corpus::text` in Python.
        let expected = r#"{"total":24389,"distinct":7322,"top":[["ta",1609],["ti",820],["te",816],["na",410],["to",408],["ne",407],["tu",384],["se",227],["si",222],["sa",207],["nu",206],["ni",200],["su",197],["so",183],["no",181],["ri",119],["da",117],["ra",110],["ro",110],["re",108]]}"#;
        assert_eq!(same_in_all_chunks(&work).to_string(), expected);
    }
}
