//! Sixty-four bytes at a time: which of them are what, as the bits of one integer.
//!
//! Text is parsed fastest by asking one question of many bytes at once and then walking the few
//! bits of the answer (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019). Sixteen
//! bytes fit in a register of every x86-64 (SSE2) and ARM64 (NEON), so nothing need be detected;
//! wider registers would gain little, since walking the bits takes longer than finding them.

use wide::{CmpEq, CmpGt, CmpLt, i8x16};

/// What it is called on the fairness card.
pub(crate) const NAME: &str = "64 bytes at a time, 128-bit registers";

/// How many bytes a block has: as many as a mask has bits.
pub(crate) const BLOCK: usize = 64;

/// Bit i belongs to byte i.
pub(crate) type Mask = u64;

/// The block that begins at `at`; bytes beyond the end of `bytes` are zero.
#[inline]
pub(crate) fn block_at(bytes: &[u8], at: usize) -> [u8; BLOCK] {
    let rest = &bytes[at..];
    match rest.first_chunk() {
        Some(block) => *block,
        None => {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            block
        }
    }
}

/// The mask of the bits after bit `bit`.
#[inline]
pub(crate) fn after(bit: u32) -> Mask {
    (!0 << bit) << 1
}

/// Asks a question of sixteen bytes at a time. Its answers are lanes of all ones or all zeros.
#[inline]
fn gather(block: &[u8; BLOCK], question: impl Fn(i8x16) -> i8x16) -> Mask {
    let lanes: [i8x16; 4] = bytemuck::cast(*block);
    let bits = lanes.map(|lane| u64::from(question(lane).move_mask() as u16));
    bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
}

fn splat(byte: u8) -> i8x16 {
    i8x16::splat(byte.cast_signed())
}

/// Bytes equal to `byte`.
#[inline]
pub(crate) fn equal(block: &[u8; BLOCK], byte: u8) -> Mask {
    gather(block, |lane| lane.cmp_eq(splat(byte)))
}

/// Bytes equal to one of two.
#[inline]
pub(crate) fn either(block: &[u8; BLOCK], one: u8, other: u8) -> Mask {
    gather(block, |lane| lane.cmp_eq(splat(one)) | lane.cmp_eq(splat(other)))
}

/// Bytes from `a` to `z`. As signed numbers, bytes that are not ASCII are below both.
#[inline]
pub(crate) fn lower_case(block: &[u8; BLOCK]) -> Mask {
    gather(block, |lane| lane.cmp_gt(splat(b'a' - 1)) & lane.cmp_lt(splat(b'z' + 1)))
}

/// Bytes that are not ASCII: those whose top bit is set.
#[inline]
pub(crate) fn high(block: &[u8; BLOCK]) -> Mask {
    gather(block, |lane| lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(block: &[u8; BLOCK], question: impl Fn(u8) -> bool) -> Mask {
        block.iter().enumerate().fold(0, |mask, (i, byte)| mask | u64::from(question(*byte)) << i)
    }

    #[test]
    fn masks_are_those_of_plain_loops_for_every_byte() {
        for first in (0..=255).step_by(BLOCK) {
            let block: [u8; BLOCK] = std::array::from_fn(|i| (first + i) as u8);
            assert_eq!(high(&block), plain(&block, |b| !b.is_ascii()));
            assert_eq!(lower_case(&block), plain(&block, |b| b.is_ascii_lowercase()));
            for byte in 0..=255 {
                assert_eq!(equal(&block, byte), plain(&block, |b| b == byte));
                let expected = plain(&block, |b| b == byte || b == b'\n');
                assert_eq!(either(&block, byte, b'\n'), expected);
            }
        }
    }

    #[test]
    fn a_block_beyond_the_end_is_filled_with_zeros() {
        let block = block_at(b"abc", 1);
        assert_eq!((&block[..2], &block[2..]), (&b"bc"[..], &[0; 62][..]));
    }

    #[test]
    fn nothing_comes_after_the_last_bit() {
        assert_eq!((after(0), after(62), after(63)), (!1, 1 << 63, 0));
    }
}
