use super::*;
use crate::fixture;
use crate::statistics::noise::SplitMix64;
use crate::{Cell, FailureKind, Record};

const WORKS: [f64; 5] = [0.0, 100.0, 400.0, 1_600.0, 6_400.0];
const SLOW: [[f64; 6]; 5] = [
    [500., 510., 495., 505., 520., 490.],
    [640., 620., 650., 630., 645., 625.],
    [1000., 1020., 990., 1015., 1030., 985.],
    [2500., 2530., 2480., 2510., 2550., 2490.],
    [8500., 8550., 8450., 8520., 8600., 8470.],
];
const FAST: [[f64; 6]; 5] = [
    [11., 10., 12., 11., 10., 11.],
    [135., 137., 134., 136., 138., 133.],
    [512., 515., 508., 511., 517., 506.],
    [2010., 2020., 1995., 2005., 2030., 1990.],
    [8010., 8050., 7980., 8000., 8090., 7960.],
];

fn length(work: f64, values: &[f64]) -> Length {
    Length { work, logs: (0..).zip(values.iter().map(|ns| ns.ln())).collect() }
}

fn lengths(table: &[[f64; 6]; 5]) -> Vec<Length> {
    WORKS.iter().zip(table).map(|(work, values)| length(*work, values)).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs()
}

#[track_caller]
fn within(found: Option<Interval>, low: f64, high: f64) {
    let found = found.expect("six rounds give an interval");
    assert!(close(found.low, low) && close(found.high, high), "{found:?}, not [{low}, {high}]");
}

// All expected values below: NumPy 2.4.6 (polyfit with weights 1 / fitted, iterated; interp) and
// SciPy 1.17.1 (stats.t.interval), from the same tables.

#[test]
fn efficiency_is_a_share_of_the_best_rate_of_any_executor() {
    let (slow, fast) = (lengths(&SLOW), lengths(&FAST));
    let best = Best::of(slow.iter().chain(&fast)).expect("there is work");
    assert!(close(best.ns_per_unit, 1.2523253449004097));
    assert_eq!(efficiency(&slow[0], &best), None);
    let share = efficiency(&slow[2], &best).expect("rounds are shared");
    assert!(close(share.share, 0.4976775122220644), "{share:?}");
    within(share.interval, 0.4912220941185228, 0.5042177645042607);
    assert!(close(efficiency(&fast[4], &best).expect("itself").share, 1.0));
}

#[test]
fn metg_lies_between_the_two_points_that_straddle_half() {
    let (slow, fast) = (lengths(&SLOW), lengths(&FAST));
    let best = Best::of(slow.iter().chain(&fast)).expect("there is work");
    let Some(Metg::Crosses { ns, interval }) = metg(&slow, &best) else {
        panic!("it crosses: {:?}", metg(&slow, &best));
    };
    assert!(close(ns, 1015.971719501337), "{ns}");
    within(interval, 981.4181668705176, 1051.7418259312553);
}

#[test]
fn no_crossing_no_number_but_the_side_on_which_it_lies() {
    let (slow, fast) = (lengths(&SLOW), lengths(&FAST));
    let best = Best::of(slow.iter().chain(&fast)).expect("there is work");
    let below = metg(&fast, &best).expect("measured");
    assert!(matches!(below, Metg::Below { shortest_ns } if (shortest_ns - 135.0).abs() < 1.0));
    assert_eq!(
        below.to_string(),
        "efficiency never falls below half: METG is below the shortest task measured, 135 ns"
    );
    let above = metg(&slow[..3], &best).expect("measured");
    assert_eq!(
        above.to_string(),
        "efficiency never reaches half: METG is above the longest task measured, 1.01 us"
    );
    assert_eq!(metg(&[], &best), None);
    assert_eq!(metg(&slow[..1], &best), None);
    assert_eq!(Best::of(&slow[..1]), None);
}

