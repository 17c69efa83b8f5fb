//! Sales by arithmetic alone, so that any language can write the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use manyhands_contract::InputError;
use manyhands_contract::generate::Stream;

/// How many values of the stream a row uses.
const DRAWS: u64 = 8;

/// Writes `files` files `sales-FFF.csv` with `rows` rows in all: file f has the rows floor(f x
/// rows / files) up to the next file's first.
///
/// Row r is drawn from values 8r + 0 ... 8r + 6 of stream 0, here d0 ... d6, u being uniform and
/// below(n) whole:
/// - `order`: r + 1;
/// - `date`: 2025-MM-DD with MM = 1 + d0.below(12), DD = 1 + d1.below(28);
/// - `region`: by k = floor(32 x u2 x u2), of which low ones are common: see [`regions`];
/// - `quantity`: 1 + d3.below(20);
/// - `amount`: by a = d5.below(50): empty for 0; otherwise cents = floor(1,000,000 x u4 x u4) as
///   a decimal with two places, with a minus sign (a refund) for 1 and 2;
/// - `note`: by n = d6.below(16): `"left at the door, with ""Ann"""` for 0, `"call first\nthen
///   deliver"` with a line feed in it for 1, `5" pipe` for 2 (a quote that quotes nothing), and
///   otherwise empty.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn sales(folder: &Path, files: u64, rows: u64, seed: u64) -> Result<(), InputError> {
    let (stream, regions) = (Stream::new(seed, 0), regions());
    for file in 0..files {
        let path = folder.join(format!("sales-{file:03}.csv"));
        let first = |file: u64| (u128::from(file) * u128::from(rows) / u128::from(files)) as u64;
        File::create(&path)
            .map(|file| BufWriter::with_capacity(1 << 18, file))
            .and_then(|mut out| {
                out.write_all(b"order,date,region,quantity,amount,note\n")?;
                let mut rows = first(file)..first(file + 1);
                rows.try_for_each(|row| write_row(&mut out, stream, &regions, row))?;
                out.flush()
            })
            .map_err(|error| InputError::write(&path, error))?;
    }
    Ok(())
}

/// Region k is `Region KK` (two digits), but for k mod 8 = 3 `"North, KK"`, for 5 `"Old ""Port""
/// KK"` and for 7 `"Upper` and `Valley KK"` with a line feed between them: quotes as they occur.
fn regions() -> [String; 32] {
    std::array::from_fn(|k| match k % 8 {
        3 => format!("\"North, {k:02}\""),
        5 => format!("\"Old \"\"Port\"\" {k:02}\""),
        7 => format!("\"Upper\nValley {k:02}\""),
        _ => format!("Region {k:02}"),
    })
}

fn write_row(
    out: &mut impl Write,
    stream: Stream,
    regions: &[String; 32],
    row: u64,
) -> std::io::Result<()> {
    let draw = |column| row * DRAWS + column;
    let skewed = |column| stream.uniform(draw(column)) * stream.uniform(draw(column));
    let month = 1 + stream.below(draw(0), 12);
    let day = 1 + stream.below(draw(1), 28);
    let region = &regions[(32.0 * skewed(2)) as usize];
    let quantity = 1 + stream.below(draw(3), 20);
    write!(out, "{},2025-{month:02}-{day:02},{region},{quantity},", row + 1)?;
    let cents = (1_000_000.0 * skewed(4)) as u64;
    match stream.below(draw(5), 50) {
        0 => {}
        1 | 2 => write!(out, "-{}.{:02}", cents / 100, cents % 100)?,
        _ => write!(out, "{}.{:02}", cents / 100, cents % 100)?,
    }
    out.write_all(match stream.below(draw(6), 16) {
        0 => b",\"left at the door, with \"\"Ann\"\"\"\n",
        1 => b",\"call first\nthen deliver\"\n",
        2 => b",5\" pipe\n",
        _ => b",\n",
    })
}
