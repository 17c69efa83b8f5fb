//! What the tasks of a traced sample did: the files beside `record.json`, and what can be read off
//! them.
//!
//! A file is newline-delimited JSON, compressed with gzip: one object a task, in the order of their
//! starts. Text and not a binary form of our own, because any guest can write it and any reader can
//! look into it (`zcat traces/0042.ndjson.gz | jq`); gzip makes up for its length, as neighbouring
//! lines are nearly alike.

pub mod histogram;
pub mod perfetto;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::statistics::quantile::median;
use crate::{Cell, Launch, Mode, Trace};

pub use perfetto::{Packing, perfetto};

/// The folder of the trace files, beside `record.json`.
pub const FOLDER: &str = "traces";

/// Events that are kept of a sample, unless told otherwise: the first ones to end. What is beyond
/// them is counted and in the histograms, but not drawn; no screen has room for it.
pub const CAP: u64 = 100_000;

/// One task, as it ran. Times are nanoseconds from the sample's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Event {
    /// The task's number in its phase.
    pub task: u64,
    /// The phase's number.
    pub phase: u32,
    /// The process that ran it, by its number in the system.
    pub process: u32,
    /// The place that it had: one task at a time, numbered through all processes of the cell.
    pub lane: u32,
    /// When it started.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// When it could have started: its phase began, or (open loop) it was due.
    pub queued_ns: u64,
    /// CPU time on the threads that ran it, no more than `end_ns` - `start_ns`.
    #[serde(default)]
    pub cpu_ns: u64,
    /// The thread on which it started, by its number in its process.
    #[serde(default)]
    pub thread: u32,
}

impl Event {
    /// How long it waited from when it could have started.
    pub fn wait_ns(&self) -> u64 {
        self.start_ns.saturating_sub(self.queued_ns)
    }