#[test]
fn of_several_crossings_the_middle_one_counts() {
    let rising = [(0.0, 0.4), (1.0, 0.6), (2.0, 0.4), (3.0, 0.6), (4.0, 0.9)];
    assert_eq!(crossing(&rising), Some(1.5));
    assert_eq!(crossing(&[(0.0, 0.4), (1.0, 0.6), (2.0, 0.4)]), Some(0.5));
    assert_eq!(crossing(&[(0.0, 0.5), (1.0, 0.4), (2.0, 0.6)]), None);
    assert_eq!(crossing(&[(0.0, 0.4), (1.0, 0.49)]), None);
    assert_eq!(crossing(&[]), None);
}

#[test]
fn a_round_that_does_not_cross_takes_the_interval_away() {
    let best = Best::of(&[length(1.0, &[1.0; 7])]).expect("there is work");
    let sure = [length(10.0, &[25.0; 7]), length(20.0, &[36.0; 7])];
    assert!(matches!(metg(&sure, &best), Some(Metg::Crosses { interval: Some(_), .. })));
    let unsure = [length(10.0, &[25., 25., 25., 25., 25., 25., 19.]), sure[1].clone()];
    assert!(matches!(metg(&unsure, &best), Some(Metg::Crosses { interval: None, .. })));
    let few = [length(10.0, &[25.0; 5]), length(20.0, &[36.0; 5])];
    assert!(matches!(metg(&few, &best), Some(Metg::Crosses { interval: None, .. })));
}

#[test]
fn the_cost_of_a_task_is_the_intercept_of_a_weighted_line() {
    let slow = cost(&lengths(&SLOW)).expect("five lengths");
    assert!((slow.ns - 505.76583892261095).abs() < 1e-6, "{slow:?}");
    assert!((slow.ns_per_unit - 1.252862733920599).abs() < 1e-9, "{slow:?}");
    assert!((slow.misfit - 0.006110447614849912).abs() < 1e-9, "{slow:?}");
    let interval = slow.interval.expect("six rounds");
    assert!((interval.low - 496.8234259170636).abs() < 1e-6, "{interval:?}");
    assert!((interval.high - 514.7082519281583).abs() < 1e-6, "{interval:?}");
    let fast = cost(&lengths(&FAST)).expect("five lengths");
    assert!((fast.ns - 10.831127670741033).abs() < 1e-6, "{fast:?}");
    assert_eq!(cost(&lengths(&SLOW)[..2]), None);
}

#[test]
fn efficiency_between_two_lengths_takes_granularity_to_be_linear() {
    let (slow, fast) = (lengths(&SLOW), lengths(&FAST));
    let best = Best::of(slow.iter().chain(&fast)).expect("there is work");
    let share = efficiency_at(&slow, &best, 1_000.0).expect("between two lengths");
    assert!(close(share.share, 0.6640974105958415), "{share:?}");
    within(share.interval, 0.6584833835831697, 0.6697593010779413);
    assert_eq!(efficiency_at(&slow, &best, 10_000.0), None);
    assert_eq!(efficiency_at(&slow[1..], &best, 100.0), None);
}

