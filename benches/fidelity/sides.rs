//! What is compared, and how each side measures it: one process a block, its own figure in
//! nanoseconds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use manyhands_record::statistics::quantile::median;
use manyhands_record::{Mode, Record};
use serde_json::Value as Json;

use crate::functions;

pub(crate) type Result<T> = std::result::Result<T, String>;

/// Measures once and writes into a folder of its own; gives nanoseconds.
type Side = Box<dyn Fn(&Path) -> Result<f64>>;

/// One thing that two programs measure.
pub(crate) struct Comparison {
    pub(crate) what: String,
    /// `criterion` or `hyperfine`.
    pub(crate) against: &'static str,
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
}

/// All comparisons; those with hyperfine only where it is installed.
pub(crate) fn comparisons() -> Result<Vec<Comparison>> {
    let this = std::env::current_exe().map_err(|error| format!("no path of our own: {error}"))?;
    let this = this.to_str().ok_or("our own path is no text")?;
    let mut all: Vec<_> = functions::NAMES.iter().map(|name| function(this, name)).collect();
    if answers("hyperfine") {
        all.extend(commands()?.into_iter().map(command));
    } else {
        eprintln!("skipped: the commands; hyperfine is not installed (apt-get install hyperfine)");
    }
    Ok(all)
}

fn answers(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

fn function(this: &str, name: &'static str) -> Comparison {
    let (ours, theirs) = (this.to_owned(), this.to_owned());
    Comparison {
        what: name.to_owned(),
        against: "criterion",
        ours: Box::new(move |folder| {
            // Six launches of a cold sample and ten warm ones each.
            let words = ["run", name, "-e", "sequential", "--rounds", "6"];
            by_manyhands(&ours, &words, folder)
        }),
        theirs: Box::new(move |folder| {
            run(&theirs, &["criterion", name, text(folder)?])?;
            let file = folder.join(name).join("call/new/estimates.json");
            number(&json(&file)?, "/median/point_estimate", &file)
        }),
    }
}

/// Commands that wait, compute, and start processes; each takes 20 ms or more.
fn commands() -> Result<Vec<String>> {
    let this = std::env::current_exe().map_err(|error| format!("no path of its own: {error}"))?;
    Ok(vec![
        "sleep 0.03".to_owned(),
        format!("{} call divide 20", text(&this)?),
        format!("{} answer primes -p limit=3e6", env!("CARGO_BIN_EXE_manyhands")),
    ])
}

fn command(line: String) -> Comparison {
    let (ours, theirs) = (line.clone(), line.clone());
    Comparison {
        what: short(&line),
        against: "hyperfine",
        ours: Box::new(move |folder| {
            let words = ["run", "--command", &ours, "--rounds", "2"];
            by_manyhands(env!("CARGO_BIN_EXE_manyhands"), &words, folder)
        }),
        theirs: Box::new(move |folder| {
            let file = folder.join("hyperfine.json");
            let export = ["--export-json", text(&file)?];
            // Without a shell, as ours.
            let words = ["-N", "--style", "none", "--warmup", "1", "--runs", "20"];
            run("hyperfine", &[&words[..], &export, &[&theirs]].concat())?;
            Ok(1e9 * number(&json(&file)?, "/results/0/median", &file)?)
        }),
    }
}

/// A command line without the folders in it.
fn short(line: &str) -> String {
    let name =
        |word: &str| Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
    let words = line.split(' ').map(|word| name(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// The median of all samples but each launch's first, which is the cold one: of single executions,
/// as the other side's. (A report shows the geometric mean of the launches' medians, which says
/// more about several launches and is another figure where one of them was disturbed.)
fn by_manyhands(program: &str, words: &[&str], folder: &Path) -> Result<f64> {
    let out = folder.join("out");
    run(program, &[words, &["--out", text(&out)?, "--json"]].concat())?;
    let record = Record::read(out.join("record.json")).map_err(|error| error.to_string())?;
    let launches = record.cells.iter().flat_map(|cell| cell.sound_launches(Mode::Time));
    let warm = launches.flat_map(|launch| launch.samples.iter().skip(1));
    let warm: Vec<f64> = warm.map(|sample| sample.wall_ns as f64).collect();
    median(&warm).ok_or_else(|| "the run gave no time".to_owned())
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", shown()))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{}: {}\n{complaint}", shown(), output.status))
}

fn json(file: &Path) -> Result<Json> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}

fn number(json: &Json, pointer: &str, file: &Path) -> Result<f64> {
    let number = json.pointer(pointer).and_then(Json::as_f64);
    number.ok_or_else(|| format!("{}: no number at {pointer}", file.display()))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| format!("{}: the name is not UTF-8", path.display()))
}
