//! What the whole of `csv` must get right.

use manyhands_contract::{Map, Step};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::corpus::testing::{folder, generated, prepared};
use crate::testing::{answer, same_in_all_chunks};

/// Everything that is awkward in a CSV file: a byte order mark, quotes in the header, all kinds
/// of newlines, empty lines, doubled quotes, quotes that quote nothing, delimiters and newlines
/// in fields, short and long records, no newline at the end.
const TORTURE: &str = "\u{feff}id,\"na\"\"me\",x,\"multi\nline\"\r\n1,a,1.5,\r\n2,\"b,\"\"c\"\"\",-2e1,\
    \"x\r\ny, \"\"z\"\"\"\n\n3,5\" pipe,+.5,\"\"\"q\"\"\"\r4,\"a\"b\"c\",,\" \"\n5,,7.,a\"\"b\r\n\r\n\
    6,\"line\none\",1,\"\"\n7\n8,\"\",2,3,4,5\n9,a,\"3.25\",\"end\"";

/// By csv.reader of Python 3.11 over the same text, with short records filled up and empty ones
/// left out.
fn tortured() -> Json {
    let one = |x: f64| json!({"count": 1, "sum": x, "mean": x, "min": x, "max": x});
    json!({"groups": {
        "": {"count": 2, "sum": 9.0, "mean": 4.5, "min": 2.0, "max": 7.0},
        "5\" pipe": one(0.5),
        "a": {"count": 2, "sum": 4.75, "mean": 2.375, "min": 1.5, "max": 3.25},
        "ab\"c\"": {"count": 0, "sum": 0.0, "mean": null, "min": null, "max": null},
        "b,\"c\"": one(-20.0),
        "line\none": one(1.0),
    }, "rows": 9})
}

/// `csv` over files in a folder of their own, which lives as long as the first of the pair.
fn csv(files: &[(&str, &str)], changes: &[(&str, &str)]) -> (TempDir, Result<Csv, InputError>) {
    let folder = folder(files);
    let csv = prepared(folder.path(), changes);
    (folder, csv)
}

/// The reason why it cannot be prepared or run, without the folder's path.
fn failure(text: &str, changes: &[(&str, &str)]) -> String {
    let (folder, csv) = csv(&[("sales.csv", text)], changes);
    let reason = match csv {
        Err(error) => error.0,
        Ok(csv) => run(&csv).expect_err("it should not succeed").0,
    };
    reason.replace(&format!("{}/", folder.path().display()), "")
}

/// As `testing::answer`, but with the error.
fn run(csv: &Csv) -> Result<(), TaskError> {
    let (mut local, mut phase) = (csv.local()?, csv.first());
    loop {
        let mut partial = csv.empty(&phase);
        csv.run_chunk(&mut local, &phase, 0..csv.tasks(&phase), &mut partial)
            .map_err(|failure| failure.error)?;
        match csv.next(phase, partial)? {
            Step::Continue(next) => phase = next,
            Step::Done(_) => return Ok(()),
        }
    }
}

const TORTURE_COLUMNS: [(&str, &str); 2] = [("group", "na\"me"), ("column", "x")];

#[test]
fn every_range_size_gives_the_answer_of_pythons_csv() {
    for range in (1..=64).chain([100, 1000]) {
        let range = range.to_string();
        let mut changes = TORTURE_COLUMNS.to_vec();
        changes.push(("range", &range));
        let (_folder, csv) = csv(&[("a.csv", TORTURE)], &changes);
        let csv = csv.expect("ready");
        assert_eq!(answer(&csv, 3).to_json(), tortured(), "ranges of {range} bytes");
    }
}

#[test]
fn records_longer_than_a_block_and_a_range_are_read_whole() {
    let cell = "\"\"x, \n".repeat(3000);
    let row = format!("\"{cell}\",north,1\n");
    let text = format!("note,region,amount\n{}", row.repeat(5));
    for range in ["700", "20000", "100000"] {
        let (_folder, csv) = csv(&[("a.csv", &text)], &[("range", range)]);
        let expected = json!({"groups": {
            "north": {"count": 5, "sum": 5.0, "mean": 1.0, "min": 1.0, "max": 1.0}
        }, "rows": 5});
        assert_eq!(answer(&csv.expect("ready"), 7).to_json(), expected);
    }
}

