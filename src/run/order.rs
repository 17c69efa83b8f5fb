//! In which order a round measures its cells.

use manyhands_contract::generate::Stream;

use super::plan::Plan;

/// One round: the groups in random order, then each group's cells in random order, so that cells
/// to be compared run seconds apart and no cell always follows the same other one.
pub fn round(plan: &Plan, seed: u64, round: u32) -> Vec<usize> {
    // Streams of small numbers belong to the workloads' inputs.
    let stream = Stream::new(seed, (1 << 32) + u64::from(round));
    let mut groups: Vec<_> = (0..plan.groups.len()).collect();
    let mut drawn = 0;
    shuffle(&mut groups, stream, &mut drawn);
    groups
        .into_iter()
        .flat_map(|group| {
            let cells = plan.cells.iter().enumerate();
            let mut cells: Vec<_> =
                cells.filter(|(_, cell)| cell.group == group).map(|(index, _)| index).collect();
            shuffle(&mut cells, stream, &mut drawn);
            cells
        })
        .collect()
}

/// Fisher and Yates's shuffle (Knuth, The Art of Computer Programming, 3.4.2, algorithm P).
fn shuffle(items: &mut [usize], stream: Stream, drawn: &mut u64) {
    for last in (1..items.len()).rev() {
        let other = stream.below(*drawn, last as u64 + 1) as usize;
        *drawn += 1;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_item_and_reaches_every_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut items = vec![0, 1, 2];
            shuffle(&mut items, Stream::new(seed, 0), &mut 0);
            seen.insert(items.clone());
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2]);
        }
        assert_eq!(seen.len(), 6);
    }
}
