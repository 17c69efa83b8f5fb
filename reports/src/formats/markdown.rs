//! The table in GitHub's Markdown, for a pull request or a wiki.

use std::fmt::{Display, Write};

use manyhands_record::format::{ABSENT, bytes, duration, duration_within};
use manyhands_record::models::say;
use manyhands_record::{Group, Record, groups, sentence};

use crate::charts::Row;
use crate::escape::{redact, visible};
use crate::view::{self, Looks};

const HEAD_BEGIN: &str = "| executor | workers | time | against ";
const HEAD_END: &str = " | CPU | memory |\n|:---|---:|---:|:---|---:|---:|\n";

/// The claim, then a table for each group.
pub(crate) fn document(record: &Record) -> String {
    if let Some(table) = super::granularity::markdown(record) {
        return table;
    }
    let (groups, looks) = (groups(record), view::looks(record));
    let mut out = format!(
        "**{}**\n\n{}\n",
        Escaped(&view::headline(record, &groups)),
        Escaped(&view::setting(record))
    );
    for group in &groups {
        section(&mut out, record, group, &looks);
    }
    list(&mut out, &say::weak_lines(record));
    closing(&mut out, record, &groups);
    out
}

/// What is said below all tables.
pub(super) fn closing(out: &mut String, record: &Record, groups: &[Group<'_>]) {
    for line in view::closing(record, groups) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{}\n", Escaped(&line));
    }
}

/// Lines as a list, after an empty one; nothing for none.
fn list(out: &mut String, lines: &[String]) {
    for (n, line) in lines.iter().enumerate() {
        let _ = writeln!(out, "{}- {}", if n == 0 { "\n" } else { "" }, Escaped(&redact(line)));
    }
}

fn section(out: &mut String, record: &Record, group: &Group<'_>, looks: &Looks) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\n### {}\n\n", Escaped(&group.label));
    if let Some(sentence) = sentence::sentence(group) {
        let _ = write!(out, "{}\n\n", Escaped(&redact(&sentence)));
    }
    let _ = write!(out, "{HEAD_BEGIN}{}{HEAD_END}", view::baseline_mark(group));
    for (row, at) in view::rows(group, looks) {
        line(out, group, &row, at);
    }
    list(out, &say::lines(group, record));
}

fn line(out: &mut String, group: &Group<'_>, row: &Row, at: usize) {
    let cell = &group.cells[at];
    let _ = write!(out, "| {} | {} |", Escaped(&row.name()), row.workers);
    if let Err(gap) = &row.time {
        let _ = writeln!(out, " {ABSENT} | {}: {} | | |", Escaped(&gap.kind), Escaped(&gap.reason));
        return;
    }
    let figures = [
        cell.time.map(|time| duration_within(time.ns, time.interval)),
        cell.speedup.map(view::against),
        cell.cpu_ns.map(duration),
        cell.memory_peak.map(bytes),
    ];
    for figure in figures {
        let _ = write!(out, " {} |", Escaped(figure.as_deref().unwrap_or(ABSENT)));
    }
    out.push('\n');
}

/// Text that Markdown shows as it is: no markup, no mention of a person or an issue, no line end.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                c if c.is_whitespace() => f.write_char(' ')?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '@' => f.write_str("&#64;")?,
                '#' => f.write_str("&#35;")?,
                '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '$' => write!(f, "\\{c}")?,
                c => f.write_char(visible(c))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_in_names_is_shown_not_obeyed() {
        let text = Escaped("a|b\n<b> *x* @ann #1 `c`").to_string();
        assert_eq!(text, r"a\|b &lt;b&gt; \*x\* &#64;ann &#35;1 \`c\`");
    }
}