#[test]
fn any_delimiter_is_found_or_given() {
    let cases = [
        (",", "auto"),
        ("\t", "auto"),
        (";", "auto"),
        ("|", "auto"),
        (",", "comma"),
        ("\t", "tab"),
        (";", "semicolon"),
        ("|", "|"),
        (":", ":"),
        ("~", "~"),
    ];
    for (delimiter, parameter) in cases {
        let text = TORTURE.replace(',', delimiter);
        let mut changes = TORTURE_COLUMNS.to_vec();
        changes.extend([("delimiter", parameter), ("range", "9")]);
        let (_folder, csv) = csv(&[("a.csv", &text)], &changes);
        let found = answer(&csv.unwrap_or_else(|e| panic!("{e}")), 3).to_json();
        assert_eq!(found["rows"], 9, "{delimiter:?}");
        assert_eq!(found["groups"]["a"]["sum"], 4.75, "{delimiter:?}");
    }
    // The header's own commas are in one of its names: it has both columns only by semicolons.
    let (_folder, csv) = csv(&[("a.csv", "a, b, c;region;amount\n1,2,3;x;4\n")], &[]);
    assert_eq!(answer(&csv.expect("ready"), 1).to_json()["groups"]["x"]["sum"], 4.0);
}

#[test]
fn several_files_each_have_their_own_delimiter_header_and_newlines() {
    let files = [
        ("b.tsv", "amount\tregion\r\n1\tx\r\n2\ty\r\n"),
        ("a.CSV", "region,other,amount\nx,0,3\n"),
        ("c/d.csv", "region,amount"),
        ("e.txt", "not a table"),
    ];
    let (_folder, csv) = csv(&files, &[("range", "5")]);
    let expected = json!({"groups": {
        "x": {"count": 2, "sum": 4.0, "mean": 2.0, "min": 1.0, "max": 3.0},
        "y": {"count": 1, "sum": 2.0, "mean": 2.0, "min": 2.0, "max": 2.0},
    }, "rows": 3});
    assert_eq!(same_in_all_chunks(&csv.expect("ready")).to_json(), expected);
}

#[test]
fn a_header_alone_has_no_rows() {
    for text in ["region,amount", "region,amount\n", "\n\r\nregion,amount\r\n\n\n"] {
        let (_folder, csv) = csv(&[("a.csv", text)], &[]);
        let expected = json!({"groups": {}, "rows": 0});
        assert_eq!(same_in_all_chunks(&csv.expect("ready")).to_json(), expected, "{text:?}");
    }
}

#[test]
fn a_cell_that_is_no_number_is_named_with_its_line() {
    let text = "region,amount\r\n\"a\nb\",1\r\n\r\nc,\"abc\"\r\n";
    for range in ["1", "5", "1000"] {
        assert_eq!(
            failure(text, &[("range", range)]),
            "sales.csv line 5: 'abc' is not a number in column 'amount'; mend the cell or use -p \
             invalid=skip"
        );
    }
}

#[test]
fn cells_that_are_no_numbers_can_be_counted_instead() {
    let text = "region,amount\na,1\na,NaN\nb, 2 \nb,1_000\nb,0x1\nb,\nc,inf\n";
    let (_folder, csv) = csv(&[("a.csv", text)], &[("invalid", "skip"), ("range", "4")]);
    let expected = json!({"groups": {
        "a": {"count": 1, "sum": 1.0, "mean": 1.0, "min": 1.0, "max": 1.0},
        "b": {"count": 1, "sum": 2.0, "mean": 2.0, "min": 2.0, "max": 2.0},
        "c": {"count": 0, "sum": 0.0, "mean": null, "min": null, "max": null},
    }, "rows": 7, "invalid": 4});
    assert_eq!(same_in_all_chunks(&csv.expect("ready")).to_json(), expected);
}

