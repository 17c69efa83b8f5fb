//! Weak scaling: the work grows with the workers (Gustafson 1988, "Reevaluating Amdahl's law",
//! Communications of the ACM 31(5)).
//!
//! Where more workers are meant for more work and not for less time, the question is whether n
//! workers do n times the work in the time that one needs for its own. Weak efficiency is
//! time(1 worker, work 1) / time(n workers, work n), paired by round; n times that is the scaled
//! speed-up, and (n - speed-up) / (n - 1) is Gustafson's serial fraction: the share of the *parallel*
//! run's time, not of the sequential run's as in Amdahl's law.

use std::collections::BTreeMap;

use super::Value;
use crate::statistics::{Estimate, Times, ratio};
use crate::{Cell, CellId, Record};

/// Work may be off proportion by this: parameters are whole numbers.
const TOLERANCE: f64 = 0.01;

/// One executor of one workload, with work that grows with the workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve<'a> {
    /// The workload's name.
    pub workload: &'a str,
    /// The executor.
    pub executor: &'a str,
    /// The parameter that grows.
    pub parameter: &'a str,
    /// Ascending by workers; the first has one.
    pub points: Vec<Point<'a>>,
}

/// A number of workers with its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    /// Workers.
    pub workers: u32,
    /// The parameter's value.
    pub work: &'a str,
    /// The time of one sample.
    pub time: Estimate,
    /// Weak efficiency: 1 where n workers do n times the work in the same time.
    pub efficiency: Value,
    /// Gustafson's scaled speed-up: workers times efficiency.
    pub speedup: Value,
    /// Gustafson's serial fraction; absent for one worker.
    pub serial: Option<Value>,
}

/// The curves of a record that measured weak scaling, in the order of the plan; none of any other
/// record. Cells of a curve differ in nothing but their workers and, in proportion, the
/// parameter, and with it the input. The first has one worker; without such a cell there is no curve.
pub fn curves(record: &Record) -> Vec<Curve<'_>> {
    let Some(names) = record.header.weak.as_deref() else { return Vec::new() };
    let mut keys = Vec::new();
    let mut series: Vec<(&str, Vec<&Cell>)> = Vec::new();
    for cell in record.cells.iter().filter(|cell| cell.failure().is_none()) {
        // Where a workload has a parameter of another's name as well, that one does not grow, and
        // the cells that share all but it are no curve.
        for parameter in names.split(", ").filter(|name| cell.id.parameters.contains_key(*name)) {
            let key = (parameter, key(&cell.id, parameter));
            let place = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                series.push((parameter, Vec::new()));
                keys.len() - 1
            });
            series[place].1.push(cell);
        }
    }
    series.iter().filter_map(|(parameter, cells)| curve(cells, parameter)).collect()
}

type Key<'a> = (
    &'a str,
    u32,
    Vec<(&'a String, &'a String)>,
    &'a str,
    crate::Chunk,
    Option<&'a str>,
    Option<u32>,
);

/// All that cells of a curve share.
fn key<'a>(id: &'a CellId, parameter: &str) -> Key<'a> {
    let others = id.parameters.iter().filter(|(name, _)| *name != parameter).collect();
    let label = id.label.as_deref();
    (&id.workload, id.version, others, &id.executor, id.chunk, label, id.rate)
}

fn curve<'a>(cells: &[&'a Cell], parameter: &'a str) -> Option<Curve<'a>> {
    // One worker has to do with every work of a sweep: its least is the unit.
    let work = |cell: &Cell| cell.id.parameters.get(parameter)?.parse::<f64>().ok();
    let alone = cells.iter().filter(|cell| cell.id.workers == 1 && Times::of(cell).is_some());
    let first = alone.min_by(|a, b| {
        work(a).unwrap_or(f64::INFINITY).total_cmp(&work(b).unwrap_or(f64::INFINITY))
    })?;
    let (unit, base) = (work(first)?, Times::of(first)?);
    let in_proportion = |cell: &Cell| {
        let expected = unit * f64::from(cell.id.workers);
        work(cell).is_some_and(|work| (work / expected - 1.0).abs() <= TOLERANCE)
    };
    let mut points = BTreeMap::new();
    for cell in cells.iter().filter(|cell| in_proportion(cell)) {
        let Some(times) = Times::of(cell) else { continue };
        if let Some(point) = point(cell, parameter, &times, &base) {
            points.entry(cell.id.workers).or_insert(point);
        }
    }
    let points: Vec<Point<'a>> = points.into_values().collect();
    let (workload, executor) = (first.id.workload.as_str(), first.id.executor.as_str());
    (points.len() > 1).then_some(Curve { workload, executor, parameter, points })
}

