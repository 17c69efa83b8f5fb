//! One record of a ring: a stretch of tasks and its partial.

use std::ops::Range;

use manyhands_record::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::frames;

/// Overwrites `record` with a stretch of tasks (first, end; u64, little-endian) and its partial
/// (postcard).
#[inline]
pub(super) fn encode<P: Serialize>(
    record: &mut Vec<u8>,
    tasks: &Range<usize>,
    partial: &P,
) -> Result<(), Failure> {
    record.clear();
    record.extend_from_slice(&(tasks.start as u64).to_le_bytes());
    record.extend_from_slice(&(tasks.end as u64).to_le_bytes());
    frames::append_value(record, partial)
}

/// The tasks of a record; an empty range for anything that is no record.
#[inline]
pub(super) fn tasks(record: &[u8]) -> Range<usize> {
    let number = |at: usize| {
        let bytes = record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes) as usize)
    };
    number(0)..number(8)
}

/// The partial of a record.
#[inline]
pub(super) fn partial<P: DeserializeOwned>(record: &[u8]) -> Result<P, Failure> {
    frames::take_value(&mut record.get(16..).unwrap_or_default())
}

#[cfg(all(test, not(manyhands_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_back_what_was_put_in() {
        let mut record = vec![1, 2, 3];
        encode(&mut record, &(5..1 << 40), &vec![7_u64, 8]).expect("small");
        assert_eq!(tasks(&record), 5..1 << 40);
        assert_eq!(partial::<Vec<u64>>(&record).expect("whole"), [7, 8]);
    }
}
