//! References from Python 3 and NumPy 2: SplitMix64 and the formulas written anew in Python,
//! returns as `p[1:] / p[:-1] - 1`, quantiles by `numpy.quantile`, for seed 42, 3 assets.

use std::collections::BTreeMap;
use std::fs;

use manyhands_contract::Storage;

use super::*;
use crate::testing::same_in_all_chunks;

const SMALL: [(&str, &str); 3] = [("assets", "3"), ("days", "101"), ("portfolios", "20")];

fn parameters(changes: &[(&str, &str)]) -> Parameters {
    Parameters::from_texts(&DEFINITION, changes.iter().copied()).expect("allowed values")
}

fn prepare(
    input: &[PathBuf],
    storage: &Storage,
    handover: Option<&Handover>,
) -> Result<Risk, InputError> {
    let parameters = parameters(&[]);
    let helper = Path::new("unused");
    Risk::prepare(&Context { parameters: &parameters, seed: 42, input, storage, helper, handover })
}

fn generated(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Risk::generate(&parameters(changes), 42, folder.path()).expect("written");
    folder
}

/// What `prepare` says of files with these texts, with the folder's name taken out.
fn refusal(prices: &str, portfolios: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(PRICES), prices).expect("written");
    fs::write(folder.path().join(PORTFOLIOS), portfolios).expect("written");
    let input = [folder.path().to_owned()];
    let error = prepare(&input, &Storage::private(), None).expect_err("must be refused");
    error.0.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn generated_files_are_those_that_python_makes() {
    let folder = generated(&SMALL);
    let prices = fs::read_to_string(folder.path().join(PRICES)).expect("readable");
    let portfolios = fs::read_to_string(folder.path().join(PORTFOLIOS)).expect("readable");
    let first = |text: &str| text.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(first(&prices), PYTHON_PRICES);
    assert_eq!(prices.lines().last(), Some(PYTHON_LAST_PRICES));
    assert_eq!(first(&portfolios), PYTHON_PORTFOLIOS);
    assert_eq!((prices.lines().count(), portfolios.lines().count()), (102, 21));
}

#[test]
fn the_answer_is_the_one_that_numpy_gives() {
    // 100 returns put the quantiles at 4.95 and 0.99; 17, which is not a multiple of a tile, and
    // 1 put them at edges.
    for (days, [worst, var95, var99, es99]) in NUMPY {
        let folder = generated(&[SMALL[0], ("days", days), SMALL[2]]);
        let work = prepare(&[folder.path().to_owned()], &Storage::private(), None).expect("valid");
        let expected = serde_json::json!({
            "portfolios": 20, "worst_var99": worst,
            "mean_var95": var95, "mean_var99": var99, "mean_es99": es99,
        });
        let serde_json::Value::Object(expected) = expected else { unreachable!("an object") };
        let answer = same_in_all_chunks(&work);
        assert_eq!(
            answer.check(&Answer::from_parts(expected, BTreeMap::new())),
            Ok(()),
            "{days} days"
        );
    }
}

#[test]
fn the_tail_agrees_with_sorting() {
    for count in [1, 2, 3, 20, 21, 99, 100, 101, 1000] {
        let stream = Stream::new(7, count);
        // Coarse values, so that ties are met.
        let mut days: Vec<_> = (0..count).map(|i| (stream.normal(i) * 10.0).round()).collect();
        let mut sorted = days.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let quantile = |q: f64| {
            let position = q * (count - 1) as f64;
            let (low, high) = (position.floor() as usize, position.ceil() as usize);
            sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64)
        };
        let worst: Vec<_> = sorted.iter().filter(|day| **day <= quantile(0.01)).collect();
        let es99 = -worst.iter().copied().sum::<f64>() / worst.len() as f64;
        let expected = Tail { var95: -quantile(0.05), var99: -quantile(0.01), es99 };
        assert_eq!(tail(&mut days), expected, "{count} days");
    }
}

#[test]
fn files_may_be_given_one_by_one_with_columns_in_another_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (prices, portfolios) = (folder.path().join(PRICES), folder.path().join(PORTFOLIOS));
    fs::write(&prices, "\u{feff}date,A,B\r\nmon,1,4\r\ntue,2,3\r\n\r\n").expect("written");
    fs::write(&portfolios, "portfolio,B,A\n\"Smith, John\",40,-100\n").expect("written");
    let work = prepare(&[portfolios, prices], &Storage::private(), None).expect("valid");
    // The one day: -100 x (2/1 - 1) + 40 x (3/4 - 1) = -110.
    let expected = r#"{"portfolios":1,"worst_var99":110.0,"#.to_owned()
        + r#""mean_var95":110.0,"mean_var99":110.0,"mean_es99":110.0}"#;
    assert_eq!(same_in_all_chunks(&work).to_string(), expected);
}

