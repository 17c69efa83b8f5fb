//! All traced launches of a record as one file that Perfetto (ui.perfetto.dev) opens, and Chrome's
//! `about:tracing`.
//!
//! The format is Chrome's *Trace Event Format* in its object form (Duca and Sinclair, "Trace Event
//! Format", docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): `M` events
//! name processes and threads, an `X` event is a task with its start and length on the track of its
//! worker, a pair of `b` and `e` events of one `id` is a task on a track of its own. Times are in
//! microseconds, with three decimals: no nanosecond is lost.
//!
//! - Each process of each traced launch is a process of the file, numbered anew from 1: numbers of
//!   the system may come twice in one record. All launches begin at 0, one below the other, so that
//!   their lengths can be compared.
//! - Where no thread had two tasks at a time, each lane is a thread of the file. Where tasks
//!   overlap on a thread (futures that wait), `X` events would have to be nested, which they are
//!   not: the launch's tasks are then pairs of `b` and `e`, and Perfetto stacks them.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Event, id, read};
use crate::{Cell, Launch, Mode, Record};

/// Whether the file is compressed; Perfetto opens both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `.json.gz`
    Gzip,
    /// `.json`
    Plain,
}

/// Writes the tasks of all traced launches of a record, whose trace files lie in `folder`, and
/// says how many tasks that were.
///
/// # Errors
/// One line: a trace file cannot be read, or there is nothing traced.
pub fn perfetto(
    record: &Record,
    folder: &Path,
    packing: Packing,
    out: &mut dyn Write,
) -> Result<u64, String> {
    let traced = |cell: &Cell| cell.sound_launches(Mode::Trace).any(|l| l.trace.is_some());
    if !record.cells.iter().any(traced) {
        return Err("no launch of this record was traced; measure with manyhands run --trace \
                    to see tasks"
            .to_owned());
    }
    match packing {
        Packing::Plain => all(record, folder, out),
        Packing::Gzip => {
            // An event is written in a dozen pieces: the compressor is to see many at a time.
            let packed = GzEncoder::new(out, Compression::fast());
            let mut packed = BufWriter::with_capacity(1 << 16, packed);
            let tasks = all(record, folder, &mut packed)?;
            let packed = packed.into_inner().map_err(|error| unwritten(error.error()))?;
            packed.finish().map_err(|error| unwritten(&error))?;
            Ok(tasks)
        }
    }
}

fn unwritten(error: &io::Error) -> String {
    format!("cannot write the trace: {error}")
}

fn all(record: &Record, folder: &Path, out: &mut dyn Write) -> Result<u64, String> {
    let mut document = Document { out, processes: 0, events: 0 };
    let mut tasks = 0;
    document.write(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    for cell in &record.cells {
        for launch in cell.sound_launches(Mode::Trace) {
            let Some(trace) = &launch.trace else { continue };
            let events = read(folder, trace)?;
            tasks += events.len() as u64;
            document.launch(cell, launch, &events)?;
        }
    }
    document.write(b"\n]}\n")?;
    Ok(tasks)
}

/// The file as it is written.
struct Document<'a> {
    out: &'a mut dyn Write,
    /// Processes so far.
    processes: u32,
    /// Events so far.
    events: u64,
}

/// A process of the file.
#[derive(Clone, Copy)]
struct Process {
    number: u32,
    /// Its place among those of its launch.
    ordinal: usize,
}

/// An event of the file. Of what is absent nothing is written.
#[derive(Serialize)]
struct TraceEvent<'a> {
    name: &'a str,
    ph: &'a str,
    pid: u32,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<Microseconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<Microseconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Value>,
}

/// Nanoseconds, written as microseconds.
struct Microseconds(u64);

