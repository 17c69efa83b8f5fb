//! `manyhands compare`: what changed between two runs, as far as they can tell.

use std::path::PathBuf;

use clap::Args;
use manyhands_record::change::{self, Bound, Change, Comparison, Difference, name};
use manyhands_record::format::{ABSENT, duration, percent, ratio, ratio_within};
use manyhands_record::{CellId, Estimate, Interval, Record, Verdict};
use serde_json::{Value, json};

use super::arguments::growth;
use super::report;
use crate::error::{Error, Exit};

/// No table is wider: it is read in terminals of 80 columns and pasted into mails.
const WIDTH: usize = 80;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The earlier run: its folder, or its record.json
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The later run: its folder, or its record.json
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// End with exit code 4 when a cell became slower by more than this, 5 when it cannot be told
    #[arg(long, value_name = "PERCENT")]
    fail_above: Option<String>,
    /// Compare runs of different machines all the same: what changed may then be the machine
    #[arg(long)]
    other_machine: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn compare(arguments: &CompareArgs) -> Result<Exit, Error> {
    let limit = arguments.fail_above.as_deref();
    let limit = limit.map(|typed| growth(typed, "--fail-above")).transpose()?;
    let old = report::read(&report::file_of(&arguments.old))?;
    let new = report::read(&report::file_of(&arguments.new))?;
    let refusal = change::refusal(&old, &new);
    if let Some(reason) = refusal.as_ref().filter(|_| !arguments.other_machine) {
        return Err(Error::usage(format!(
            "{reason}; measure both on one machine, or compare all the same by --other-machine"
        )));
    }
    let comparison = change::compare(&old, &new);
    if comparison.workloads.is_empty() {
        return Err(Error::usage(
            "the records have no cell in common: same workload, parameters, input, executor, \
             workers and chunk; run what is to be compared in the same way",
        ));
    }
    let bound = limit.map(|limit| (limit, change::bound(&comparison, limit)));
    let shown = Shown {
        old: &old,
        new: &new,
        notes: refusal.into_iter().chain(change::notes(&old, &new)).collect(),
        comparison: &comparison,
        bound: bound.as_ref().map(|(limit, bound)| (*limit, bound)),
    };
    super::print(&if arguments.json { shown.json() } else { shown.table() })?;
    Ok(exit(&comparison, bound.as_ref().map(|(_, bound)| bound)))
}

/// What is wrong comes before what failed, and both before any bound.
fn exit(comparison: &Comparison<'_>, bound: Option<&Bound<'_>>) -> Exit {
    match bound {
        _ if !comparison.wrong.is_empty() => Exit::WrongAnswer,
        _ if !comparison.failed.is_empty() => Exit::Failed,
        None | Some(Bound::Met) => Exit::Ok,
        Some(Bound::Broken(_)) => Exit::Bound,
        Some(Bound::Inconclusive(_)) => Exit::Inconclusive,
    }
}

/// What is shown of a comparison.
struct Shown<'a> {
    old: &'a Record,
    new: &'a Record,
    notes: Vec<String>,
    comparison: &'a Comparison<'a>,
    bound: Option<(f64, &'a Bound<'a>)>,
}

const HEADINGS: [&str; 5] = ["cell", "old", "new", "new / old", "verdict"];
const GAP: &str = "  ";