#[test]
fn a_process_that_attaches_needs_no_files() {
    let folder = generated(&SMALL);
    let first = Storage::shared().expect("a memory file");
    let here = prepare(&[folder.path().to_owned()], &first, None).expect("valid");
    // Kept by the kernel as long as the other process has it open; here, only the names matter.
    let file = first.file().expect("shared").try_clone_to_owned().expect("a descriptor");
    let handover = Workload::handover(&here);
    let there = prepare(&[folder.path().to_owned()], &Storage::attached(file), Some(&handover));
    let there = there.expect("attached");
    assert_eq!(same_in_all_chunks(&there), same_in_all_chunks(&here));
    assert_eq!(there.size, here.size);
}

#[test]
fn bad_input_gets_the_file_the_line_and_the_remedy() {
    const GOOD_PRICES: &str = "date,A,B\n1,1,2\n2,3,4\n";
    const GOOD_PORTFOLIOS: &str = "portfolio,A,B\np,1,2\n";
    let cases = [
        ("", GOOD_PORTFOLIOS, "prices.csv, line 1: there is no header; begin with 'date,...'"),
        (
            "day,A\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 1: the first column is 'day'; begin the header with 'date,' and a \
             name for each asset",
        ),
        (
            "date\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 1: there are no assets; add a column per asset",
        ),
        (
            "date,A,A\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 1: there are two columns 'A'; give each asset one column",
        ),
        (
            "date,A,B\n1,1,2\n",
            GOOD_PORTFOLIOS,
            "prices.csv: there are fewer than two days of prices; one day has no profit or loss: \
             add days",
        ),
        (
            "date,A,B\n1,1,2\n\n2,3,x\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 4: 'x' in column B is not a number; give a decimal such as 12.5",
        ),
        (
            "date,A,B\n1,1,2\n2,3,inf\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 3: 'inf' in column B is not a number; give a decimal such as 12.5",
        ),
        (
            "date,A,B\n1,1,2\n2,3\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 3: there are 2 cells; the header has 3",
        ),
        (
            "date,A,B\n1,1,2\n2,3,4,5\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 3: there are 4 cells; the header has 3",
        ),
        (
            "date,A,B\n1,1,2\n2,0,4\n",
            GOOD_PORTFOLIOS,
            "prices.csv, line 3: 0 in column A is not a price; give prices above 0, and leave out \
             assets without one",
        ),
        (
            GOOD_PRICES,
            "portfolio,A,B\n",
            "portfolios.csv: there are no portfolios; add a line each",
        ),
        (
            GOOD_PRICES,
            "portfolio,A\np,1\n",
            "portfolios.csv, line 1: there is no column B, which prices.csv has; add it, with 0 \
             where nothing is held",
        ),
        (
            GOOD_PRICES,
            "portfolio,A,B,C\np,1,2,3\n",
            "portfolios.csv, line 1: column C is not in prices.csv; use the same names in both \
             files",
        ),
        (
            GOOD_PRICES,
            "portfolio,A,B\np,1,1e19\n",
            "portfolios.csv, line 2: 10000000000000000000 in column B is more than all the money \
             there is; give positions up to 1e18",
        ),
    ];
    for (prices, portfolios, expected) in cases {
        assert_eq!(refusal(prices, portfolios), expected);
    }
}

#[test]
fn a_missing_file_is_named_with_what_to_give() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = [folder.path().to_owned()];
    let error = prepare(&input, &Storage::private(), None).expect_err("must be refused");
    let expected = format!(
        "there is no prices.csv in {}; give a folder that holds prices.csv and portfolios.csv, or \
         both files",
        folder.path().display()
    );
    assert_eq!(error.0, expected);
}

/// By Python's `datetime.date`.
#[test]
fn days_are_weekdays_of_the_gregorian_calendar() {
    let cases = [
        (0, "2015-01-05"),
        (4, "2015-01-09"),
        (5, "2015-01-12"),
        (39, "2015-02-27"),
        (40, "2015-03-02"),
        (300, "2016-02-29"),
        (301, "2016-03-01"),
        (304, "2016-03-04"),
        (1302, "2020-01-01"),
        (2520, "2024-09-02"),
        (99999, "2398-04-24"),
    ];
    for (day, expected) in cases {
        assert_eq!(weekday(day), expected, "{day}");
    }
}

const PYTHON_PRICES: [&str; 3] = [
    "date,A0,A1,A2",
    "2015-01-05,158.97016829364404,88.69722096453378,147.0523074829523",
    "2015-01-06,157.95135995547378,90.27359318584266,146.96189532454423",
];
const PYTHON_LAST_PRICES: &str =
    "2015-05-25,148.10941647831544,87.9583203140823,159.31032320014128";
const PYTHON_PORTFOLIOS: [&str; 3] =
    ["portfolio,A0,A1,A2", "P0,-158005,128649,-38150", "P1,87044,-104845,-129228"];

/// Days of prices; worst VaR 99, mean VaR 95, mean VaR 99, mean ES 99.
const NUMPY: [(&str, [f64; 4]); 4] = [
    ("101", [8426.725192442149, 3684.385591713885, 4776.124953111628, 5339.67148037184]),
    ("18", [7874.507944499252, 3432.604687338685, 4054.997134810379, 4210.595246678303]),
    ("2", [4569.705590808284, -64.78197791198917, -64.78197791198917, -64.78197791198917]),
    ("600", [9463.325027219082, 3828.7318588059034, 5399.449609311064, 6351.516253174416]),
];