    /// How long it ran.
    pub fn ran_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// What names one task of one launch in a whole record, through all processes and guests: the
/// launch's place in the run, the phase and the task, `42.0.17`.
pub fn id(launch: u32, phase: u32, task: u64) -> String {
    format!("{launch}.{phase}.{task}")
}

/// The file of a launch's events, relative to the record's folder: `traces/0042.ndjson.gz`.
pub fn file_name(launch: u32) -> String {
    format!("{FOLDER}/{launch:04}.ndjson.gz")
}

/// A line of a trace file.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Writes the events of a launch in the order of their starts: beside the file first, so that
/// there is never half a one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, launch: u32, events: &mut [Event]) -> io::Result<()> {
    events.sort_unstable_by_key(|event| (event.start_ns, event.phase, event.task));
    let beside = path.with_extension("part");
    let written = write_lines(&beside, launch, events).and_then(|()| fs::rename(&beside, path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

fn write_lines(path: &Path, launch: u32, events: &[Event]) -> io::Result<()> {
    let packed = GzEncoder::new(File::create(path)?, Compression::fast());
    let mut out = BufWriter::with_capacity(1 << 16, packed);
    for event in events {
        let line = Line { id: id(launch, event.phase, event.task), event };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?.sync_all()
}

/// Reads the events of a traced launch in the order of their starts; none where there is no file.
///
/// # Errors
/// One line: which file cannot be read, and why.
pub fn read(folder: &Path, trace: &Trace) -> Result<Vec<Event>, String> {
    let Some(file) = &trace.file else { return Ok(Vec::new()) };
    let path = folder.join(file);
    let told = |what: String| {
        format!("cannot read the trace {}: {what}; measure again with --trace", path.display())
    };
    let opened = File::open(&path).map_err(|error| told(error.to_string()))?;
    // A file that grows without end when unpacked is not one of ours.
    let most = (trace.kept.saturating_add(1)).saturating_mul(LONGEST_LINE);
    let lines = BufReader::new(GzDecoder::new(BufReader::new(opened)).take(most)).lines();
    let mut events = Vec::new();
    for (index, line) in lines.enumerate() {
        let line = line.map_err(|error| told(error.to_string()))?;
        let event: Event = serde_json::from_str(&line)
            .map_err(|error| told(format!("line {}: {error}", index + 1)))?;
        events.push(event);
    }
    if events.len() as u64 != trace.kept {
        return Err(told(format!("it has {} tasks, not {}", events.len(), trace.kept)));
    }
    Ok(events)
}

/// Ten numbers of at most twenty digits with their names.
const LONGEST_LINE: u64 = 512;

/// What tracing cost a cell: the wall time of its traced sample, the second of its launch, over the
/// median of the second samples of the launches that were not traced. Later samples are warmer, so
/// that a launch's own median would charge tracing for warming up. Absent where one of the two is.
pub fn cost(cell: &Cell) -> Option<f64> {
    let traced = cell.sound_launches(Mode::Trace).find(|launch| launch.trace.is_some())?;
    let traced = traced.samples.last()?.wall_ns as f64;
    let second = |launch: &Launch| launch.samples.get(1).map(|sample| sample.wall_ns as f64);
    let plain: Vec<f64> = cell.sound_launches(Mode::Time).filter_map(second).collect();
    median(&plain).filter(|plain| *plain > 0.0).map(|plain| traced / plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cell, launch};
    use crate::schema::{Histogram, Shares};

    fn event(task: u64, start_ns: u64) -> Event {
        Event { task, lane: 1, start_ns, end_ns: start_ns + 10, cpu_ns: 3, ..Event::default() }
    }

    fn trace(kept: u64) -> Trace {
        let (latency, queue, shares) =
            (Histogram::default(), Histogram::default(), Shares::default());
        let file = Some(file_name(42));
        Trace { file, tasks: kept, kept, latency, queue, shares }
    }

    /// A folder with one trace file of three tasks in it.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join(FOLDER)).expect("a folder in it");
        let mut events = [event(2, 7), event(0, 5), event(1, u64::MAX - 10)];
        write(&folder.path().join(file_name(42)), 42, &mut events).expect("room for a file");
        folder
    }

    #[test]
    fn events_are_read_as_they_were_written_in_the_order_of_their_starts() {
        let folder = folder();
        let read = read(folder.path(), &trace(3)).expect("a sound file");
        assert_eq!(read, [event(0, 5), event(2, 7), event(1, u64::MAX - 10)]);
        let left: Vec<_> = fs::read_dir(folder.path().join(FOLDER)).expect("there").collect();
        assert_eq!(left.len(), 1, "nothing half-written stays: {left:?}");
    }

    #[test]
    fn a_line_names_its_task_through_the_whole_record() {
        let folder = folder();
        let file = File::open(folder.path().join("traces/0042.ndjson.gz")).expect("there");
        let mut lines = BufReader::new(GzDecoder::new(file)).lines();
        let first = lines.next().expect("three lines").expect("text");
        let expected = r#"{"id":"42.0.0","task":0,"phase":0,"process":0,"lane":1,"start_ns":5,"#;
        assert!(first.starts_with(expected), "{first}");
    }

    #[test]
    fn a_file_that_is_gone_cut_short_or_another_is_told_in_one_line() {
        let folder = folder();
        let path = folder.path().join(file_name(42));
        let error = |trace: &Trace| read(folder.path(), trace).unwrap_err();
        assert!(error(&trace(4)).contains("it has 3 tasks, not 4; measure again"));
        let whole = fs::read(&path).expect("there");
        fs::write(&path, &whole[..whole.len() / 2]).expect("writable");
        let cut = error(&trace(3));
        assert!(cut.starts_with("cannot read the trace") && !cut.contains('\n'), "{cut}");
        fs::write(&path, b"no gzip at all").expect("writable");
        assert!(error(&trace(3)).contains("0042.ndjson.gz"));
        fs::remove_file(&path).expect("there");
        assert!(error(&trace(3)).contains("No such file"));
        assert_eq!(read(folder.path(), &Trace { file: None, ..trace(3) }), Ok(Vec::new()));
    }

    #[test]
    fn the_cost_of_tracing_is_a_ratio_to_the_same_sample_of_launches_that_were_not_traced() {
        // Warm-up goes on: the third and fourth samples take half as long as the second.
        let untraced = [100, 200, 300].map(|wall| launch(0, &[9 * wall, wall, wall / 2, wall / 2]));
        let mut cell = cell("threads", untraced.to_vec());
        assert_eq!(cost(&cell), None);
        let mut traced = launch(9, &[5_000, 230]);
        (traced.mode, traced.trace) = (Mode::Trace, Some(trace(3)));
        cell.launches.push(traced);
        assert_eq!(cost(&cell), Some(230.0 / 200.0));
    }
}
