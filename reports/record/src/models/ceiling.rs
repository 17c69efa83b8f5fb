//! What limits the speed-up, whatever the executor does.
//!
//! Ten tasks on eight workers take two turns, so they are at most five times as fast as one after
//! the other; a server that answers two at a time, a cgroup that grants two CPUs, and a machine
//! with four cores set limits of their own. The least of them is the one that is met first.

use std::fmt;

use crate::format::{count, digits};
use crate::{CellSummary, Group, Machine, Record};

/// A speed-up that cannot be exceeded, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Ceiling {
    /// Times as fast as one task after the other.
    pub speedup: f64,
    /// What sets it.
    pub limit: Limit,
}

/// What sets a ceiling.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// Tasks cannot be divided. Exact for tasks of equal length.
    Tasks {
        /// Tasks of the first phase.
        tasks: u64,
        /// Workers.
        workers: u32,
    },
    /// The workload's own: the server's capacity.
    Bound {
        /// In words.
        reason: String,
    },
    /// The cgroup's quota.
    Quota {
        /// CPUs that it grants.
        cpus: f64,
    },
    /// Cores that the process may use.
    Cores {
        /// How many.
        cores: u32,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        match self {
            Self::Tasks { tasks, workers } => write!(
                f,
                "{} task{} in {} turn{} of {workers}",
                count(*tasks as f64),
                plural(*tasks),
                count(turns(*tasks, *workers) as f64),
                plural(turns(*tasks, *workers))
            ),
            Self::Bound { reason } => f.write_str(reason),
            Self::Quota { cpus } => write!(f, "a quota of {} CPUs", digits(*cpus)),
            Self::Cores { cores } => write!(f, "{cores} core{}", plural(u64::from(*cores))),
        }
    }
}

fn turns(tasks: u64, workers: u32) -> u64 {
    tasks.div_ceil(u64::from(workers.max(1)))
}

/// The most that `tasks` of equal length gain from `workers`: tasks / ceil(tasks / workers).
/// Absent for no tasks.
pub fn by_tasks(tasks: u64, workers: u32) -> Option<f64> {
    (tasks > 0).then(|| tasks as f64 / turns(tasks, workers) as f64)
}

/// What the cores allow to work that computes: the quota where it is what makes them few.
pub fn by_cores(machine: &Machine) -> Ceiling {
    let present = machine.affinity.unwrap_or(machine.logical_cores).max(1);
    let quota = machine.quota.filter(|quota| *quota > 0.0 && *quota < f64::from(present));
    match quota {
        Some(cpus) => Ceiling { speedup: cpus, limit: Limit::Quota { cpus } },
        None => {
            let cores = machine.usable_cores.max(1);
            Ceiling { speedup: f64::from(cores), limit: Limit::Cores { cores } }
        }
    }
}

/// All ceilings of a cell, the least first: a ceiling by tasks for the `map` shape, the
/// workload's bound where the group has a baseline, the cores for work that computes.
pub fn of_cell(cell: &CellSummary<'_>, group: &Group<'_>, record: &Record) -> Vec<Ceiling> {
    let mut all = Vec::new();
    let shape = group.text.map(|text| text.shape.as_str());
    let card = cell.cell.launches.iter().find_map(|launch| launch.card.as_ref());
    if let Some(card) = card.filter(|_| shape == Some("map")) {
        let (tasks, workers) = (card.tasks, cell.cell.id.workers);
        let limit = Limit::Tasks { tasks, workers };
        all.extend(by_tasks(tasks, workers).map(|speedup| Ceiling { speedup, limit }));
    }
    let baseline = group.baseline.and_then(|at| group.cells[at].time);
    let bound = cell.cell.bound.as_ref().filter(|bound| bound.floor_ns > 0);
    all.extend(bound.zip(baseline).map(|(bound, time)| Ceiling {
        speedup: time.ns / bound.floor_ns as f64,
        limit: Limit::Bound { reason: bound.reason.clone() },
    }));
    if group.text.is_some_and(|text| text.kind == "cpu") {
        all.push(by_cores(&record.header.machine));
    }
    all.sort_by(|a, b| a.speedup.total_cmp(&b.speedup));
    all
}

/// The least ceiling of the group's cells with the most workers: what more workers of the same
/// kind would run into. One by tasks counts only where it keeps a worker from being of use.
pub fn of_group(group: &Group<'_>, record: &Record) -> Option<Ceiling> {
    let cells = group.cells.iter().filter(|cell| cell.time.is_some());
    let widest = cells.max_by_key(|cell| cell.cell.id.workers)?;
    of_cell(widest, group, record).into_iter().find(|ceiling| match ceiling.limit {
        Limit::Tasks { workers, .. } => ceiling.speedup < 0.95 * f64::from(workers),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{record, timed};
    use crate::verdict::groups;
    use crate::{Bound, Card};

    #[test]
    fn ten_tasks_on_eight_workers_are_at_most_five_times_as_fast() {
        assert_eq!(by_tasks(10, 8), Some(5.0));
        assert_eq!(by_tasks(10, 10), Some(10.0));
        assert_eq!(by_tasks(10, 64), Some(10.0));
        assert_eq!(by_tasks(10, 1), Some(1.0));
        assert_eq!(by_tasks(1_000, 3), Some(1_000.0 / 334.0));
        assert_eq!(by_tasks(0, 8), None);
    }

    #[test]
    fn a_quota_is_named_where_it_is_what_limits() {
        let machine = |logical_cores, usable_cores, quota| Machine {
            logical_cores,
            usable_cores,
            quota,
            ..Machine::default()
        };
        let quota = by_cores(&machine(8, 2, Some(2.5)));
        assert_eq!((quota.speedup, quota.limit.to_string()), (2.5, "a quota of 2.50 CPUs".into()));
        let cores = by_cores(&machine(8, 8, Some(16.0)));
        assert_eq!((cores.speedup, cores.limit.to_string()), (8.0, "8 cores".into()));
    }

    #[test]
    fn the_least_ceiling_comes_first_and_is_the_groups() {
        let card = |tasks| Some(Card { tasks, ..Card::default() });
        let bound = Some(Bound { floor_ns: 250_000, reason: "the server's capacity".into() });
        let mut threads = timed("threads", &[500_000; 6]);
        threads.id.workers = 8;
        threads.launches[0].card = card(10);
        threads.bound = bound;
        let mut record = record(vec![timed("sequential", &[1_000_000; 6]), threads]);
        record.header.machine.usable_cores = 16;
        let groups = groups(&record);
        let found = of_cell(&groups[0].cells[1], &groups[0], &record);
        let names: Vec<String> = found.iter().map(|c| c.limit.to_string()).collect();
        assert_eq!(names, ["the server's capacity", "10 tasks in 2 turns of 8", "16 cores"]);
        assert!((found[0].speedup - 4.0).abs() < 1e-9);
        assert_eq!(of_group(&groups[0], &record), Some(found[0].clone()));
    }

    #[test]
    fn tasks_that_use_every_worker_set_no_ceiling_worth_a_word() {
        let mut threads = timed("threads", &[500_000; 6]);
        threads.launches[0].card = Some(Card { tasks: 1_000, ..Card::default() });
        let mut record = record(vec![threads]);
        record.header.machine.usable_cores = 16;
        let groups = groups(&record);
        let ceiling = of_group(&groups[0], &record).unwrap();
        assert_eq!(ceiling.limit, Limit::Cores { cores: 16 });
    }
}
