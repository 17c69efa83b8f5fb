//! A sweep over the length of a task, in words.

use manyhands_record::Record;
use manyhands_record::format::{ABSENT, duration, duration_within, percent};
use manyhands_record::models::granularity::{Cost, Curve, Metg, Share, Sweep};

use crate::escape::redact;
use crate::view;

/// A line through the measured points that misses one by more than this is said to.
const MISFIT: f64 = 0.15;

/// The columns of every table of a sweep.
pub(crate) const HEADINGS: [&str; 6] =
    ["executor", "cost per task", "METG(50 %)", "at 1 us", "at 10 us", "at 100 us"];

/// A row of the table: an executor and what it comes to.
pub(crate) struct Line {
    pub(crate) name: String,
    /// The other columns, or why there are none.
    pub(crate) figures: Result<[String; HEADINGS.len() - 1], String>,
}

/// The rows, executors in the order of the plan.
pub(crate) fn lines(sweep: &Sweep<'_>) -> Vec<Line> {
    let line = |curve: &Curve<'_>| Line {
        name: curve.label(&sweep.curves),
        figures: match gap(curve) {
            Some(reason) => Err(reason),
            None => Ok(figures(curve)),
        },
    };
    sweep.curves.iter().map(line).collect()
}

/// Why a curve has no figures.
fn gap(curve: &Curve<'_>) -> Option<String> {
    if let Some(failure) = curve.failure {
        let gap = view::gap(failure);
        return Some(format!("{}: {}", gap.kind, gap.reason));
    }
    let reason = "not measured: the run ended before its first launch did";
    curve.points.is_empty().then(|| reason.to_owned())
}

fn figures(curve: &Curve<'_>) -> [String; HEADINGS.len() - 1] {
    let [one, ten, hundred] = curve.at.map(share);
    [cost(curve.cost), metg(curve.metg), one, ten, hundred]
}

fn cost(cost: Option<Cost>) -> String {
    cost.map_or(ABSENT.to_owned(), |cost| duration_within(cost.ns, cost.interval))
}

/// `1.40 us [1.36, 1.44]`, `below 25.0 ns`, `above 310 us`.
pub(crate) fn metg(metg: Option<Metg>) -> String {
    match metg {
        None => ABSENT.to_owned(),
        Some(Metg::Crosses { ns, interval }) => duration_within(ns, interval),
        Some(Metg::Below { shortest_ns }) => format!("below {}", duration(shortest_ns)),
        Some(Metg::Above { longest_ns }) => format!("above {}", duration(longest_ns)),
    }
}

fn share(share: Option<Share>) -> String {
    share.map_or(ABSENT.to_owned(), |share| percent(share.share))
}

/// What must be said beside the table: why there is no METG, and where the line does not fit.
pub(crate) fn notes(sweep: &Sweep<'_>) -> Vec<String> {
    let mut notes = vec![rates(sweep)];
    for curve in sweep.curves.iter().filter(|curve| gap(curve).is_none()) {
        let name = curve.label(&sweep.curves);
        if let Some(metg @ (Metg::Below { .. } | Metg::Above { .. })) = curve.metg {
            notes.push(format!("{name}: {metg}."));
        }
        if let Some(misfit) = curve.cost.map(|cost| cost.misfit).filter(|misfit| *misfit > MISFIT) {
            notes.push(format!(
                "{name}: the cost depends on the length of the task; a measured point lies {} off \
                 the fitted line.",
                percent((misfit * 100.0).round() / 100.0)
            ));
        }
    }
    notes
}

/// The best rates that efficiencies are shares of.
fn rates(sweep: &Sweep<'_>) -> String {
    let mut rates: Vec<(u32, f64)> =
        sweep.curves.iter().filter_map(|c| Some((c.cores, c.best_ns_per_unit?))).collect();
    rates.sort_by_key(|(cores, _)| *cores);
    rates.dedup_by_key(|(cores, _)| *cores);
    let rate = |(cores, ns): &(u32, f64)| format!("{} on {}", duration(*ns), view::cores(*cores));
    let rates: Vec<String> = rates.iter().map(rate).collect();
    match rates.as_slice() {
        [] => "No task had any work, so there is no rate.".to_owned(),
        rates => format!(
            "Best rate per core, the measure of all efficiencies: 1 of {} in {}.",
            sweep.length,
            rates.join(", ")
        ),
    }
}

/// What the sweeps found, as the claim of a report.
pub(crate) fn claim(sweeps: &[Sweep<'_>]) -> String {
    let crossings = sweeps.iter().flat_map(|sweep| {
        sweep.curves.iter().filter_map(|curve| match curve.metg? {
            Metg::Crosses { ns, .. } => Some((curve.label(&sweep.curves), ns)),
            _ => None,
        })
    });
    let mut crossings: Vec<(String, f64)> = crossings.collect();
    crossings.sort_by(|a, b| a.1.total_cmp(&b.1));
    match crossings.as_slice() {
        [] => "No executor crosses half of the best rate among the lengths measured".to_owned(),
        [(name, ns)] => {
            format!("Half of the best rate takes tasks of {} with {name}", duration(*ns))
        }
        [(least, low), .., (most, high)] => format!(
            "Half of the best rate takes tasks of {} with {least}, of {} with {most}",
            duration(*low),
            duration(*high)
        ),
    }
}

/// The claim, where a record is of a sweep.
pub(crate) fn claim_of(record: &Record) -> Option<String> {
    let sweeps = manyhands_record::models::granularity::curves(record);
    (!sweeps.is_empty()).then(|| redact(&claim(&sweeps)))
}
