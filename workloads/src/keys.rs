//! Texts numbered in the order in which they were first met.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of byte texts, each with a number from 0: the keys of a map whose values stand in a
/// vector beside it. All texts lie end to end in one allocation: a `HashMap<String, _>` would
/// allocate once per word. Short ones are in the table too, so that finding one of them again
/// touches nothing else.
#[derive(Default, Clone)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
    /// Empty after deserialisation until the first lookup: a partial that is only merged into
    /// another is read in order and needs no table.
    table: HashTable<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    tag: u64,
    index: u32,
}

/// The upper byte of a long text's tag: more than a short one's length.
const LONG: u64 = 0xff << 56;

/// The text itself with its length in the upper byte, if it is at most seven bytes long, and so
/// different for different texts; otherwise a hash. The seed is fixed, so that the same input
/// costs the same in every launch.
#[inline]
fn tag(key: &[u8]) -> u64 {
    if key.len() <= 7 {
        return packed(key) | (key.len() as u64) << 56;
    }
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(key);
    hasher.finish() | LONG
}

/// Up to seven bytes in one integer: by two loads that overlap rather than a loop.
#[inline]
fn packed(key: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (key.len() - 4))
    } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (key.len() - 2))
    } else {
        key.first().copied().map_or(0, u64::from)
    }
}

/// What the table wants: lower and upper bits that depend on all of the tag's.
#[inline]
fn spread(tag: u64) -> u64 {
    let product = u128::from(tag) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

impl Keys {
    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a number.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// The texts in order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The number of a text, which is `len()` before the call when the text is new.
    #[inline]
    pub(crate) fn index(&mut self, key: &[u8]) -> usize {
        if self.table.len() != self.ends.len() {
            self.fill_table();
        }
        let tag = tag(key);
        let found = self.table.find(spread(tag), |slot| {
            slot.tag == tag && (tag < LONG || self.get(slot.index as usize) == key)
        });
        match found {
            Some(slot) => slot.index as usize,
            None => self.add(tag, key),
        }
    }

    #[cold]
    fn add(&mut self, tag: u64, key: &[u8]) -> usize {
        let index = self.ends.len();
        let slot = Slot { tag, index: u32::try_from(index).expect("fewer than 2^32 keys") };
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.table.insert_unique(spread(tag), slot, |slot| spread(slot.tag));
        index
    }

    #[cold]
    fn fill_table(&mut self) {
        let mut table = HashTable::with_capacity(self.len());
        for (index, key) in (0_u32..).zip(self.iter()) {
            let slot = Slot { tag: tag(key), index };
            table.insert_unique(spread(slot.tag), slot, |slot| spread(slot.tag));
        }
        self.table = table;
    }
}

/// On the wire: all texts as one run of bytes, which postcard copies as a whole, and lengths,
/// most of which are one byte there.
#[derive(Serialize, Deserialize)]
struct WireKeys<'a> {
    #[serde(borrow, serialize_with = "as_bytes")]
    bytes: &'a [u8],
    lengths: Vec<u64>,
}

fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lengths = self.iter().map(|key| key.len() as u64).collect();
        WireKeys { bytes: &self.bytes, lengths }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireKeys::deserialize(deserializer)?;
        let mut end = 0_usize;
        let mut ends = Vec::with_capacity(wire.lengths.len());
        for length in wire.lengths {
            end = end.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            ends.push(end);
        }
        if end != wire.bytes.len() {
            return Err(serde::de::Error::custom("the keys' lengths do not add up"));
        }
        Ok(Self { bytes: wire.bytes.to_vec(), ends, table: HashTable::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let mut keys = Keys::default();
        let numbers: Vec<_> =
            ["a", "", "b", "a", "", "ab"].iter().map(|key| keys.index(key.as_bytes())).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 3]);
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"b", b"ab"]);
    }

    #[test]
    fn texts_of_every_length_that_differ_in_any_byte_are_told_apart() {
        let mut keys = Keys::default();
        for length in 0..20_usize {
            let plain = vec![0; length];
            assert_eq!(keys.index(&plain), keys.len() - 1, "new: {length} zeros");
            for place in 0..length {
                let mut other = plain.clone();
                other[place] = 1;
                assert_eq!(keys.index(&other), keys.len() - 1, "new: byte {place} of {length}");
            }
        }
    }

    #[test]
    fn numbers_survive_growth_and_a_crossing() {
        let mut keys = Keys::default();
        let text = |i: usize| format!("{i}").repeat(1 + i % 4);
        for i in 0..10_000 {
            assert_eq!(keys.index(format!("{i} {}", text(i)).as_bytes()), i);
        }
        let sent = postcard::to_stdvec(&keys).expect("serialisable");
        let mut received: Keys = postcard::from_bytes(&sent).expect("keys");
        assert_eq!(received.index(format!("77 {}", text(77)).as_bytes()), 77);
        assert_eq!(received.index(b"new"), 10_000);
    }
}
