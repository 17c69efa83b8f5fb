//! A comparison as a row of a table and as a JSON object.

use manyhands_record::format::{ABSENT, duration_within, percent};
use manyhands_record::models::granularity::{Metg, STATED};
use serde_json::json;

use crate::comparison::{Against, Bound, Comparison, Verdict};
use crate::granularity::{Outcome, Row};
use crate::statistics::Estimate;

/// The table's first lines.
pub(crate) fn head() {
    println!("nanoseconds per task, one task at a time; medians of interleaved pairs");
    println!("against hand: time / time, less is better; python-pool: rate / rate, more is better");
    println!();
    println!(
        "{:<20} {:<5} {:<11} {:>9} {:>9} {:>7} {:<18} {:>8}  {:<11} verdict",
        "executor", "loop", "against", "ours", "theirs", "ratio", "[95 %]", "excess", "allowed"
    );
}

/// One row.
pub(crate) fn row(comparison: &Comparison) {
    let Comparison { executor, length, ours_ns, theirs_ns, ratio, excess_ns, .. } = comparison;
    let decimals = match comparison.against {
        Against::Hand => 3,
        Against::PythonPool => 1,
    };
    println!(
        "{executor:<20} {:<5} {:<11} {:>9.1} {:>9.1} {:>7.decimals$} {:<18} {:>8.1}  {:<11} {}",
        length.name(),
        comparison.against.name(),
        ours_ns.median,
        theirs_ns.median,
        ratio.median,
        brackets(ratio, decimals),
        excess_ns.median,
        allowed(comparison.bound()),
        verdict(comparison.verdict()),
    );
}

fn brackets(estimate: &Estimate, decimals: usize) -> String {
    match estimate.interval {
        Some([low, high]) => format!("[{low:.decimals$}, {high:.decimals$}]"),
        None => "too few pairs".to_owned(),
    }
}

fn allowed(bound: Bound) -> String {
    match bound {
        Bound::RatioAtMost(most) => format!("<= {most} x"),
        Bound::RatioAtLeast(least) => format!(">= {least} x"),
        Bound::ExcessAtMost(most) => format!("<= +{most:.0} ns"),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "not met",
        Verdict::Unclear => "unclear: too noisy",
    }
}

/// One object on one line.
pub(crate) fn object(comparison: &Comparison) {
    let met = match comparison.verdict() {
        Verdict::Met => Some(true),
        Verdict::NotMet => Some(false),
        Verdict::Unclear => None,
    };
    let object = json!({
        "executor": comparison.executor.as_str(),
        "loop": comparison.length.name(),
        "against": comparison.against.name(),
        "ratio": comparison.ratio.median,
        "excess_ns": comparison.excess_ns.median,
        "interval": comparison.ratio.interval,
        "ours_ns": comparison.ours_ns.median,
        "theirs_ns": comparison.theirs_ns.median,
        "met": met,
    });
    println!("{object}");
}

/// `processes:shm` may take this many times as long as `threads` for a task without work.
const MOST_SHM: f64 = 2.0;

/// The table of granularities, or an object for each row, and last how `processes:shm` compares
/// with `threads`.
pub(crate) fn granularities(outcome: &Outcome, json: bool) {
    if json {
        outcome.rows.iter().for_each(granularity_object);
    } else {
        println!("core-time per task, one task at a time; six starts of each side, interleaved");
        println!("cost: the line through all lengths at no work; METG(50 %): where half of the");
        println!("best rate is reached; then the efficiency at 1, 10 and 100 us of work");
        println!();
        let columns = ["executor", "side", "cost per task", "METG(50 %)"];
        let [executor, side, cost, metg] = columns;
        println!(
            "{executor:<20} {side:<9} {cost:<24} {metg:<24} {:>8} {:>8} {:>8}",
            "1 us", "10 us", "100 us"
        );
        outcome.rows.iter().for_each(granularity_row);
    }
    let Some(ratio) = outcome.shm_by_threads else { return };
    let met = ratio.estimate <= MOST_SHM;
    let interval = ratio.interval.map(|interval| [interval.low, interval.high]);
    if json {
        let what = "processes:shm over threads, core-time per task without work";
        let object =
            json!({ "what": what, "ratio": ratio.estimate, "interval": interval, "met": met });
        println!("{object}");
    } else {
        println!();
        println!(
            "without work processes:shm takes {:.2} times the core-time of threads {}: {}",
            ratio.estimate,
            interval.map_or(String::new(), |[low, high]| format!("[{low:.2}, {high:.2}]")),
            if met { "at most 2, met" } else { "more than 2, not met" },
        );
    }
}

fn side(row: &Row) -> &'static str {
    if row.hand { "by hand" } else { "manyhands" }
}

fn granularity_row(row: &Row) {
    let cost = row.cost.map_or(ABSENT.to_owned(), |cost| duration_within(cost.ns, cost.interval));
    let metg = match row.metg {
        Some(Metg::Crosses { ns, interval }) => duration_within(ns, interval),
        Some(Metg::Below { shortest_ns }) => {
            format!("below {}", duration_within(shortest_ns, None))
        }
        Some(Metg::Above { longest_ns }) => format!("above {}", duration_within(longest_ns, None)),
        None => ABSENT.to_owned(),
    };
    let [one, ten, hundred] =
        row.at.map(|share| share.map_or(ABSENT.to_owned(), |share| percent(share.share)));
    let (executor, side) = (row.executor, side(row));
    println!("{executor:<20} {side:<9} {cost:<24} {metg:<24} {one:>8} {ten:>8} {hundred:>8}");
}

fn granularity_object(row: &Row) {
    let ends = |interval: manyhands_record::Interval| [interval.low, interval.high];
    let (metg_ns, metg_interval) = match row.metg {
        Some(Metg::Crosses { ns, interval }) => (Some(ns), interval.map(ends)),
        _ => (None, None),
    };
    let efficiency: Vec<_> = STATED
        .iter()
        .zip(&row.at)
        .map(|(ns, share)| {
            let share = share.as_ref();
            let interval = share.and_then(|share| share.interval).map(ends);
            json!({ "work_ns": ns, "share": share.map(|s| s.share), "interval": interval })
        })
        .collect();
    let object = json!({
        "executor": row.executor.as_str(),
        "side": if row.hand { "hand" } else { "manyhands" },
        "cost_ns": row.cost.map(|cost| cost.ns),
        "cost_interval": row.cost.and_then(|cost| cost.interval).map(ends),
        "metg_ns": metg_ns,
        "metg_interval": metg_interval,
        "metg": row.metg.map(|metg| metg.to_string()),
        "efficiency": efficiency,
    });
    println!("{object}");
}
