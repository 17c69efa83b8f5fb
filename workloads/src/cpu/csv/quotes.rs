//! Which bytes stand inside quotes.
//!
//! A quoted field may hold delimiters, newlines and, doubled, quotes. A quote opens a quoted part
//! only where a field begins, or just after a quote that closed one (the two are then a doubled
//! quote, and the part goes on); anywhere else (`5" pipe`) it is a character like others. So read
//! Python's `csv`, pandas and the `csv` crate.

use serde::{Deserialize, Serialize};

use crate::blocks::{self, BLOCK, Mask, after};

/// Where in a block the bytes are that mean something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) quotes: Mask,
    pub(super) delimiters: Mask,
    /// Line feeds and carriage returns. Each ends a record, and an empty record is none: so the
    /// pair of them ends a line once.
    pub(super) newlines: Mask,
}

impl Marks {
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK], delimiter: u8) -> Self {
        Self {
            quotes: blocks::equal(block, b'"'),
            delimiters: blocks::equal(block, delimiter),
            newlines: blocks::either(block, b'\n', b'\r'),
        }
    }
}

/// What must be known of everything before a byte to read on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Not inside quotes.
    Outside,
    /// Inside quotes.
    Inside,
    /// Not inside quotes, and the byte before closed them: if the next one is a quote too, it
    /// was not the end.
    Closed,
}

impl State {
    pub(super) const ALL: [State; 3] = [State::Outside, State::Inside, State::Closed];
}

/// Follows quotes from block to block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quotes {
    inside: bool,
    /// Whether a quote as the next byte would open: a field begins there, or a quoted part has
    /// just ended. Of no meaning inside.
    opens: bool,
}

impl Quotes {
    /// To read on from a byte whose predecessor is `before`.
    pub(super) fn new(state: State, before: u8, delimiter: u8) -> Self {
        Self {
            inside: state == State::Inside,
            opens: state == State::Closed
                || before == delimiter
                || before == b'\n'
                || before == b'\r',
        }
    }

    /// Reads one byte: the rule itself, of which all else here is a faster form.
    pub(super) fn step(&mut self, byte: u8, delimiter: u8) {
        match (byte, self.inside) {
            (b'"', true) => *self = Self { inside: false, opens: true },
            (b'"', false) => *self = Self { inside: self.opens, opens: false },
            (_, true) => {}
            (_, false) => self.opens = byte == delimiter || byte == b'\n' || byte == b'\r',
        }
    }

    /// What must be known to go on elsewhere, `last` being the byte read last.
    fn state(self, last: u8) -> State {
        match self {
            Self { inside: true, .. } => State::Inside,
            Self { opens: true, .. } if last == b'"' => State::Closed,
            _ => State::Outside,
        }
    }

    /// Whether the next byte is inside quotes.
    pub(super) fn inside(self) -> bool {
        self.inside
    }

    /// The bytes of the next block that are outside quotes. (Of the quotes themselves it may say
    /// either.)
    #[inline]
    pub(super) fn outside(&mut self, marks: &Marks) -> Mask {
        let separators = marks.delimiters | marks.newlines;
        if marks.quotes == 0 {
            self.opens = separators >> (BLOCK - 1) == 1;
            return if self.inside { 0 } else { !0 };
        }
        self.outside_toggling(marks.quotes, separators)
            .unwrap_or_else(|| self.outside_one_by_one(marks.quotes, separators))
    }

    /// Takes every quote for one that opens or closes; `None` if one of them cannot open.
    ///
    /// The prefix XOR of the quotes tells, for every byte at once, whether an odd number of them
    /// came before it (Langdale and Lemire, 2019, section 3.1.1). A doubled quote closes and
    /// opens again.
    #[inline]
    fn outside_toggling(&mut self, quotes: Mask, separators: Mask) -> Option<Mask> {
        let inside = prefix_xor(quotes) ^ if self.inside { !0 } else { 0 };
        let may_open = (separators | quotes) << 1 | u64::from(self.opens);
        if quotes & inside & !may_open != 0 {
            return None;
        }
        self.inside = inside >> (BLOCK - 1) == 1;
        self.opens = (separators | quotes) >> (BLOCK - 1) == 1;
        Some(!inside)
    }