impl Serialize for Microseconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact to the nanosecond for samples of up to a month.
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl Document<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.out.write_all(bytes).map_err(|error| unwritten(&error))
    }

    fn event(&mut self, event: &TraceEvent<'_>) -> Result<(), String> {
        self.write(if self.events == 0 { b"\n" } else { b",\n" })?;
        self.events += 1;
        let written = serde_json::to_writer(&mut *self.out, event);
        written.map_err(|error| unwritten(&error.into()))
    }

    fn launch(&mut self, cell: &Cell, launch: &Launch, events: &[Event]) -> Result<(), String> {
        let processes = self.name_processes(cell, events)?;
        let overlapping = overlap(events);
        if !overlapping {
            self.name_lanes(&processes, events)?;
        }
        for event in events {
            let pid = processes[&event.process].number;
            self.task(pid, launch.sequence, event, overlapping)?;
        }
        Ok(())
    }

    /// Numbers the launch's processes and writes their names.
    fn name_processes(
        &mut self,
        cell: &Cell,
        events: &[Event],
    ) -> Result<BTreeMap<u32, Process>, String> {
        let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
        for event in events {
            let ordinal = processes.len();
            processes.entry(event.process).or_insert_with(|| {
                self.processes += 1;
                Process { number: self.processes, ordinal }
            });
        }
        let mut in_order: Vec<_> = processes.values().copied().collect();
        in_order.sort_unstable_by_key(|process| process.ordinal);
        for process in &in_order {
            let mut name = label(cell);
            if in_order.len() > 1 {
                name += &format!(", process {}", process.ordinal + 1);
            }
            self.metadata("process_name", process.number, 0, json!({ "name": name }))?;
            let place = json!({ "sort_index": process.number });
            self.metadata("process_sort_index", process.number, 0, place)?;
        }
        Ok(processes)
    }

    fn name_lanes(
        &mut self,
        processes: &BTreeMap<u32, Process>,
        events: &[Event],
    ) -> Result<(), String> {
        let mut lanes: Vec<_> =
            events.iter().map(|e| (processes[&e.process].number, e.lane)).collect();
        lanes.sort_unstable();
        lanes.dedup();
        for (pid, lane) in lanes {
            let (tid, name) = (track(lane), format!("worker {lane}"));
            self.metadata("thread_name", pid, tid, json!({ "name": name }))?;
            self.metadata("thread_sort_index", pid, tid, json!({ "sort_index": lane }))?;
        }
        Ok(())
    }

    fn metadata(&mut self, name: &str, pid: u32, tid: u32, args: Value) -> Result<(), String> {
        let (ts, dur, cat, id) = (None, None, None, None);
        self.event(&TraceEvent { name, ph: "M", pid, tid, ts, dur, cat, id, args: Some(args) })
    }

    fn task(&mut self, pid: u32, launch: u32, e: &Event, overlapping: bool) -> Result<(), String> {
        let (name, id) = (format!("task {}", e.task), id(launch, e.phase, e.task));
        let args = json!({
            "id": id,
            "phase": e.phase,
            "worker": e.lane,
            "queue wait (us)": e.wait_ns() as f64 / 1000.0,
            "on a core (us)": e.cpu_ns as f64 / 1000.0,
        });
        let (start, end) = (Microseconds(e.start_ns), Microseconds(e.start_ns + e.ran_ns()));
        let begin = TraceEvent {
            name: &name,
            ph: if overlapping { "b" } else { "X" },
            pid,
            tid: track(e.lane),
            ts: Some(start),
            dur: (!overlapping).then_some(Microseconds(e.ran_ns())),
            cat: Some("task"),
            id: overlapping.then_some(id.as_str()),
            args: Some(args),
        };
        if !overlapping {
            return self.event(&begin);
        }
        self.event(&begin)?;
        let (ts, dur, args) = (Some(end), None, None);
        self.event(&TraceEvent { ph: "e", ts, dur, args, ..begin })
    }
}

/// A lane's thread number: 0 would be taken for an idle thread.
fn track(lane: u32) -> u32 {
    lane.saturating_add(1)
}

