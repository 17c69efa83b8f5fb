//! What can be wrong with a file, in words for people. All of it is off the fast path: lines are
//! counted only when there is something to say about one.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use manyhands_contract::TaskError;

/// Something wrong in a range, at an offset in the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// A cell of the aggregated column.
    NotANumber { at: u64, cell: Vec<u8> },
    /// A group key that is not UTF-8.
    NotText { at: u64 },
    /// The quote at `at` has no partner in the rest of the file.
    Unclosed { at: u64 },
    /// The record that begins at `at` goes on for too long.
    TooLong { at: u64, limit: usize },
    /// The file ends before the length that it had when it was opened first.
    Truncated { found: u64, expected: u64 },
    /// The system's own reason.
    Read(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Fault {
    /// One line with the file, the line in it and the remedy.
    #[cold]
    pub(super) fn explain(self, path: &Path, column: &str, group: &str) -> TaskError {
        let place = |at| match line_of(path, at) {
            Ok(line) => format!("{} line {line}", path.display()),
            Err(_) => format!("{} byte {at}", path.display()),
        };
        TaskError(match self {
            Self::NotANumber { at, cell } => format!(
                "{}: '{}' is not a number in column '{column}'; mend the cell or use -p \
                 invalid=skip",
                place(at),
                abridged(&cell)
            ),
            Self::NotText { at } => format!(
                "{}: a group in column '{group}' is not UTF-8; convert the file, as with iconv -f \
                 latin1 -t utf-8",
                place(at)
            ),
            Self::Unclosed { at } => format!(
                "{}: a quote is opened here and never closed; close it, or double it if it is \
                 meant as a character",
                place(at)
            ),
            Self::TooLong { at, limit } => format!(
                "{}: the record that begins here is longer than {limit} bytes; probably a quote \
                 in it is never closed",
                place(at)
            ),
            Self::Truncated { found, expected } => format!(
                "{} ended after {found} of {expected} bytes; something shortened it meanwhile: \
                 run again when it is complete",
                path.display()
            ),
            Self::Read(error) => return TaskError(crate::corpus::unreadable(path, &error).0),
        })
    }
}

fn abridged(cell: &[u8]) -> String {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(cell);
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.into_owned(),
    }
}

/// The number, from 1, of the line that a byte is in, as editors count: a line ends with a line
/// feed, a carriage return, or both.
fn line_of(path: &Path, at: u64) -> io::Result<u64> {
    let (mut line, mut before) = (1, 0);
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?.take(at));
    let mut block = [0; 4096];
    loop {
        let read = reader.read(&mut block)?;
        if read == 0 {
            return Ok(line);
        }
        for byte in &block[..read] {
            line += u64::from(*byte == b'\r' || (*byte == b'\n' && before != b'\r'));
            before = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a\nb\r\nc\rd\n\ne").expect("writable");
        let lines: Vec<_> =
            [0, 2, 5, 7, 9, 10].iter().map(|at| line_of(file.path(), *at).expect("read")).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_long_cell_is_cut_between_characters() {
        assert_eq!(abridged("é".repeat(50).as_bytes()), format!("{}...", "é".repeat(40)));
    }
}