fn point<'a>(
    cell: &'a Cell,
    parameter: &str,
    times: &Times<'_>,
    base: &Times<'_>,
) -> Option<Point<'a>> {
    let cold = times.cold || base.cold;
    let found = ratio::paired(base.logs(cold), times.logs(cold))?;
    let efficiency = Value { estimate: found.estimate, interval: found.interval };
    let n = f64::from(cell.id.workers);
    let speedup = efficiency.map(|efficiency| n * efficiency);
    Some(Point {
        workers: cell.id.workers,
        work: cell.id.parameters.get(parameter)?,
        time: times.estimate(),
        efficiency,
        speedup,
        serial: (n > 1.0).then(|| speedup.map(|speedup| (n - speedup) / (n - 1.0))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{record, six, timed};

    fn cell(executor: &str, workers: u32, work: &str, wall: u64) -> Cell {
        let mut cell = timed(executor, &six(wall, workers as usize));
        cell.id.workers = workers;
        cell.id.parameters.insert("tasks".to_owned(), work.to_owned());
        cell
    }

    fn weak(cells: Vec<Cell>) -> Record {
        let mut record = record(cells);
        record.header.weak = Some("tasks".to_owned());
        record
    }

    #[test]
    fn efficiency_speedup_and_fraction_are_gustafsons() {
        // 16 % of the parallel time is serial: 4 workers do 3.52 times the work of one, as
        // n + (1 - n) s = 4 - 3 x 0.16; so n times the work takes 4 / 3.52 times as long.
        let record = weak(vec![
            cell("threads", 1, "100", 1_000_000),
            cell("threads", 4, "400", 1_136_364),
            cell("threads", 4, "100", 300_000),
            cell("threads", 2, "300", 1_000_000),
        ]);
        let curves = curves(&record);
        assert_eq!(curves.len(), 1);
        let [one, four] = &curves[0].points[..] else { panic!("{curves:?}") };
        assert_eq!((one.workers, one.work, one.serial), (1, "100", None));
        assert!((one.efficiency.estimate - 1.0).abs() < 1e-9);
        assert_eq!((four.workers, four.work), (4, "400"));
        assert!((four.efficiency.estimate - 0.88).abs() < 0.002, "{four:?}");
        assert!((four.speedup.estimate - 3.52).abs() < 0.01, "{four:?}");
        let serial = four.serial.unwrap();
        assert!((serial.estimate - 0.16).abs() < 0.005, "{four:?}");
        let interval = serial.interval.unwrap();
        assert!(interval.low < 0.16 && 0.16 < interval.high, "{interval:?}");
    }

    #[test]
    fn executors_and_other_parameters_make_curves_of_their_own() {
        let mut other = cell("threads", 1, "100", 1_000);
        other.id.parameters.insert("limit".to_owned(), "7".to_owned());
        let record = weak(vec![
            cell("threads", 1, "100", 1_000),
            cell("threads", 2, "200", 1_000),
            cell("rayon", 1, "100", 1_000),
            cell("rayon", 2, "201", 1_000),
            cell("async", 2, "200", 1_000),
            other,
        ]);
        let names: Vec<&str> = curves(&record).iter().map(|curve| curve.executor).collect();
        assert_eq!(names, ["threads", "rayon"]);
    }

    #[test]
    fn workloads_that_grow_by_different_parameters_have_a_curve_each() {
        let height = |workers: u32, height: &str| {
            let mut cell = cell("threads", workers, "100", 1_000);
            cell.id.workload = "mandelbrot".to_owned();
            // It has `tasks`, too, which stays.
            cell.id.parameters.insert("height".to_owned(), height.to_owned());
            cell
        };
        let mut record = weak(vec![
            cell("threads", 1, "100", 1_000),
            cell("threads", 2, "200", 1_000),
            height(1, "64"),
            height(2, "128"),
        ]);
        record.header.weak = Some("height, tasks".to_owned());
        let found: Vec<_> =
            curves(&record).iter().map(|c| (c.workload, c.parameter, c.points[1].work)).collect();
        let first = record.cells[0].id.workload.as_str();
        assert_eq!(found, [(first, "tasks", "200"), ("mandelbrot", "height", "128")]);
    }

    #[test]
    fn a_record_of_strong_scaling_has_no_curves() {
        let record = record(vec![cell("threads", 1, "1", 9), cell("threads", 2, "2", 9)]);
        assert_eq!(curves(&record), []);
    }
}
