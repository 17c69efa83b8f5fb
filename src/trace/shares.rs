//! Where the time of a sample went: pure functions of what its lanes did.

use manyhands_record::Shares;

/// What one lane did in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lane {
    /// Tasks that it ran; never 0.
    pub(super) tasks: u64,
    /// When its last task ended.
    pub(super) end_ns: u64,
    /// Inside tasks, on a core.
    pub(super) computing_ns: u64,
    /// Inside tasks, off the cores.
    pub(super) waiting_ns: u64,
    /// Waiting for tasks to fall due.
    pub(super) paced_ns: u64,
}

/// The phases of a sample, added up as they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    tasks: u64,
    /// Means over the lanes; `wall_ns` and `residual_ns` are not yet known.
    means: Shares,
}

impl Totals {
    /// Adds a phase of `tasks` tasks that began at `began_ns`.
    ///
    /// A phase lasts until the last of its tasks ends; what comes after, merging and making the
    /// next phase, is left to the residual. There are as many lanes as workers, whether they had a
    /// task or not. One that had none had no chance of one if there were fewer tasks than lanes
    /// (idle); else it came too late, or was not woken, which is a matter of balance.
    pub(super) fn add_phase(
        &mut self,
        began_ns: u64,
        tasks: usize,
        workers: usize,
        lanes: &[Lane],
    ) {
        let end_ns = lanes.iter().map(|lane| lane.end_ns).max().unwrap_or(began_ns);
        let count = workers.max(lanes.len()).max(1);
        let span_ns = end_ns.saturating_sub(began_ns);
        let without = count - lanes.len();
        let lacking = without.min(count.saturating_sub(tasks));
        let sum = |part: fn(&Lane) -> u64| lanes.iter().map(part).sum::<u64>();
        let (computing, waiting) = (sum(|l| l.computing_ns), sum(|l| l.waiting_ns));
        let paced = sum(|lane| lane.paced_ns);
        let present: u64 = lanes.iter().map(|lane| lane.end_ns.saturating_sub(began_ns)).sum();
        let late: u64 = lanes.iter().map(|lane| end_ns - lane.end_ns).sum();
        let mean = |sum: u64| sum / count as u64;
        let means = &mut self.means;
        means.lanes = means.lanes.max(u32::try_from(count).unwrap_or(u32::MAX));
        means.computing_ns += mean(computing);
        means.waiting_ns += mean(waiting);
        means.dispatch_ns += mean(present.saturating_sub(computing + waiting + paced));
        means.imbalance_ns += mean(late + (without - lacking) as u64 * span_ns);
        means.idle_ns += mean(paced + lacking as u64 * span_ns);
        self.tasks += lanes.iter().map(|lane| lane.tasks).sum::<u64>();
    }

    /// Tasks that ran.
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The whole sample's: the residual is what makes them add up to `wall_ns`. Negative, it is
    /// what tasks and the sample disagree by.
    pub(super) fn shares(&self, wall_ns: u64) -> Shares {
        let Shares { computing_ns, waiting_ns, dispatch_ns, imbalance_ns, idle_ns, .. } =
            self.means;
        let known = computing_ns + waiting_ns + dispatch_ns + imbalance_ns + idle_ns;
        let residual_ns = wall_ns as i64 - known as i64;
        Shares { wall_ns, residual_ns, ..self.means }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(tasks: u64, end_ns: u64, computing_ns: u64, waiting_ns: u64) -> Lane {
        Lane { tasks, end_ns, computing_ns, waiting_ns, paced_ns: 0 }
    }

    fn shares(wall_ns: u64, phases: &[(u64, usize, usize, &[Lane])]) -> Shares {
        let mut totals = Totals::default();
        for (began_ns, tasks, workers, lanes) in phases {
            totals.add_phase(*began_ns, *tasks, *workers, lanes);
        }
        let shares = totals.shares(wall_ns);
        let parts = shares.computing_ns
            + shares.waiting_ns
            + shares.dispatch_ns
            + shares.imbalance_ns
            + shares.idle_ns;
        assert_eq!(parts as i64 + shares.residual_ns, wall_ns as i64, "{shares:?}");
        shares
    }

    #[test]
    fn two_lanes_with_gaps_of_which_one_ends_early() {
        // From 1000: one lane runs for 700 + 200 of 1000, ends last; the other 500 + 0 of 600.
        let lanes = [lane(3, 2_000, 700, 200), lane(2, 1_600, 500, 0)];
        let found = shares(1_100, &[(1_000, 5, 2, &lanes)]);
        let expected = Shares {
            lanes: 2,
            wall_ns: 1_100,
            computing_ns: 600,
            waiting_ns: 100,
            dispatch_ns: 100, // (100 + 100) / 2
            imbalance_ns: 200,
            idle_ns: 0,
            residual_ns: 100,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn lanes_without_a_task_are_idle_only_for_lack_of_tasks() {
        let one = [lane(1, 1_000, 1_000, 0)];
        let few = shares(1_000, &[(0, 1, 4, &one)]);
        assert_eq!((few.computing_ns, few.idle_ns, few.imbalance_ns), (250, 750, 0));
        // Three tasks, all taken by one lane: one of the other three had no chance.
        let three = [lane(3, 1_000, 1_000, 0)];
        let taken = shares(1_000, &[(0, 3, 4, &three)]);
        assert_eq!((taken.idle_ns, taken.imbalance_ns), (250, 500));
    }

    #[test]
    fn waiting_until_a_task_is_due_is_idle_time() {
        let lanes = [Lane { paced_ns: 600, ..lane(2, 1_000, 100, 200) }];
        let found = shares(1_000, &[(0, 2, 1, &lanes)]);
        assert_eq!((found.idle_ns, found.dispatch_ns, found.residual_ns), (600, 100, 0));
    }

    #[test]
    fn phases_add_up_and_what_lies_between_them_is_the_residual() {
        let first = [lane(2, 500, 400, 0), lane(2, 400, 400, 0)];
        let second = [lane(2, 1_000, 300, 0), lane(2, 1_000, 300, 0)];
        let found = shares(1_050, &[(0, 4, 2, &first), (600, 4, 2, &second)]);
        assert_eq!((found.computing_ns, found.dispatch_ns), (700, 150));
        assert_eq!((found.imbalance_ns, found.residual_ns), (50, 150));
    }

    #[test]
    fn clocks_that_disagree_leave_a_negative_residual_and_no_panic() {
        let found = shares(900, &[(0, 1, 1, &[lane(1, 1_000, 1_000, 0)])]);
        assert_eq!(found.residual_ns, -100);
        assert_eq!(shares(5, &[]).residual_ns, 5);
        assert_eq!(shares(5, &[(0, 0, 2, &[])]).residual_ns, 5);
    }
}
