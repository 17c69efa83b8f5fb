//! The machine alone: the same cells under two names.
//!
//! In an A/A run (`header.aa`) every cell is measured twice, under the labels `A` and `B`, in the
//! same rounds. Whatever the two seem to differ by is the machine's noise and the harness's own,
//! so the run shows how often a difference is claimed where there is none, how large chance
//! makes it look, and what size of difference could be told here (Kohavi, Tang and Xu 2020,
//! *Trustworthy Online Controlled Experiments*, chapter 19).

use std::collections::BTreeMap;

use crate::statistics::quantile::{median, quantile};
use crate::summary::{Ratio, Verdict};
use crate::verdict::{Group, groups};
use crate::{Cell, CellId, Record};

/// The labels of the two.
pub const LABELS: [&str; 2] = ["A", "B"];

/// Two cells that differ in nothing but their label.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What they are, without the label.
    pub label: String,
    /// How many times as long as `A` `B` takes. The verdict is on `B`, by the same rule as any
    /// other, corrected for the number of pairs in the group.
    pub ratio: Ratio,
    /// The verdict as if no other pair had been looked at: what a reader of one comparison sees.
    pub alone: Verdict,
}

/// What an A/A run says about the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Aa {
    /// The pairs that share enough rounds to be judged.
    pub pairs: Vec<Pair>,
    /// Pairs that have too few rounds in common, or a cell that failed.
    pub unjudged: usize,
    /// Pairs that were claimed to differ, corrected for their number: each claim is wrong.
    pub claimed: usize,
    /// Pairs that would have been claimed to differ had each been the only one.
    pub claimed_alone: usize,
    /// The largest ratio seen, the longer time over the shorter.
    pub largest: Option<f64>,
    /// What chance alone stays below in 95 of 100 pairs, as a ratio.
    pub usual: Option<f64>,
    /// The difference that half of the pairs would have shown in 80 of 100 runs, as a ratio: the
    /// median of [`Ratio::detectable`].
    pub detectable: Option<f64>,
}

/// What an A/A record says about its machine; `None` for a record of another kind.
pub fn aa(record: &Record) -> Option<Aa> {
    record.header.aa.then(|| of_groups(&groups(record)))
}

