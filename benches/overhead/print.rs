//! A comparison as a row of a table and as a JSON object.

use serde_json::json;

use crate::comparison::{Against, Bound, Comparison, Verdict};
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
