//! The table on the terminal: a block for each workload, then what it comes to.

use manyhands_record::format::{ABSENT, bytes, duration, duration_within};
use manyhands_record::models::say;
use manyhands_record::{Group, Record, groups, sentence};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::charts::Row;
use crate::escape::{redact, visible};
use crate::view::{self, Looks};

/// Nothing is wider, not even in a terminal that is: tables are pasted into mails.
pub(super) const WIDTH: usize = 100;
/// Names are cut before they become narrower than this.
const NAME: usize = 12;

/// How the table is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours. The words say the same without.
    pub color: bool,
}

impl Style {
    pub(super) fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

pub(super) const BOLD: &str = "1";
pub(super) const DIM: &str = "2";
pub(super) const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// All groups of a record.
pub(crate) fn table(record: &Record, style: Style) -> String {
    if let Some(table) = super::granularity::table(record, style) {
        return table;
    }
    let (groups, looks) = (groups(record), view::looks(record));
    let mut blocks: Vec<String> =
        groups.iter().map(|group| block(record, group, &looks, style)).collect();
    if blocks.is_empty() {
        return "Nothing was measured.\n".to_owned();
    }
    let weak = say::weak_lines(record);
    if !weak.is_empty() {
        blocks.push(weak.iter().map(|line| paragraph(line)).collect());
    }
    let mut out = blocks.join("\n");
    out += &closing(record, &groups, style);
    out
}

/// What is said below all tables, after an empty line; nothing where there is nothing to say.
pub(super) fn closing(record: &Record, groups: &[Group<'_>], style: Style) -> String {
    let closing = view::closing(record, groups).join(" ");
    if closing.is_empty() {
        return String::new();
    }
    let lines = wrapped(&clean(&closing), WIDTH);
    let lines: Vec<String> = lines.iter().map(|line| style.paint(DIM, line)).collect();
    format!("\n{}\n", lines.join("\n"))
}

/// Somebody's text, wrapped, with a line end.
fn paragraph(text: &str) -> String {
    wrapped(&clean(&redact(text)), WIDTH).join("\n") + "\n"
}

fn block(record: &Record, group: &Group<'_>, looks: &Looks, style: Style) -> String {
    let rows = view::rows(group, looks);
    let cells: Vec<Line> = rows.iter().map(|(row, at)| Line::of(group, row, *at)).collect();
    let against = format!("against {}", view::baseline_mark(group));
    let headings = HEADINGS.map(|heading| if heading.is_empty() { &against } else { heading });
    let widths = widths(&cells, &headings);
    let mut title = clean(&group.label);
    if group.text.is_some_and(|text| text.simulated) {
        title += ": simulated waiting";
    }
    let mut out = style.paint(BOLD, &cut(&title, WIDTH)) + "\n";
    out += &style.paint(DIM, &joined(&headings.map(str::to_owned), &widths));
    out.push('\n');
    for cell in &cells {
        out += &cell.print(&widths, style);
        out.push('\n');
    }
    if let Some(sentence) = sentence::sentence(group) {
        out += &paragraph(&sentence);
    }
    for line in say::lines(group, record) {
        out += &paragraph(&line);
    }
    out
}

/// The one that is empty names the baseline.
const HEADINGS: [&str; 6] = ["executor", "workers", "time", "", "CPU", "memory"];
/// Which columns are numbers without an interval, and stand to the right.
const RIGHT: [bool; 6] = [false, true, false, false, true, true];
const COLUMNS: usize = HEADINGS.len();

/// A row of the table, in words.
struct Line {
    columns: [String; COLUMNS],
    kind: Kind,
    /// Why there is no time.
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// The fastest and those level with it.
    Best,
    Unsupported,
    Failed,
}

impl Line {
    fn of(group: &Group<'_>, row: &Row, at: usize) -> Self {
        let cell = &group.cells[at];
        let or_absent = |figure: Option<String>| figure.unwrap_or_else(|| ABSENT.to_owned());
        let columns = [
            clean(&row.name()),
            row.workers.to_string(),
            or_absent(cell.time.map(|time| duration_within(time.ns, time.interval))),
            or_absent(cell.speedup.map(view::against)),
            or_absent(cell.cpu_ns.map(duration)),
            or_absent(cell.memory_peak.map(bytes)),
        ];
        let reason =
            row.time.as_ref().err().map(|gap| clean(&format!("{}: {}", gap.kind, gap.reason)));
        let best = group.winner == Some(at) || group.ties.contains(&at);
        let kind = match &row.time {
            Ok(_) if best && group.undecided().is_empty() => Kind::Best,
            Ok(_) => Kind::Plain,
            Err(gap) if gap.kind.starts_with("failed") => Kind::Failed,
            Err(_) => Kind::Unsupported,
        };
        Self { columns, kind, reason }
    }

    fn print(&self, widths: &[usize; COLUMNS], style: Style) -> String {
        let Some(reason) = &self.reason else {
            return self.print_figures(widths, style);
        };
        let begin = joined(&[self.columns[0].clone(), self.columns[1].clone()], &widths[..2]);
        let indent = begin.width() + GAP.len();
        let code = if self.kind == Kind::Failed { RED } else { YELLOW };
        let lines = wrapped(reason, WIDTH - indent);
        let lines: Vec<String> = lines.iter().map(|line| style.paint(code, line)).collect();
        format!("{begin}{GAP}{}", lines.join(&format!("\n{}", " ".repeat(indent))))
    }

    fn print_figures(&self, widths: &[usize; COLUMNS], style: Style) -> String {
        let text = joined(&self.columns, widths);
        if self.kind == Kind::Best { style.paint(GREEN, &text) } else { text }
    }
}

const GAP: &str = "  ";

/// The width of each column; names give way first.
fn widths(lines: &[Line], headings: &[&str; COLUMNS]) -> [usize; COLUMNS] {
    let mut widths = headings.map(str::len);
    for line in lines {
        for (n, column) in line.columns.iter().enumerate() {
            // What failed has a reason instead of figures.
            if line.reason.is_none() || n < 2 {
                widths[n] = widths[n].max(column.width());
            }
        }
    }
    let others: usize = widths[1..].iter().sum::<usize>() + GAP.len() * (COLUMNS - 1);
    widths[0] = widths[0].min(WIDTH.saturating_sub(others).max(NAME));
    widths
}

fn joined(columns: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (n, (column, width)) in columns.iter().zip(widths).enumerate() {
        let text = cut(column, *width);
        let pad = " ".repeat(width - text.width());
        line += if n > 0 { GAP } else { "" };
        line += &if RIGHT[n] { pad + &text } else { text + &pad };
    }
    cut(line.trim_end(), WIDTH)
}

/// On one line, and nothing that a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { visible(c) }).collect()
}

/// The text, cut to this many columns; its end is replaced by an ellipsis.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if kept.width() + c.width().unwrap_or(0) + 1 > columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// Lines of at most this many columns; a word that is longer is cut.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, columns);
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            *last = word;
        } else if last.width() + 1 + word.width() <= columns {
            last.push(' ');
            last.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(joined(&["並列".to_owned(), "2".to_owned()], &[6, 3]), "並列      2");
        assert_eq!(cut("並列処理", 5), "並列…");
    }

    #[test]
    fn long_text_is_wrapped_and_long_words_are_cut() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 5), ["abcd…", "k"]);
    }

    #[test]
    fn nothing_drives_the_terminal() {
        assert_eq!(clean("a\u{1b}[2J\nb\u{7}"), "a\u{fffd}[2J b\u{fffd}");
    }
}