/// The same of groups that are there already.
pub fn of_groups(groups: &[Group<'_>]) -> Aa {
    let all = groups.iter().flat_map(|group| &group.pairs);
    let judged = |pair: &&Pair| pair.ratio.verdict != Verdict::Inconclusive;
    let pairs: Vec<Pair> = all.clone().filter(judged).cloned().collect();
    let twins = groups.iter().map(|group| twins(group.cells.iter().map(|c| c.cell)).len());
    let sizes: Vec<f64> = pairs.iter().map(|pair| pair.ratio.estimate.ln().abs()).collect();
    let detectable: Vec<f64> = pairs.iter().filter_map(|pair| pair.ratio.detectable).collect();
    let claims = |verdict: fn(&Pair) -> Verdict| {
        pairs.iter().filter(|pair| verdict(pair) != Verdict::Tie).count()
    };
    Aa {
        unjudged: twins.sum::<usize>() - pairs.len(),
        claimed: claims(|pair| pair.ratio.verdict),
        claimed_alone: claims(|pair| pair.alone),
        largest: quantile(&sizes, 1.0).map(f64::exp),
        usual: quantile(&sizes, 0.95).map(f64::exp),
        detectable: median(&detectable),
        pairs,
    }
}

/// The places of `A` and `B` of every pair among some cells, in the order of the `A`s.
pub(crate) fn twins<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<(usize, usize)> {
    let cells: Vec<&CellId> = cells.map(|cell| &cell.id).collect();
    let labelled = |label| move |(_, id): &(usize, &&CellId)| id.label.as_deref() == Some(label);
    let bare = |id: &CellId| CellId { label: None, ..id.clone() };
    let [a, b] = LABELS;
    let others: BTreeMap<CellId, usize> =
        cells.iter().enumerate().filter(labelled(b)).map(|(i, id)| (bare(id), i)).collect();
    let firsts = cells.iter().enumerate().filter(labelled(a));
    firsts.filter_map(|(i, id)| Some((i, *others.get(&bare(id))?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{record, six, timed};
    use crate::sentence;

    fn labelled(executor: &str, label: &str, walls: &[u64]) -> Cell {
        let mut cell = timed(executor, walls);
        cell.id.label = Some(label.to_owned());
        cell
    }

    fn run(cells: Vec<Cell>) -> Record {
        let mut record = record(cells);
        record.header.aa = true;
        record
    }

    #[test]
    fn equal_cells_are_ties_and_the_run_says_what_it_could_tell() {
        let record = run(vec![
            labelled("sequential", "A", &six(1_000_000, 0)),
            labelled("sequential", "B", &six(1_000_000, 1)),
            labelled("threads", "B", &six(520_000, 0)),
            labelled("threads", "A", &six(520_000, 1)),
        ]);
        let found = aa(&record).unwrap();
        assert_eq!((found.pairs.len(), found.claimed, found.claimed_alone), (2, 0, 0));
        assert_eq!(found.pairs[0].label, "sequential");
        let sizes: Vec<f64> = found.pairs.iter().map(|pair| pair.ratio.estimate).collect();
        assert!((sizes[0] * sizes[1] - 1.0).abs() < 1e-4, "A and B are swapped: {sizes:?}");
        let largest = sizes.iter().map(|size| size.max(1.0 / size)).fold(1.0, f64::max);
        assert!((found.largest.unwrap() - largest).abs() < 1e-12);
        assert!(found.usual.unwrap() <= largest && found.detectable.unwrap() > 1.02);
        let said = sentence::aa(&record).unwrap();
        assert!(said.contains("0 of 2 pairs"), "{said}");
    }

    #[test]
    fn a_planted_difference_is_claimed_and_counted() {
        let record = run(vec![
            labelled("threads", "A", &six(1_000_000, 0)),
            labelled("threads", "B", &six(1_200_000, 0)),
            labelled("rayon", "A", &six(1_000_000, 0)),
            labelled("rayon", "B", &[1_000_000; 3]),
            labelled("async", "A", &six(1_000_000, 0)),
        ]);
        let found = aa(&record).unwrap();
        assert_eq!((found.pairs.len(), found.unjudged, found.claimed), (1, 1, 1));
        assert_eq!(found.pairs[0].ratio.verdict, Verdict::Slower);
        assert!((found.largest.unwrap() - 1.2).abs() < 1e-6);
    }

    #[test]
    fn many_pairs_are_corrected_for_and_one_alone_is_not() {
        // B of the first pair is 6 % slower with a p-value near 0.01.
        let noisy = [1_000_000, 1_040_000, 980_000, 1_010_000, 1_060_000, 990_000];
        let slower = [1_100_000, 1_060_000, 1_070_000, 1_100_000, 1_080_000, 1_070_000];
        let mut cells = vec![labelled("e0", "A", &noisy), labelled("e0", "B", &slower)];
        for n in 1..20 {
            let name = format!("e{n}");
            cells.push(labelled(&name, "A", &[1_000_000; 6]));
            cells.push(labelled(&name, "B", &[1_000_000; 6]));
        }
        let found = aa(&run(cells)).unwrap();
        assert_eq!((found.pairs.len(), found.claimed, found.claimed_alone), (20, 0, 1));
    }

    #[test]
    fn a_record_of_another_kind_says_nothing() {
        let cells = vec![labelled("threads", "A", &[5; 6]), labelled("threads", "B", &[5; 6])];
        assert_eq!(aa(&record(cells)), None);
        let empty = aa(&run(vec![])).unwrap();
        assert_eq!((empty.largest, empty.usual, empty.detectable), (None, None, None));
    }
}