#[test]
fn what_is_wrong_with_a_file_comes_with_the_remedy() {
    let cases = [
        (
            "region,amout\n",
            "sales.csv has no column 'amount'; did you mean -p column='amout'? its columns are \
             region, amout; choose with -p column=",
        ),
        (
            "a;b,c;d\n",
            "sales.csv has no column 'region'; its columns are a, b,c, d; choose with -p group=",
        ),
        (
            "\u{feff}\r\n",
            "sales.csv is empty: a header row was expected; give it one or take the file out",
        ),
        (
            "region,amount\na,1\nb,\"2\nc,3\n",
            "sales.csv line 3: a quote is opened here and never closed; close it, or double it if \
             it is meant as a character",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(failure(text, &[]), expected);
        assert_eq!(failure(text, &[("range", "3")]), expected);
    }
    assert!(failure("x", &[("delimiter", "::")]).starts_with("'::' is not a value for delimiter"));
}

#[test]
fn a_group_that_is_not_utf_8_is_an_error_and_utf_16_is_recognised() {
    let folder = folder(&[("a.csv", &b"region,amount\nx,1\ncaf\xe9,2\n"[..])]);
    let reason = run(&prepared(folder.path(), &[]).expect("ready")).unwrap_err().0;
    assert!(reason.ends_with(
        "a.csv line 3: a group in column 'region' is not UTF-8; convert the file, as with iconv \
         -f latin1 -t utf-8"
    ));
    std::fs::write(folder.path().join("a.csv"), b"\xff\xfer\0").expect("writable");
    let reason = prepared::<Csv>(folder.path(), &[]).unwrap_err().0;
    assert!(reason.ends_with("is UTF-16; convert it: iconv -f utf-16 -t utf-8"), "{reason}");
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_an_error() {
    let (folder, csv) = csv(&[("a.csv", "region,amount\nx,1\ny,2\n")], &[]);
    let file = File::options().write(true).open(folder.path().join("a.csv")).expect("writable");
    file.set_len(16).expect("shorter");
    let reason = run(&csv.expect("ready")).unwrap_err().0;
    assert!(reason.ends_with(
        "a.csv ended after 16 of 22 bytes; something shortened it meanwhile: run again when it \
         is complete"
    ));
}

#[test]
fn generated_sales_add_up_as_pythons_csv_adds_them() {
    let changes = [
        ("rows", "2000"),
        ("files", "3"),
        ("range", "1KiB"),
        ("group", "note"),
        ("column", "quantity"),
    ];
    let (folder, csv) = generated::<Csv>(&changes);
    // csv.reader over files written by the formulas of `generated::sales` in Python 3.11.
    let group = |count: u64, sum: f64| json!({"count": count, "sum": sum, "mean": sum / count as f64, "min": 1.0, "max": 20.0});
    let expected = json!({"groups": {
        "": group(1631, 17152.0),
        "5\" pipe": group(121, 1328.0),
        "call first\nthen deliver": group(126, 1231.0),
        "left at the door, with \"Ann\"": group(122, 1411.0),
    }, "rows": 2000});
    assert_eq!(same_in_all_chunks(&csv).to_json(), expected);
    // Their bytes: the digest of `hash` over them, by hashlib.
    let hash: crate::cpu::hash::Hash = prepared(folder.path(), &[]).expect("ready");
    assert_eq!(
        answer(&hash, 1).to_json()["digest"],
        "ad922a87099c8b0d37d96914a64b3d055c59ed7aa0d20d30cb1f065999e10202"
    );
}

#[test]
fn generated_amounts_add_up_by_region() {
    let (_folder, csv) = generated::<Csv>(&[("rows", "2000"), ("files", "3"), ("range", "1KiB")]);
    let found = same_in_all_chunks(&csv).to_json();
    // As above: csv.reader, and math.fsum, whose sums are exact until they are rounded.
    let expected = [
        ("North, 03", 86, 235_983.08, -177.08, 9827.67),
        ("Old \"Port\" 05", 66, 182_520.64, -2283.82, 9806.1),
        ("Region 00", 331, 1_007_429.55, -6511.37, 9991.48),
        ("Upper\nValley 31", 38, 109_575.19, -9910.35, 9619.21),
    ];
    assert_eq!(found["groups"].as_object().map(|groups| groups.len()), Some(32));
    for (key, count, sum, min, max) in expected {
        let group = &found["groups"][key];
        assert_eq!(
            (&group["count"], &group["min"], &group["max"]),
            (&json!(count), &json!(min), &json!(max))
        );
        let found_sum = group["sum"].as_f64().expect("a number");
        assert!((found_sum - sum).abs() < 1e-6, "{key}: {found_sum}");
    }
}
