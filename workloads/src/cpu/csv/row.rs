//! The rows that begin in one range of a file.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::fault::Fault;
use super::groups::{Cell, Groups};
use super::number;
use super::quotes::{Marks, Quotes, State};
use super::table::Table;
use crate::blocks::{BLOCK, after, block_at};

/// How far beyond a range is read at first: most rows that begin in it end there.
pub(super) const MARGIN: usize = 4 << 10;

/// The longest record: what a range may read on for, however large the file is.
const LONGEST_RECORD: usize = 64 << 20;

/// The part of a file around one range. It is read rather than mapped: a file that is cut short
/// meanwhile is then an error and not a signal, and memory is what this holds and no more.
#[derive(Debug)]
pub(super) struct Window<'a> {
    file: &'a File,
    buffer: &'a mut Vec<u8>,
    /// Where in the file the buffer begins: one byte before the range.
    start: u64,
    filled: usize,
    size: u64,
}

impl<'a> Window<'a> {
    /// Opens a window on the byte before `range`, the range, and `margin` bytes after it. There
    /// always is a byte before: the header's.
    pub(super) fn open(
        file: &'a File,
        buffer: &'a mut Vec<u8>,
        range: &Range<u64>,
        margin: usize,
        size: u64,
    ) -> Result<Self, Fault> {
        let mut window = Self { file, buffer, start: range.start - 1, filled: 0, size };
        // Whole blocks, so that only the file's last one can be short.
        let length = (range.end - range.start) as usize + margin;
        window.read_to(1 + length.next_multiple_of(BLOCK))?;
        Ok(window)
    }

