//! Corpora by arithmetic alone, so that any language can write the same bytes.
//!
//! File i of n is `FFF/IIIIII.EXT`, where IIIIII is i in six decimal digits and FFF is floor(i /
//! 100) in at least three. Its size is floor(3 x mean x u x u), u being uniform i of stream 0: a
//! few large files and many small ones, `mean` bytes on average, at most three times that.

use std::fs;
use std::path::Path;

use manyhands_contract::InputError;
use manyhands_contract::generate::Stream;

/// The vocabulary has 2^15 - 1 words.
const RANK_BITS: u64 = 15;
/// Syllables 0..60 are `CONSONANTS[k / 5]` followed by `VOWELS[k % 5]`.
const CONSONANTS: &[u8; 12] = b"tnsrldkmpgbf";
const VOWELS: &[u8; 5] = b"aeiou";
/// Syllables 60..64, in small letters, with a capital first letter, and in capitals: Latin with
/// an accent, Cyrillic, Greek with a sigma that ends words, and a script without capitals.
const OTHER: [[&str; 3]; 4] =
    [["é", "É", "É"], ["жи", "Жи", "ЖИ"], ["ας", "Ας", "ΑΣ"], ["語", "語", "語"]];

/// Writes `files` files of random bytes: the 8-byte value k of file i is value k of stream 1 + i,
/// little-endian, and the last one is cut where the file ends.
///
/// # Errors
/// When the folder cannot be written.
pub fn noise(folder: &Path, files: u64, mean: u64, seed: u64) -> Result<(), InputError> {
    write_files(folder, files, mean, seed, "bin", |stream, size, content| {
        content.resize(size.next_multiple_of(8), 0);
        for (k, word) in (0..).zip(content.as_chunks_mut().0) {
            *word = stream.bits(k).to_le_bytes();
        }
        content.truncate(size);
    })
}

/// Writes `files` text files of words whose frequencies follow Zipf's law: the word of rank r
/// comes about 1 / r as often as the first.
///
/// Word j of file i is drawn from values 4j, 4j + 1, 4j + 2 and 4j + 3 of stream 1 + i:
/// - its rank is 2^b - 1 + below(4j + 1, 2^b) with b = below(4j, 15): each doubling of the rank
///   is equally likely, which is Zipf's law without a power or a logarithm;
/// - it is spelt by the digits of its rank in base 64, least first, one syllable each, at least
///   one: frequent words are short;
/// - it is written, by below(4j + 2, 16), with a capital first letter (0 and 1), in capitals (2)
///   or in small letters;
/// - it is followed, by below(4j + 3, 16), by `. ` (0), `, ` (1), a newline (2), ` 1984 ` (3),
///   `'` (4) or a space.
///
/// A file is as many words as it takes to reach its size, so it may be a word longer.
///
/// # Errors
/// When the folder cannot be written.
pub fn text(folder: &Path, files: u64, mean: u64, seed: u64) -> Result<(), InputError> {
    let syllables = syllables();
    write_files(folder, files, mean, seed, "txt", |stream, size, content| {
        let mut first_value = 0;
        while content.len() < size {
            push_word(content, &syllables, stream, first_value);
            first_value += 4;
        }
    })
}

/// Each syllable in small letters, with a capital first letter, and in capitals.
fn syllables() -> [[String; 3]; 64] {
    std::array::from_fn(|k| match k.checked_sub(60) {
        Some(other) => OTHER[other].map(str::to_owned),
        None => {
            let (consonant, vowel) = (CONSONANTS[k / 5] as char, VOWELS[k % 5] as char);
            let capital = consonant.to_ascii_uppercase();
            [
                format!("{consonant}{vowel}"),
                format!("{capital}{vowel}"),
                format!("{capital}{}", vowel.to_ascii_uppercase()),
            ]
        }
    })
}

fn push_word(content: &mut Vec<u8>, syllables: &[[String; 3]; 64], stream: Stream, at: u64) {
    let doublings = stream.below(at, RANK_BITS);
    let mut rank = (1 << doublings) - 1 + stream.below(at + 1, 1 << doublings);
    let (first, others) = match stream.below(at + 2, 16) {
        0 | 1 => (1, 0),
        2 => (2, 2),
        _ => (0, 0),
    };
    content.extend_from_slice(syllables[rank as usize % 64][first].as_bytes());
    while rank >= 64 {
        rank /= 64;
        content.extend_from_slice(syllables[rank as usize % 64][others].as_bytes());
    }
    content.extend_from_slice(match stream.below(at + 3, 16) {
        0 => b". ",
        1 => b", ",
        2 => b"\n",
        3 => b" 1984 ",
        4 => b"'",
        _ => b" ",
    });
}

fn write_files(
    folder: &Path,
    files: u64,
    mean: u64,
    seed: u64,
    extension: &str,
    write: impl Fn(Stream, usize, &mut Vec<u8>),
) -> Result<(), InputError> {
    let sizes = Stream::new(seed, 0);
    let mut content = Vec::new();
    for file in 0..files {
        let place = folder.join(format!("{:03}", file / 100));
        if file % 100 == 0 {
            fs::create_dir_all(&place).map_err(|error| InputError::write(&place, error))?;
        }
        let u = sizes.uniform(file);
        content.clear();
        write(Stream::new(seed, 1 + file), (3.0 * mean as f64 * u * u) as usize, &mut content);
        let path = place.join(format!("{file:06}.{extension}"));
        fs::write(&path, &content).map_err(|error| InputError::write(&path, error))?;
    }
    Ok(())
}