impl Shown<'_> {
    fn table(&self) -> String {
        let mut out = String::new();
        for workload in &self.comparison.workloads {
            out += &format!("{}\n", cut(&clean(&workload.label), WIDTH));
            let rows: Vec<[String; 5]> = workload.changes.iter().map(row).collect();
            let widths = widths(&rows);
            out += &joined(&HEADINGS.map(str::to_owned), &widths);
            rows.iter().for_each(|row| out += &joined(row, &widths));
            out.push('\n');
        }
        for line in self.remarks() {
            out += &wrapped(&clean(&line));
        }
        out
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let all = || self.comparison.workloads.iter().flat_map(|workload| &workload.changes);
        let count = |verdict| {
            let found = all().filter_map(|change| change.difference);
            found.filter(|found| found.verdict == verdict).count()
        };
        let floor = match self.comparison.floor {
            Some(floor) => format!("noise floor {}", percent(floor - 1.0)),
            None => "noise floor unknown".to_owned(),
        };
        remarks.push(format!(
            "{} cell{} compared: {} slower, {} faster, {} ties; {floor}. A change is more than chance \
             and more than 2 % and the floor. What changed on the machine between the runs is in \
             every ratio.",
            all().count(),
            if all().count() == 1 { "" } else { "s" },
            count(Verdict::Slower),
            count(Verdict::Faster),
            count(Verdict::Tie),
        ));
        if all().any(|change| change.difference.is_some_and(|found| found.cold)) {
            remarks.push("(cold): first samples were compared, there are no others.".to_owned());
        }
        let only = |ids: &[&CellId], record: &Record, which: &str| {
            let names = || named(ids, record);
            (!ids.is_empty()).then(|| format!("Only in the {which} record: {}.", names()))
        };
        remarks.extend(only(&self.comparison.only_old, self.old, "old"));
        remarks.extend(only(&self.comparison.only_new, self.new, "new"));
        let since = |ids: &[&CellId], what: &str| {
            let names = || named(ids, self.new);
            (!ids.is_empty()).then(|| format!("{what}, and not in the old record: {}.", names()))
        };
        remarks.extend(since(&self.comparison.wrong, "WRONG ANSWER"));
        remarks.extend(since(&self.comparison.failed, "FAILED"));
        remarks.extend(self.notes.iter().map(|note| format!("Note: {note}.")));
        remarks.extend(self.bound.map(|(limit, bound)| self.verdict(limit, bound)));
        remarks
    }

    fn verdict(&self, limit: f64, bound: &Bound<'_>) -> String {
        let limit = percent(limit);
        let names = |changes: &[&Change<'_>]| {
            let ids: Vec<&CellId> = changes.iter().map(|change| &change.new.id).collect();
            named(&ids, self.new)
        };
        match bound {
            Bound::Met => format!("Bound met: no cell became slower by more than {limit}."),
            Bound::Broken(changes) => {
                format!("BOUND BROKEN: slower by more than {limit}: {}.", names(changes))
            }
            Bound::Inconclusive(changes) => {
                let (failing, unclear): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
                    changes.iter().partition(|change| change.new.failure().is_some());
                let gone = &self.comparison.only_old;
                let parts = [
                    (!unclear.is_empty())
                        .then(|| format!("of {}; more rounds can tell", names(&unclear))),
                    (!failing.is_empty()).then(|| format!("of {}, which failed", names(&failing))),
                    (!gone.is_empty()).then(|| {
                        let names = named(gone, self.old);
                        format!("of {names}, not in the new record; measure the same cells")
                    }),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                format!(
                    "Inconclusive: whether it became slower by more than {limit} cannot be told {}.",
                    parts.join("; nor ")
                )
            }
        }
    }

    fn json(&self) -> String {
        let workloads = self.comparison.workloads.iter().map(|workload| {
            let cells: Vec<Value> = workload.changes.iter().map(cell_json).collect();
            json!({ "workload": workload.label, "cells": cells })
        });
        let bound = self.bound.map(|(limit, bound)| {
            let (state, cells): (_, &[&Change<'_>]) = match bound {
                Bound::Met => ("met", &[]),
                Bound::Broken(cells) => ("broken", cells),
                Bound::Inconclusive(cells) => ("inconclusive", cells),
            };
            let cells: Vec<&CellId> = cells.iter().map(|change| &change.new.id).collect();
            json!({ "fail_above": limit, "state": state, "cells": cells })
        });
        let document = json!({
            "floor": self.comparison.floor,
            "workloads": workloads.collect::<Vec<_>>(),
            "only_old": self.comparison.only_old,
            "only_new": self.comparison.only_new,
            "wrong": self.comparison.wrong,
            "failed": self.comparison.failed,
            "notes": self.notes,
            "bound": bound,
        });
        format!("{document}\n")
    }
}

fn row(change: &Change<'_>) -> [String; 5] {
    let time = |time: Option<Estimate>, cell| match time {
        Some(time) => duration(time.ns),
        None => change::gap(cell).to_owned(),
    };
    let (shown, verdict) = match change.difference {
        None => (ABSENT.to_owned(), ABSENT.to_owned()),
        Some(found) => (shown(&found), verdict(&found)),
    };
    [
        clean(&change.label),
        time(change.old_time, change.old),
        time(change.new_time, change.new),
        shown,
        verdict,
    ]
}

fn shown(found: &Difference) -> String {
    match found.interval {
        Some(interval) => ratio_within(found.estimate, Some(interval)),
        None => ratio(found.estimate),
    }
}

fn verdict(found: &Difference) -> String {
    let verdict = match found.verdict {
        Verdict::Faster => "faster".to_owned(),
        Verdict::Slower => "slower".to_owned(),
        Verdict::Tie => match found.detectable {
            Some(seen) => format!("tie; {} would show", percent(seen - 1.0)),
            None => "tie".to_owned(),
        },
        Verdict::Inconclusive => "too few rounds".to_owned(),
    };
    if found.cold { format!("{verdict} (cold)") } else { verdict }
}

fn cell_json(change: &Change<'_>) -> Value {
    let interval = |interval: Option<Interval>| interval.map(|i| json!([i.low, i.high]));
    let time = |time: Option<Estimate>| {
        time.map(|time| json!({ "ns": time.ns, "interval": interval(time.interval) }))
    };
    let difference = change.difference.map(|found| {
        json!({
            "ratio": found.estimate,
            "interval": interval(found.interval),
            "p": found.p,
            "detectable": found.detectable,
            "cold": found.cold,
            "verdict": match found.verdict {
                Verdict::Faster => "faster",
                Verdict::Slower => "slower",
                Verdict::Tie => "tie",
                Verdict::Inconclusive => "inconclusive",
            },
        })
    });
    json!({
        "cell": change.new.id,
        "old": time(change.old_time),
        "new": time(change.new_time),
        "old_failure": change.old.failure(),
        "new_failure": change.new.failure(),
        "difference": difference,
    })
}

/// The width of each column; names give way where the table would be too wide.
fn widths(rows: &[[String; 5]]) -> [usize; 5] {
    let mut widths = HEADINGS.map(str::len);
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let others: usize = widths[1..].iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    widths[0] = widths[0].min(WIDTH.saturating_sub(others).max(8));
    widths
}

fn joined(row: &[String; 5], widths: &[usize; 5]) -> String {
    let columns = row.iter().zip(widths).enumerate().map(|(n, (text, &width))| {
        let text = cut(text, width);
        // Times stand to the right, as numbers do.
        if n == 1 || n == 2 { format!("{text:>width$}") } else { format!("{text:<width$}") }
    });
    let line = columns.collect::<Vec<_>>().join(GAP);
    format!("{}\n", cut(line.trim_end(), WIDTH))
}

/// Nothing that a terminal would obey: records come from anywhere.
fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_whitespace() { ' ' } else { '\u{fffd}' };
    text.chars().map(|c| if c.is_control() || c.is_whitespace() { shown(c) } else { c }).collect()
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Lines of at most [`WIDTH`] columns, each with its end.
fn wrapped(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let word = cut(word, WIDTH);
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out += &word;
        column += length;
    }
    out + "\n"
}

/// Names beyond this many are counted.
const NAMES: usize = 6;

fn named(ids: &[&CellId], record: &Record) -> String {
    let names: Vec<String> = ids.iter().take(NAMES).map(|id| name(id, record)).collect();
    match ids.len() - names.len() {
        0 => names.join("; "),
        more => format!("{}; and {more} more", names.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_wrapped_at_eighty_columns() {
        let text = wrapped(&"word ".repeat(40));
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [79, 79, 39]);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(clean("a\u{1b}[2J\nb"), "a\u{fffd}[2J b");
    }
}