    /// Looks at the quotes one by one: some of them are characters like others.
    #[cold]
    fn outside_one_by_one(&mut self, mut quotes: Mask, separators: Mask) -> Mask {
        let mut outside = if self.inside { 0 } else { !0 };
        let mut may_open = separators << 1 | u64::from(self.opens);
        let mut closed = false;
        while quotes != 0 {
            let bit = quotes.trailing_zeros();
            quotes &= after(bit);
            if self.inside {
                self.inside = false;
                outside |= after(bit);
                may_open |= (1 << bit) << 1;
                closed = bit == 63;
            } else if may_open >> bit & 1 == 1 {
                self.inside = true;
                outside &= !(after(bit) | 1 << bit);
            }
        }
        self.opens = closed || separators >> (BLOCK - 1) == 1;
        outside
    }
}

/// Bit i is the parity of bits 0 to i.
#[inline]
fn prefix_xor(mut bits: Mask) -> Mask {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// What a stretch of bytes makes of each state that it may begin in: what the first phase finds
/// out, since where quotes began is known only when all earlier bytes have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passage([State; 3]);

impl Passage {
    /// Reads a stretch from all three states at once.
    pub(super) fn through(bytes: &[u8], before: u8, delimiter: u8) -> Self {
        let mut readers = State::ALL.map(|state| Quotes::new(state, before, delimiter));
        // Most files have few quotes, and a search for one goes faster than memory does.
        let quoteless = memchr::memchr(b'"', bytes).unwrap_or(bytes.len()) / BLOCK * BLOCK;
        if quoteless > 0 {
            let outside = Quotes::new(State::Outside, bytes[quoteless - 1], delimiter);
            readers = readers.map(|reader| Quotes { inside: reader.inside, ..outside });
        }
        let (blocks, rest) = bytes[quoteless..].as_chunks::<BLOCK>();
        for block in blocks {
            let marks = Marks::of(block, delimiter);
            for reader in &mut readers {
                reader.outside(&marks);
            }
        }
        for byte in rest {
            for reader in &mut readers {
                reader.step(*byte, delimiter);
            }
        }
        let last = bytes.last().copied().unwrap_or(before);
        Self(readers.map(|reader| reader.state(last)))
    }

    /// The state after the stretch, from that before it.
    pub(super) fn from(self, state: State) -> State {
        self.0[state as usize]
    }
}

#[cfg(test)]
mod tests {
    use manyhands_contract::generate::Stream;

    use super::*;

    /// Short texts of the bytes that matter, in which every pair of neighbours occurs.
    fn torture(seed: u64, length: usize) -> Vec<u8> {
        let stream = Stream::new(seed, 0);
        // Rare quotes in some texts, so that both ways through a block are taken.
        let alphabet: &[u8] = [&b"\"\",,\n\rxy"[..], b"\",\nxxxxxxxxxxxx"][seed as usize % 2];
        (0..length as u64)
            .map(|i| alphabet[stream.below(i, alphabet.len() as u64) as usize])
            .collect()
    }

    #[test]
    fn blocks_and_single_steps_agree_on_what_is_outside() {
        for seed in 0..2000 {
            let text = torture(seed, 4 * BLOCK);
            let mut by_block = Quotes::new(State::ALL[seed as usize % 3], b'x', b',');
            let mut by_step = by_block;
            for block in text.as_chunks::<BLOCK>().0 {
                let outside = by_block.outside(&Marks::of(block, b','));
                for (bit, byte) in block.iter().enumerate() {
                    if *byte != b'"' {
                        assert_eq!(outside >> bit & 1 == 0, by_step.inside, "{seed} {bit}");
                    }
                    by_step.step(*byte, b',');
                }
                assert_eq!(by_block.inside, by_step.inside, "{seed}");
                assert!(by_block.inside || by_block.opens == by_step.opens, "{seed}");
            }
        }
    }

    #[test]
    fn a_passage_through_two_stretches_is_that_through_both() {
        for seed in 0..200 {
            let text = torture(seed, 200);
            let whole = Passage::through(&text, b'\n', b',');
            for cut in 1..text.len() {
                let left = Passage::through(&text[..cut], b'\n', b',');
                let right = Passage::through(&text[cut..], text[cut - 1], b',');
                assert_eq!(
                    right.from(left.from(State::Outside)),
                    whole.from(State::Outside),
                    "{seed} {cut}"
                );
            }
        }
    }
}