/// `primes limit=1000 threads x 2`
fn label(cell: &Cell) -> String {
    let id = &cell.id;
    let label = id.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
    let rate = id.rate.map_or(String::new(), |rate| format!(", {rate} per second"));
    let parameters: Vec<_> = id.parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let parameters = parameters.join(" ");
    format!("{} {parameters}, {} x {}{rate}{label}", id.workload, id.executor, id.workers)
}

/// Whether any thread had two tasks at a time. `events` are in the order of their starts.
fn overlap(events: &[Event]) -> bool {
    let mut until: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    events.iter().any(|event| {
        let busy = until.entry((event.process, event.thread)).or_default();
        let overlaps = event.start_ns < *busy;
        *busy = event.end_ns.max(*busy);
        overlaps
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trace;
    use crate::fixture::{cell, launch, record};
    use crate::trace::{FOLDER, file_name, write};
    use flate2::read::GzDecoder;
    use std::collections::{HashMap, HashSet};
    use std::io::Read;

    fn event(task: u64, (process, thread, lane): (u32, u32, u32), ns: (u64, u64)) -> Event {
        let (start_ns, end_ns) = ns;
        Event { task, process, thread, lane, start_ns, end_ns, ..Event::default() }
    }

    /// A traced launch with these events in its file.
    fn traced(folder: &Path, executor: &str, sequence: u32, mut events: Vec<Event>) -> Cell {
        write(&folder.join(file_name(sequence)), sequence, &mut events).expect("room for a file");
        let kept = events.len() as u64;
        let file = Some(file_name(sequence));
        let trace = Some(Trace { file, tasks: kept, kept, ..Trace::default() });
        cell(executor, vec![Launch { mode: Mode::Trace, sequence, trace, ..launch(0, &[9, 9]) }])
    }

    /// Two lanes of one process, two processes, and futures that overlap on one thread.
    fn example() -> (tempfile::TempDir, Record) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(FOLDER)).expect("a folder in it");
        let at = folder.path();
        let threads = vec![
            event(0, (77, 1, 0), (1_000, 2_001)),
            event(1, (77, 2, 1), (1_500, 9_000)),
            event(2, (77, 1, 0), (2_001, 3_000)),
        ];
        let processes =
            vec![event(0, (81, 0, 0), (1_000, 2_000)), event(1, (82, 0, 1), (1_000, 2_000))];
        let futures = vec![
            event(0, (91, 0, 0), (10, 5_000)),
            event(1, (91, 0, 1), (20, 4_000)),
            event(2, (91, 0, 1), (4_000, 4_123)),
        ];
        let cells = vec![
            traced(at, "threads", 3, threads),
            cell("rayon", vec![launch(0, &[1, 2])]),
            traced(at, "processes", 4, processes),
            traced(at, "async:current-thread", 5, futures),
        ];
        (folder, record(cells))
    }

    fn exported(folder: &Path, record: &Record) -> Vec<Value> {
        let mut text = Vec::new();
        perfetto(record, folder, Packing::Plain, &mut text).expect("sound files");
        let document: Value = serde_json::from_slice(&text).expect("one JSON document");
        document["traceEvents"].as_array().expect("the object form has an array").clone()
    }

    fn of<'a>(events: &'a [Value], ph: &str) -> Vec<&'a Value> {
        events.iter().filter(|event| event["ph"] == ph).collect()
    }

    /// A time in nanoseconds: the format has microseconds, as numbers.
    fn ns(event: &Value, field: &str) -> u64 {
        let microseconds = event[field].as_f64();
        (microseconds.unwrap_or_else(|| panic!("{field} in {event}")) * 1000.0).round() as u64
    }

    #[test]
    fn every_event_has_what_the_format_asks_of_its_kind() {
        let (folder, record) = example();
        let events = exported(folder.path(), &record);
        for event in &events {
            assert!(event["name"].is_string() && event["pid"].is_u64(), "{event}");
            assert!(event["tid"].is_u64(), "{event}");
            match event["ph"].as_str().expect("every event has a kind") {
                "M" => {
                    let known = ["process_name", "process_sort_index", "thread_name"];
                    let name = event["name"].as_str().expect("checked");
                    assert!(known.contains(&name) || name == "thread_sort_index", "{event}");
                    assert!(event["args"].is_object(), "{event}");
                }
                "X" => assert!(event["ts"].is_number() && event["dur"].is_number(), "{event}"),
                "b" | "e" => {
                    assert!(event["ts"].is_number() && event["dur"].is_null(), "{event}");
                    assert!(event["id"].is_string() && event["cat"].is_string(), "{event}");
                }
                other => panic!("no event is of kind {other}: {event}"),
            }
        }
        let kinds = ["X", "b", "e"].map(|ph| of(&events, ph).len());
        assert_eq!(kinds, [5, 3, 3], "what overlaps on a thread is a pair");
    }

    #[test]
    fn tasks_on_one_track_do_not_overlap_and_every_track_has_a_name() {
        let (folder, record) = example();
        let events = exported(folder.path(), &record);
        let mut tracks: HashMap<(u64, u64), Vec<(u64, u64)>> = HashMap::new();
        for event in of(&events, "X") {
            let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            let start = ns(event, "ts");
            tracks.entry(track).or_default().push((start, start + ns(event, "dur")));
        }
        assert_eq!(tracks.len(), 4, "two lanes, and one in each of two processes");
        for spans in tracks.values_mut() {
            spans.sort_unstable();
            assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
        }
        let named: HashSet<_> = of(&events, "M")
            .into_iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap()))
            .collect();
        assert_eq!(named, tracks.keys().copied().collect());
        let names = of(&events, "M").into_iter().filter(|e| e["name"] == "process_name");
        let names: Vec<_> = names.map(|e| e["args"]["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "primes limit=1000, threads x 2",
                "primes limit=1000, processes x 2, process 1",
                "primes limit=1000, processes x 2, process 2",
                "primes limit=1000, async:current-thread x 2",
            ]
        );
    }

    #[test]
    fn every_beginning_has_its_end_under_an_id_of_its_own() {
        let (folder, record) = example();
        let events = exported(folder.path(), &record);
        let times = |ph: &str| -> HashMap<String, u64> {
            let of = of(&events, ph).into_iter();
            of.map(|e| (e["id"].as_str().unwrap().to_owned(), ns(e, "ts"))).collect()
        };
        let (begins, ends) = (times("b"), times("e"));
        assert_eq!(begins["5.0.2"], 4_000);
        assert_eq!(ends["5.0.2"], 4_123);
        assert_eq!(begins.len(), 3);
        assert!(begins.iter().all(|(id, begin)| ends[id] >= *begin), "{begins:?} {ends:?}");
    }

    #[test]
    fn the_packed_file_is_the_plain_one() {
        let (folder, record) = example();
        let (mut plain, mut packed) = (Vec::new(), Vec::new());
        let tasks = perfetto(&record, folder.path(), Packing::Plain, &mut plain);
        assert_eq!(tasks, Ok(8));
        perfetto(&record, folder.path(), Packing::Gzip, &mut packed).expect("sound files");
        let mut unpacked = Vec::new();
        GzDecoder::new(&*packed).read_to_end(&mut unpacked).expect("gzip");
        assert_eq!(unpacked, plain);
    }

    #[test]
    fn a_record_without_traces_says_how_to_get_them() {
        let plain = record(vec![cell("threads", vec![launch(0, &[1, 2])])]);
        let error = perfetto(&plain, Path::new("."), Packing::Plain, &mut Vec::new()).unwrap_err();
        assert!(error.contains("run --trace"), "{error}");
    }
}