/// A normal number, as the sum of twelve even ones.
fn normal(random: &mut SplitMix64) -> f64 {
    (0..12).map(|_| random.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
}

/// An executor whose tasks cost `cost` ns, over lengths around its crossing as a run chooses them,
/// beside one that costs nothing: six rounds with 2 % of mood that a round shares and 3 % of noise
/// that it does not.
fn planted(planted: f64, random: &mut SplitMix64) -> (Vec<Length>, Best) {
    let moods: Vec<f64> = (0..6).map(|_| 0.02 * normal(random)).collect();
    let mut measure = |work: f64, cost: f64| Length {
        work,
        logs: (0..)
            .zip(&moods)
            .map(|(r, m)| (r, (work + cost).ln() + m + 0.03 * normal(random)))
            .collect(),
    };
    let factors = [0.0, 0.25, 0.5, 0.707, 1.0, 1.414, 2.0, 4.0, 100.0, 200.0];
    let free = measure(200.0 * planted, 0.0);
    let lengths: Vec<Length> = factors.iter().map(|f| measure(f * planted, planted)).collect();
    let best = Best::of(lengths.iter().chain([&free])).expect("there is work");
    (lengths, best)
}

#[test]
fn intervals_hold_a_planted_cost_and_a_planted_metg() {
    const TRIALS: u32 = 4_000;
    let mut random = SplitMix64::new(11);
    let (mut costs, mut metgs, mut shares, mut undecided) = (0, 0, 0, 0);
    for _ in 0..TRIALS {
        let (lengths, best) = planted(700.0, &mut random);
        let holds = |interval: Option<Interval>, truth: f64| {
            u32::from(interval.is_some_and(|i| i.low <= truth && truth <= i.high))
        };
        costs += holds(cost(&lengths).expect("ten lengths").interval, 700.0);
        match metg(&lengths, &best) {
            Some(Metg::Crosses { ns: _, interval: Some(interval) }) => {
                metgs += holds(Some(interval), 1_400.0);
            }
            _ => undecided += 1,
        }
        let at = efficiency_at(&lengths, &best, 1_000.0).expect("between two lengths");
        shares += holds(at.interval, 1_000.0 / 1_700.0);
    }
    let share = |count: u32| f64::from(count) / f64::from(TRIALS);
    println!("cost {}, METG {}, share {}", share(costs), share(metgs), share(shares));
    assert!((0.93..=0.97).contains(&share(costs)), "{}", share(costs));
    assert!((0.93..=0.975).contains(&share(metgs)), "{}", share(metgs));
    // The best rate is picked for being high, so its own noise is in the spread of the rounds
    // without being in the mean: a little wide.
    assert!((0.93..=0.985).contains(&share(shares)), "{}", share(shares));
    assert_eq!(undecided, 0);
}

#[test]
fn granularity_counts_cores_not_workers_beyond_them() {
    assert_eq!(granularity(1_000.0, 1, 2, 10), 100.0);
    assert_eq!(granularity(1_000.0, 2, 2, 10), 200.0);
    assert_eq!(granularity(1_000.0, 64, 2, 10), 200.0);
    assert_eq!(granularity(1_000.0, 0, 0, 0), 1_000.0);
}

/// A cell of `spin` with tasks of this length, whose launches had these granularities.
fn swept(executor: &str, work: f64, values: &[f64; 6]) -> Cell {
    const TASKS: f64 = 1_000.0;
    let walls: Vec<u64> = values.iter().map(|ns| (ns * TASKS / 2.0) as u64).collect();
    let mut cell = fixture::timed(executor, &walls);
    cell.id.workload = "spin".to_owned();
    cell.id.parameters =
        [("steps", work), ("tasks", TASKS)].map(|(k, v)| (k.to_owned(), v.to_string())).into();
    cell
}

fn record(cells: Vec<Cell>) -> Record {
    let mut record = fixture::record(cells);
    record.header.granularity = Some("steps".to_owned());
    record.header.machine.usable_cores = 2;
    record
}

fn swept_by(executor: &str, table: &[[f64; 6]; 5]) -> Vec<Cell> {
    WORKS.iter().zip(table).map(|(work, values)| swept(executor, *work, values)).collect()
}

#[test]
fn the_cells_of_a_record_become_a_curve_for_each_executor() {
    let mut cells = swept_by("threads", &SLOW);
    cells.reverse();
    cells.extend(swept_by("rayon", &FAST));
    let record = record(cells);
    let sweeps = curves(&record);
    let [sweep] = &sweeps[..] else { panic!("one sweep, not {sweeps:?}") };
    assert_eq!((sweep.label.as_str(), sweep.length, sweep.curves.len()), ("spin", "steps", 2));
    let threads = &sweep.curves[0];
    assert_eq!((threads.executor, threads.cores, threads.points.len()), ("threads", 2, 5));
    assert!((threads.cost.expect("five lengths").ns - 505.77).abs() < 0.01);
    assert!(matches!(threads.metg, Some(Metg::Crosses { ns, .. }) if (ns - 1_015.97).abs() < 0.01));
    assert!((threads.at[0].expect("1 us").share - 0.6641).abs() < 1e-3);
    assert_eq!((threads.at[1], threads.points[0].efficiency), (None, None));
    assert!(matches!(sweep.curves[1].metg, Some(Metg::Below { .. })));
    assert_eq!(threads.label(&sweep.curves), "threads");
}

#[test]
fn sweeps_are_told_apart_by_what_they_hold_fixed_and_best_rates_by_cores() {
    let mut cells = swept_by("threads", &SLOW);
    let mut other = swept_by("threads", &FAST);
    for cell in &mut other {
        cell.id.workers = 1;
    }
    cells.extend(other);
    let mut tree = swept_by("threads", &SLOW);
    for cell in &mut tree {
        cell.id.parameters.insert("pattern".to_owned(), "tree".to_owned());
    }
    cells.extend(tree);
    let record = record(cells);
    let sweeps = curves(&record);
    let labels: Vec<&str> = sweeps.iter().map(|sweep| sweep.label.as_str()).collect();
    assert_eq!(labels, ["spin", "spin (pattern=tree)"]);
    let curves = &sweeps[0].curves;
    assert_eq!((curves[0].cores, curves[1].cores), (2, 1));
    assert_eq!(curves[1].label(curves), "threads, 1 worker");
    assert_ne!(curves[0].best_ns_per_unit, curves[1].best_ns_per_unit);
}

#[test]
fn tasks_of_all_phases_count_as_the_answer_says() {
    let mut record = record(swept_by("threads", &SLOW));
    record.references = record
        .cells
        .iter()
        .map(|cell| crate::Reference {
            workload: "spin".to_owned(),
            parameters: cell.id.parameters.clone(),
            input: None,
            answer: serde_json::json!({ "tasks": "4000" }),
        })
        .collect();
    let point = curves(&record)[0].curves[0].points[0];
    assert_eq!(point.tasks, 4_000);
    assert!((point.granularity - 503.2 / 4.0).abs() < 0.1, "{point:?}");
}

#[test]
fn work_of_drawn_lengths_is_what_was_drawn() {
    let mut record = record(swept_by("threads", &SLOW));
    let drawn = |cell: &Cell| {
        let asked: f64 = cell.id.parameters["steps"].parse().expect("a number");
        // A thousand tasks, whose lengths came out a tenth too short.
        serde_json::json!({ "tasks": 1_000, "total-steps": (900.0 * asked) as u64 })
    };
    let reference = |cell: &Cell| crate::Reference {
        workload: "spin".to_owned(),
        parameters: cell.id.parameters.clone(),
        input: None,
        answer: drawn(cell),
    };
    let asked_for = curves(&record)[0].curves[0].cost.expect("five lengths").ns_per_unit;
    record.references = record.cells.iter().map(reference).collect();
    let curve = &curves(&record)[0].curves[0];
    let works: Vec<f64> = curve.points.iter().map(|point| point.work).collect();
    assert_eq!(works, WORKS.map(|work| 0.9 * work));
    let drawn = curve.cost.expect("five lengths").ns_per_unit;
    assert!((drawn * 0.9 / asked_for - 1.0).abs() < 1e-9, "{drawn}, {asked_for}");
}

#[test]
fn a_curve_with_a_failed_length_keeps_its_points_and_loses_its_figures() {
    let mut cells = swept_by("threads", &SLOW);
    cells[1].launches.push(fixture::failed_by(6, FailureKind::Died, "signal 9"));
    let record = record(cells);
    let sweeps = curves(&record);
    let curve = &sweeps[0].curves[0];
    assert_eq!((curve.points.len(), curve.cost, curve.metg), (4, None, None));
    assert_eq!(curve.failure.map(|failure| failure.kind), Some(FailureKind::Died));
}

#[test]
fn a_record_of_another_kind_of_run_has_no_curves() {
    let mut record = record(swept_by("threads", &SLOW));
    record.header.granularity = None;
    assert_eq!(curves(&record), []);
}
