//! The table of a sweep over the length of a task, for the terminal and for Markdown.

use std::fmt::Write;

use manyhands_record::models::granularity::{Sweep, curves};
use manyhands_record::{Record, groups};
use unicode_width::UnicodeWidthStr;

use super::markdown::Escaped;
use super::terminal::{self, BOLD, DIM, RED, Style, WIDTH, clean, cut, wrapped};
use crate::escape::redact;
use crate::granularity::{HEADINGS, Line, claim, lines, notes};
use crate::view;

const GAP: &str = "  ";
/// Names are cut before the figures are.
const NAME: usize = 26;

/// For the terminal; `None` where the record is not of a sweep.
pub(super) fn table(record: &Record, style: Style) -> Option<String> {
    let sweeps = curves(record);
    let blocks: Vec<String> = sweeps.iter().map(|sweep| block(sweep, style)).collect();
    (!blocks.is_empty())
        .then(|| blocks.join("\n") + &terminal::closing(record, &groups(record), style))
}

fn block(sweep: &Sweep<'_>, style: Style) -> String {
    let lines = lines(sweep);
    let widths = widths(&lines);
    let title = format!("{}: granularity, by {}", clean(&sweep.label), clean(sweep.length));
    let mut out = style.paint(BOLD, &cut(&title, WIDTH)) + "\n";
    out += &style.paint(DIM, &joined(&HEADINGS.map(str::to_owned), &widths));
    out.push('\n');
    for line in &lines {
        out += &printed(line, &widths, style);
        out.push('\n');
    }
    for note in notes(sweep) {
        for line in wrapped(&clean(&redact(&note)), WIDTH) {
            out += &line;
            out.push('\n');
        }
    }
    out
}

fn printed(line: &Line, widths: &[usize; HEADINGS.len()], style: Style) -> String {
    match &line.figures {
        Ok([cost, metg, one, ten, hundred]) => {
            let columns = [&line.name, cost, metg, one, ten, hundred].map(|text| clean(text));
            joined(&columns, widths)
        }
        Err(reason) => {
            let indent = widths[0] + GAP.len();
            let name = cut(&clean(&line.name), widths[0]);
            let pad = " ".repeat(indent - name.width());
            let lines = wrapped(&clean(reason), WIDTH - indent);
            let lines: Vec<String> = lines.iter().map(|line| style.paint(RED, line)).collect();
            format!("{name}{pad}{}", lines.join(&format!("\n{}", " ".repeat(indent))))
        }
    }
}

fn widths(lines: &[Line]) -> [usize; HEADINGS.len()] {
    let mut widths = HEADINGS.map(str::len);
    for line in lines {
        widths[0] = widths[0].max(clean(&line.name).width()).min(NAME);
        for (n, figure) in line.figures.iter().flatten().enumerate() {
            widths[n + 1] = widths[n + 1].max(figure.width());
        }
    }
    widths
}

/// Names to the left, shares to the right; estimates with their intervals begin together.
fn joined(columns: &[String; HEADINGS.len()], widths: &[usize; HEADINGS.len()]) -> String {
    let mut line = String::new();
    for (n, (column, width)) in columns.iter().zip(widths).enumerate() {
        let text = cut(column, *width);
        let pad = " ".repeat(width - text.width());
        line += if n > 0 { GAP } else { "" };
        line += &if n > 2 { pad + &text } else { text + &pad };
    }
    cut(line.trim_end(), WIDTH)
}

/// For Markdown; `None` where the record is not of a sweep.
pub(super) fn markdown(record: &Record) -> Option<String> {
    let sweeps = curves(record);
    if sweeps.is_empty() {
        return None;
    }
    let (claim, setting) = (claim(&sweeps), view::setting(record));
    let mut out = format!("**{}**\n\n{}\n", Escaped(&claim), Escaped(&setting));
    for sweep in &sweeps {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n### {}: granularity\n\n", Escaped(&sweep.label));
        let _ = writeln!(out, "| {} |\n|:---|---:|---:|---:|---:|---:|", HEADINGS.join(" | "));
        for line in lines(sweep) {
            let _ = write!(out, "| {} |", Escaped(&line.name));
            match line.figures {
                Ok(figures) => {
                    figures.iter().for_each(|figure| _ = write!(out, " {} |", Escaped(figure)));
                }
                Err(reason) => _ = write!(out, " {} | | | | |", Escaped(&reason)),
            }
            out.push('\n');
        }
        out.push('\n');
        notes(sweep).iter().for_each(|note| _ = writeln!(out, "- {}", Escaped(&redact(note))));
    }
    super::markdown::closing(&mut out, record, &groups(record));
    Some(out)
}