    fn read_to(&mut self, length: usize) -> Result<(), Fault> {
        let length = length.min((self.size - self.start) as usize);
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        while self.filled < length {
            let at = self.start + self.filled as u64;
            match self.file.read_at(&mut self.buffer[self.filled..length], at) {
                Ok(0) => return Err(Fault::Truncated { found: at, expected: self.size }),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads on: half as much again, in whole blocks.
    #[cold]
    fn read_on(&mut self) -> Result<(), Fault> {
        let more = (self.filled / 2 + MARGIN).next_multiple_of(BLOCK);
        self.read_to(self.filled + more)
    }

    pub(super) fn before(&self) -> u8 {
        self.buffer[0]
    }

    /// From the range's first byte on.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[1..self.filled]
    }

    fn reaches_the_end(&self) -> bool {
        self.start + self.filled as u64 == self.size
    }

    /// The place in the file of a byte of [`bytes`](Self::bytes).
    fn place(&self, at: usize) -> u64 {
        self.start + 1 + at as u64
    }
}

/// The record being read: offsets in the window's bytes.
#[derive(Debug, Default, Clone)]
struct Record {
    start: usize,
    /// Where the current field begins, and which it is.
    field_start: usize,
    field: usize,
    /// Where the two wanted fields are; empty while they have not been met.
    group: Range<usize>,
    column: Range<usize>,
}

impl Record {
    fn starting_at(at: usize) -> Self {
        Self { start: at, field_start: at, ..Self::default() }
    }
}

/// Reads the rows that begin in a range, those that end beyond it included.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) table: &'a Table,
    pub(super) window: Window<'a>,
    /// The length of the range.
    pub(super) length: usize,
    pub(super) skip_invalid: bool,
    /// For unquoting.
    pub(super) scratch: &'a mut Vec<u8>,
}

impl Rows<'_> {
    /// Folds the rows into `into`. `state` is that at the range's first byte.
    pub(super) fn fold(mut self, state: State, into: &mut Groups) -> Result<(), Fault> {
        let before = self.window.before();
        let mut quotes = Quotes::new(state, before, self.table.delimiter);
        // Unless a record begins with the range, the one that began earlier is passed over.
        let mut passing = state != State::Outside || !matches!(before, b'\n' | b'\r');
        let mut record = Record::default();
        let mut base = 0;
        loop {
            let available = self.window.bytes().len();
            if base + BLOCK > available && !self.window.reaches_the_end() {
                self.check_length(&record)?;
                self.window.read_on()?;
                continue;
            }
            if base >= available {
                return if passing { Ok(()) } else { self.finish(&record, quotes, into) };
            }
            if passing && base >= self.length {
                return Ok(());
            }
            let marks = Marks::of(&block_at(self.window.bytes(), base), self.table.delimiter);
            let outside = quotes.outside(&marks);
            let newlines = marks.newlines & outside;
            let mut left = (marks.delimiters | marks.newlines) & outside;
            if passing {
                if newlines == 0 {
                    base += BLOCK;
                    continue;
                }
                passing = false;
                let bit = newlines.trailing_zeros();
                left &= after(bit);
                record = Record::starting_at(base + bit as usize + 1);
                if record.start >= self.length {
                    return Ok(());
                }
            }
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let at = base + bit as usize;
                self.end_field(&mut record, at);
                if newlines >> bit & 1 == 0 {
                    continue;
                }
                self.end_record(&record, at, into)?;
                record = Record::starting_at(at + 1);
                if record.start >= self.length {
                    return Ok(());
                }
            }
            base += BLOCK;
        }
    }

    #[inline]
    fn end_field(&self, record: &mut Record, at: usize) {
        if record.field == self.table.group {
            record.group = record.field_start..at;
        }
        if record.field == self.table.column {
            record.column = record.field_start..at;
        }
        record.field += 1;
        record.field_start = at + 1;
    }

    /// Counts the record that ends before `at`, unless it is an empty line. A field that a short
    /// record lacks is empty; fields beyond the header's are passed over.
    #[inline]
    fn end_record(&mut self, record: &Record, at: usize, into: &mut Groups) -> Result<(), Fault> {
        if record.start == at {
            return Ok(());
        }
        let bytes = self.window.bytes();
        let cell = &bytes[record.column.clone()];
        let cell = unquoted(cell, self.scratch);
        let cell = match number::parse(cell) {
            Some(number) => Cell::Number(number),
            None if cell.is_empty() => Cell::Missing,
            None if self.skip_invalid => Cell::Invalid,
            None => {
                let at = self.window.place(record.column.start);
                return Err(Fault::NotANumber { at, cell: cell.to_vec() });
            }
        };
        let key = unquoted(&bytes[record.group.clone()], self.scratch);
        into.add(key, cell)
            .map_err(|_| Fault::NotText { at: self.window.place(record.group.start) })
    }

    /// The file ends here, perhaps without a newline.
    #[cold]
    fn finish(&mut self, record: &Record, quotes: Quotes, into: &mut Groups) -> Result<(), Fault> {
        if quotes.inside() {
            return Err(Fault::Unclosed { at: self.window.place(self.open_quote(record)) });
        }
        let end = self.window.bytes().len();
        let mut record = record.clone();
        self.end_field(&mut record, end);
        self.end_record(&record, end, into)
    }

    /// Where the quote is that is still open at the end of the window.
    fn open_quote(&self, record: &Record) -> usize {
        let mut quotes = Quotes::new(State::Outside, b'\n', self.table.delimiter);
        let (mut opened, mut in_field) = (record.start, false);
        for (at, byte) in self.window.bytes().iter().enumerate().skip(record.start) {
            let was_inside = quotes.inside();
            quotes.step(*byte, self.table.delimiter);
            // A doubled quote opens nothing new.
            if !was_inside && quotes.inside() && !in_field {
                opened = at;
            }
            in_field = quotes.inside() || (was_inside && *byte == b'"');
        }
        opened
    }

    #[cold]
    fn check_length(&self, record: &Record) -> Result<(), Fault> {
        if self.window.bytes().len() - record.start <= LONGEST_RECORD.max(self.length) {
            return Ok(());
        }
        Err(Fault::TooLong { at: self.window.place(record.start), limit: LONGEST_RECORD })
    }
}

/// A field as it is meant: without the quotes around it, doubled ones halved.
#[inline]
pub(super) fn unquoted<'a>(field: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if field.first() != Some(&b'"') {
        return field;
    }
    unquote(&field[1..], scratch)
}

fn unquote<'a>(field: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let Some(first) = memchr::memchr(b'"', field) else { return field };
    if first + 1 == field.len() {
        return &field[..first];
    }
    scratch.clear();
    let mut rest = field;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        scratch.extend_from_slice(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.split_first() {
            Some((b'"', after)) => {
                scratch.push(b'"');
                rest = after;
            }
            // The quoted part is over; what follows it in the field is taken as it is.
            _ => break,
        }
    }
    scratch.extend_from_slice(rest);
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unquoted_as_pythons_csv_does() {
        // Expected values from csv.reader of Python 3.11.
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("5\" pipe", "5\" pipe"),
            ("\"\"", ""),
            ("\"a\"", "a"),
            ("\"a,b\"", "a,b"),
            ("\"a\"\"b\"", "a\"b"),
            ("\"\"\"\"", "\""),
            ("\"a\"b", "ab"),
            ("\"a\"b\"c\"", "ab\"c\""),
            ("\"\"a", "a"),
        ];
        for (field, meant) in cases {
            let mut scratch = Vec::new();
            let found = unquoted(field.as_bytes(), &mut scratch);
            assert_eq!(String::from_utf8_lossy(found), meant, "{field}");
        }
    }
}
