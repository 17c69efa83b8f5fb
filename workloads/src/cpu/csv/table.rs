//! One file: its delimiter, its header, where its columns are.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use manyhands_contract::InputError;
use manyhands_contract::parameters::nearest;

use super::quotes::{Quotes, State};
use super::row::unquoted;
use crate::corpus::unreadable;

/// What files are tried for when no delimiter is given.
const DELIMITERS: [(&str, u8); 4] =
    [("comma", b','), ("tab", b'\t'), ("semicolon", b';'), ("pipe", b'|')];

/// A header row is looked for in this many bytes at first, and in at most so many.
const FIRST_READ: u64 = 16 << 10;
const LONGEST_HEADER: u64 = FIRST_READ * 64;

/// What is known of a file before its rows are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) delimiter: u8,
    /// Which field is the group; from 0.
    pub(super) group: usize,
    /// Which field is the aggregated column.
    pub(super) column: usize,
    /// Where the rows begin, in bytes.
    pub(super) body: u64,
    /// The length of the file.
    pub(super) size: u64,
}

/// What the user wants of each file.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) group: String,
    pub(super) column: String,
    /// Found out per file when not given.
    pub(super) delimiter: Option<u8>,
}

/// Reads `-p delimiter=`: `auto`, a name or one ASCII character.
pub(super) fn delimiter(text: &str) -> Result<Option<u8>, InputError> {
    if text == "auto" {
        return Ok(None);
    }
    if let Some((_, byte)) = DELIMITERS.iter().find(|(name, _)| *name == text) {
        return Ok(Some(*byte));
    }
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(Some(*byte)),
        _ => Err(InputError(format!(
            "'{text}' is not a value for delimiter: give auto, comma, tab, semicolon, pipe or one \
             ASCII character other than a quote or a newline"
        ))),
    }
}

impl Table {
    /// Reads a file's header.
    ///
    /// # Errors
    /// When it has none, is no text that can be read, or lacks a column.
    pub(super) fn open(path: &Path, wanted: &Wanted) -> Result<Self, InputError> {
        let failed = |error| unreadable(path, &error);
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut start = Vec::new();
        // Thousands of files are common, headers of more than a few KiB are not.
        let (delimiter, header) = loop {
            let more = (start.len() as u64 * 63).max(FIRST_READ);
            file.by_ref().take(more).read_to_end(&mut start).map_err(failed)?;
            let skipped = before_header(path, &start)?;
            let found = match wanted.delimiter {
                Some(delimiter) => (delimiter, Header::read(&start, skipped, delimiter)),
                None => find_delimiter(&start, skipped, wanted),
            };
            if found.1.end < start.len() || start.len() as u64 >= size {
                break found;
            }
            if start.len() as u64 >= LONGEST_HEADER {
                return Err(InputError(format!(
                    "{} has no header row in its first {LONGEST_HEADER} bytes; is it a CSV file?",
                    path.display()
                )));
            }
        };
        let index = |name: &str, parameter: &str| {
            header.index(name).ok_or_else(|| missing(path, &header, name, parameter))
        };
        let (group, column) = (index(&wanted.group, "group")?, index(&wanted.column, "column")?);
        Ok(Self { delimiter, group, column, body: header.end as u64, size })
    }
}

/// How many bytes come before the header: a byte order mark, empty lines.
fn before_header(path: &Path, start: &[u8]) -> Result<usize, InputError> {
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(InputError(format!(
            "{} is UTF-16; convert it: iconv -f utf-16 -t utf-8",
            path.display()
        )));
    }
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let newlines = start[mark..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    if mark + newlines == start.len() {
        return Err(InputError(format!(
            "{} is empty: a header row was expected; give it one or take the file out",
            path.display()
        )));
    }
    Ok(mark + newlines)
}

/// The delimiter under which the header has both columns; failing that, the one that makes the
/// most fields, so that the error can name them.
fn find_delimiter(start: &[u8], skipped: usize, wanted: &Wanted) -> (u8, Header) {
    let headers = DELIMITERS.map(|(_, byte)| (byte, Header::read(start, skipped, byte)));
    let fits = |header: &Header| {
        header.index(&wanted.group).is_some() && header.index(&wanted.column).is_some()
    };
    let best = headers
        .iter()
        .position(|(_, header)| fits(header))
        // The first of the largest: `max_by_key` would take the last.
        .or_else(|| (0..headers.len()).rev().max_by_key(|i| headers[*i].1.names.len()))
        .expect("there are delimiters");
    headers.into_iter().nth(best).expect("the index of one of them")
}

/// The names of the columns.
#[derive(Debug)]
struct Header {
    names: Vec<String>,
    /// Where the rows begin.
    end: usize,
}

impl Header {
    fn read(start: &[u8], skipped: usize, delimiter: u8) -> Self {
        let mut quotes = Quotes::new(State::Outside, b'\n', delimiter);
        let (mut names, mut begin, mut scratch) = (Vec::new(), skipped, Vec::new());
        let mut name =
            |field: &[u8]| String::from_utf8_lossy(unquoted(field, &mut scratch)).into_owned();
        for (at, byte) in start.iter().enumerate().skip(skipped) {
            quotes.step(*byte, delimiter);
            if quotes.inside() {
                continue;
            }
            if *byte == delimiter {
                names.push(name(&start[begin..at]));
                begin = at + 1;
            } else if matches!(byte, b'\n' | b'\r') {
                names.push(name(&start[begin..at]));
                return Self { names, end: at + 1 };
            }
        }
        names.push(name(&start[begin..]));
        Self { names, end: start.len() }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }
}

fn missing(path: &Path, header: &Header, name: &str, parameter: &str) -> InputError {
    const MOST: usize = 30;
    let hint = nearest(name, header.names.iter().map(String::as_str))
        .map_or(String::new(), |near| format!("did you mean -p {parameter}='{near}'? "));
    let mut names = header.names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if header.names.len() > MOST {
        names.push_str(", ...");
    }
    InputError(format!(
        "{} has no column '{name}'; {hint}its columns are {names}; choose with -p {parameter}=",
        path.display()
    ))
}
