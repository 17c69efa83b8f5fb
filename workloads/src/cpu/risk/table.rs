//! Tables of numbers in CSV files: a name in the first column, numbers in all others.

use std::fs;
use std::path::{Path, PathBuf};

use manyhands_contract::InputError;

/// A file's text and what its header says.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    text: String,
    /// The names of the number columns, in their order.
    pub(super) columns: Vec<String>,
}

impl Table {
    /// Reads a file whose first column is called `first`.
    pub(super) fn read(path: &Path, first: &str) -> Result<Self, InputError> {
        let text = fs::read_to_string(path).map_err(|error| InputError::read(path, error))?;
        let mut table = Self { path: path.to_owned(), text, columns: Vec::new() };
        let (line, header) = table.lines().next().ok_or_else(|| {
            table.wrong(1, "there is no header", &format!("begin with '{first},...'"))
        })?;
        let mut names = fields(header);
        let found = names.next().unwrap_or_default();
        if found != first {
            let remedy = format!("begin the header with '{first},' and a name for each asset");
            return Err(table.wrong(line, &format!("the first column is '{found}'"), &remedy));
        }
        table.columns = names.map(str::to_owned).collect();
        table.check_columns(line)?;
        Ok(table)
    }

    fn check_columns(&self, line: usize) -> Result<(), InputError> {
        if self.columns.is_empty() {
            return Err(self.wrong(line, "there are no assets", "add a column per asset"));
        }
        let mut sorted: Vec<_> = self.columns.iter().collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let what = format!("there are two columns '{}'", pair[0]);
                Err(self.wrong(line, &what, "give each asset one column"))
            }
            None => Ok(()),
        }
    }

    /// How many rows there are below the header.
    pub(super) fn len(&self) -> usize {
        self.lines().count() - 1
    }

    /// The rows below the header, each with the number of its line.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines().skip(1).map(|(line, text)| Row { table: self, line, text })
    }

    /// Lines from 1, without empty ones and without the mark that some editors put in front.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
    }

    /// `FILE, line 17: what; remedy`.
    pub(super) fn wrong(&self, line: usize, what: &str, remedy: &str) -> InputError {
        InputError(format!("{}, line {line}: {what}; {remedy}", self.path.display()))
    }

    /// `FILE: what; remedy`.
    pub(super) fn wrong_as_a_whole(&self, what: &str, remedy: &str) -> InputError {
        InputError(format!("{}: {what}; {remedy}", self.path.display()))
    }
}

/// One line of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table,
    /// Its number, from 1.
    line: usize,
    text: &'a str,
}

impl Row<'_> {
    /// Reads the numbers into `into`, which has an element per column.
    pub(super) fn numbers(self, into: &mut [f64]) -> Result<(), InputError> {
        let mut cells = fields(self.text).skip(1);
        for (number, column) in into.iter_mut().zip(&self.table.columns) {
            let cell = cells.next().ok_or_else(|| self.wrong_length())?;
            *number = finite(cell).ok_or_else(|| {
                let what = format!("'{cell}' in column {column} is not a number");
                self.wrong(&what, "give a decimal such as 12.5")
            })?;
        }
        match cells.next() {
            None => Ok(()),
            Some(_) => Err(self.wrong_length()),
        }
    }

    fn wrong_length(self) -> InputError {
        let (found, expected) = (fields(self.text).count(), self.table.columns.len() + 1);
        self.wrong(&format!("there are {found} cells"), &format!("the header has {expected}"))
    }

    /// `FILE, line 17: what; remedy`.
    pub(super) fn wrong(self, what: &str, remedy: &str) -> InputError {
        self.table.wrong(self.line, what, remedy)
    }

    /// What is wrong with the number of one column.
    pub(super) fn wrong_number(
        self,
        column: usize,
        number: f64,
        what: &str,
        remedy: &str,
    ) -> InputError {
        let column = &self.table.columns[column];
        self.wrong(&format!("{number} in column {column} {what}"), remedy)
    }
}

/// Rust also reads `inf` and `NaN`, which no price or position is.
fn finite(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The cells of a line, trimmed. A cell in quotes may hold commas (`"Smith, John"`); quotes inside
/// quotes stay doubled, which only a name can notice.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(|cell| {
        let cell = cell.trim();
        cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_trimmed_and_quotes_keep_commas() {
        let cases: [(&str, &[&str]); 4] = [
            ("a, b ,c", &["a", "b", "c"]),
            ("\"Smith, John\",1", &["Smith, John", "1"]),
            ("a,,", &["a", "", ""]),
            ("\"", &["\""]),
        ];
        for (line, expected) in cases {
            assert_eq!(fields(line).collect::<Vec<_>>(), expected, "{line}");
        }
    }
}
