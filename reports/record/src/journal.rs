//! The journal: what a record grows in.
//!
//! One JSON object per line, appended and synced after each launch, so that whatever ends a run
//! (a signal, a full disk, a power cut) costs at most the launch that was being measured. A line
//! that was torn while it was written can only be the last one: it is dropped with a note.
//! Damage before it means that the file was changed by someone else, and that is an error.
//!
//! ```text
//! {"line":"start","header":{...},"cells":[{"workload":"primes",...,"bound":null},...]}
//! {"line":"reference","workload":"primes",...,"answer":{...}}
//! {"line":"launch","cell":0,"launch":{...}}
//! {"line":"resume","time":"2026-01-31T12:05:00Z","again":[3],"notes":["..."]}
//! {"line":"end","status":{"state":"complete"}}
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::schema::SCHEMA;
use crate::{
    Bound, Cell, CellId, Doubt, Header, Launch, Mode, Record, RecordError, Reference, Severity,
    Status,
};

/// The journal's name in the folder of its run.
pub const FILE_NAME: &str = "journal.ndjson";

/// A line of the journal. Cells are named by their place in the plan, from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "line")]
pub enum Line {
    /// The first line, and only that: the run and its plan.
    Start {
        /// What is run, where, when.
        header: Box<Header>,
        /// The cells in the order of the plan.
        cells: Vec<Planned>,
    },
    /// A reference answer. A later one for the same work takes the place of an earlier one.
    Reference(Reference),
    /// A launch took place, or failed.
    Launch {
        /// Which cell.
        cell: usize,
        /// What was measured.
        launch: Box<Launch>,
    },
    /// The run goes on after it was interrupted.
    Resume {
        /// When, UTC, RFC 3339.
        time: String,
        /// Cells that are measured again from their first launch: all earlier ones are dropped.
        again: Vec<usize>,
        /// Why, and whatever else a reader should know: a line each.
        notes: Vec<String>,
    },
    /// The run is over, or was interrupted in an orderly way.
    End {
        /// How it ended.
        status: Status,
    },
}

/// A cell that is to be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Which cell.
    #[serde(flatten)]
    pub id: CellId,
    /// A limit on speed that no executor can beat here.
    pub bound: Option<Bound>,
}

impl Line {
    /// The line's text, with the newline that makes it complete.
    pub fn encode(&self) -> String {
        let text = serde_json::to_string(self);
        text.expect("a line's keys are strings, and no part of it refuses to be written") + "\n"
    }
}

/// The last line was torn while it was written, and is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its number, from 1.
    pub line: usize,
    /// The length of everything before it, in bytes: the journal must be cut to this before a
    /// line is appended, or the new line would continue the torn one.
    pub keep: usize,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{FILE_NAME} line {} was not written to its end and is left out; a resumed run \
             measures it again",
            self.line
        )
    }
}

/// Why a journal cannot be used. Each is one line that ends in what to do.
#[derive(Debug)]
pub enum JournalError {
    /// A line before the last cannot be read.
    Damaged {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no complete first line.
    Empty,
    /// It is of another version of the schema.
    Schema(RecordError),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { line: 1, reason } => {
                write!(f, "{FILE_NAME} line 1 is damaged: {reason}; start a new run")
            }
            Self::Damaged { line, reason } => write!(
                f,
                "{FILE_NAME} line {line} is damaged: {reason}; delete from that line on, or \
                 start a new run"
            ),
            Self::Empty => write!(f, "{FILE_NAME} holds nothing yet; start a new run"),
            Self::Schema(source) => write!(f, "{FILE_NAME}: {source}"),
        }
    }
}

// The messages hold their causes already, so there is no source() that would say them twice.
impl Error for JournalError {}

/// Reads a journal: its lines, and a note if the last was torn.
///
/// Takes bytes as well as text, because a torn line may end inside a character.
///
/// # Errors
/// If a line before the last is damaged.
pub fn read(journal: impl AsRef<[u8]>) -> Result<(Vec<Line>, Option<Note>), JournalError> {
    let journal = journal.as_ref();
    let mut lines = Vec::new();
    let mut keep = 0;
    for piece in journal.split_inclusive(|&byte| byte == b'\n') {
        let number = lines.len() + 1;
        let last = keep + piece.len() == journal.len();
        // A line that parses but lacks its newline was not written to its end either: what
        // follows might have belonged to it.
        match parse(piece) {
            Ok(line) if piece.ends_with(b"\n") => lines.push(line),
            _ if last => return Ok((lines, Some(Note { line: number, keep }))),
            Ok(_) => unreachable!("only the last piece can lack its newline"),
            Err(reason) => return Err(JournalError::Damaged { line: number, reason }),
        }
        keep += piece.len();
    }
    Ok((lines, None))
}

/// A line, or what is wrong with it, in one line.
fn parse(piece: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(piece).map_err(|error| {
        // serde_json adds where: "... at line 1 column 7", of which the line is always 1.
        error.to_string().replace(" at line 1 column ", " at column ")
    })
}

/// Rebuilds the record from all lines of a journal.
///
/// Without an `end` as its last word the status is `Interrupted`. Each resumption is a doubt in
/// the header, because the machine may have changed meanwhile.
///
/// # Errors
/// If there is no first line, it is of another schema, or lines contradict each other: a second
/// start, a cell that is not planned.
pub fn record(lines: &[Line]) -> Result<Record, JournalError> {
    let (first, rest) = lines.split_first().ok_or(JournalError::Empty)?;
    let mut growing = Growing::new(first)?;
    for (number, line) in (2..).zip(rest) {
        growing.add(line).map_err(|reason| JournalError::Damaged { line: number, reason })?;
    }
    Ok(growing.finish())
}

/// The rounds that every cell finished in time mode. Cells that failed are not waited for.
pub fn complete_rounds(cells: &[Cell]) -> u32 {
    let sound = cells.iter().filter(|cell| cell.failure().is_none());
    sound.map(rounds_of).min().unwrap_or(0)
}

/// How many rounds, counted from 0 without a gap, a cell has.
fn rounds_of(cell: &Cell) -> u32 {
    let rounds: BTreeSet<u32> = cell.sound_launches(Mode::Time).map(|l| l.round).collect();
    (0..).zip(rounds).take_while(|(expected, round)| expected == round).count() as u32
}

/// A record while lines are added to it.
struct Growing {
    header: Header,
    references: Vec<Reference>,
    cells: Vec<Cell>,
    status: Option<Status>,
}

impl Growing {
    fn new(first: &Line) -> Result<Self, JournalError> {
        let Line::Start { header, cells } = first else {
            let reason = "the first line must be a start".to_owned();
            return Err(JournalError::Damaged { line: 1, reason });
        };
        if header.schema != SCHEMA {
            let found = Some(header.schema.clone());
            return Err(JournalError::Schema(RecordError::Schema { found }));
        }
        let cell = |planned: &Planned| Cell {
            id: planned.id.clone(),
            bound: planned.bound.clone(),
            launches: Vec::new(),
        };
        Ok(Self {
            header: Header::clone(header),
            references: Vec::new(),
            cells: cells.iter().map(cell).collect(),
            status: None,
        })
    }

    /// Adds a line, or says what is wrong with it.
    fn add(&mut self, line: &Line) -> Result<(), String> {
        match line {
            Line::Start { .. } => return Err("a second start".to_owned()),
            Line::Reference(reference) => self.refer(reference),
            Line::Launch { cell, launch } => {
                self.cell(*cell)?.launches.push(Launch::clone(launch));
                // Whatever ended before it, the run went on.
                self.status = None;
            }
            Line::Resume { time, again, notes } => {
                for &cell in again {
                    self.cell(cell)?.launches.clear();
                }
                self.header.doubts.push(resumed(time, notes));
                self.status = None;
            }
            Line::End { status } => self.status = Some(status.clone()),
        }
        Ok(())
    }

    fn refer(&mut self, reference: &Reference) {
        let same = |other: &Reference| {
            other.workload == reference.workload
                && other.parameters == reference.parameters
                && other.input == reference.input
        };
        self.references.retain(|other| !same(other));
        self.references.push(reference.clone());
    }

    fn cell(&mut self, place: usize) -> Result<&mut Cell, String> {
        let planned = self.cells.len();
        let unknown = || format!("it names cell {place}, and {planned} are planned, from 0");
        self.cells.get_mut(place).ok_or_else(unknown)
    }

    fn finish(self) -> Record {
        let rounds = complete_rounds(&self.cells);
        Record {
            header: self.header,
            status: self.status.unwrap_or(Status::Interrupted { rounds }),
            references: self.references,
            cells: self.cells,
        }
    }
}

fn resumed(time: &str, notes: &[String]) -> Doubt {
    let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
    Doubt {
        code: "resumed".to_owned(),
        severity: Severity::Note,
        finding: format!("the run was interrupted, and resumed at {time}{notes}"),
        remedy: "run it in one go if small differences matter".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fixture::{cell, failed, header, launch, memory};

    fn start() -> Line {
        let planned = |name| Planned { id: cell(name, vec![]).id, bound: None };
        let bound = Some(Bound { floor_ns: 7, reason: "the server".to_owned() });
        let second = Planned { bound, ..planned("threads") };
        Line::Start { header: Box::new(header()), cells: vec![planned("sequential"), second] }
    }

    fn launched(cell: usize, round: u32) -> Line {
        Line::Launch { cell, launch: Box::new(launch(round, &[u64::MAX, 5])) }
    }

    fn reference(answer: u64) -> Line {
        Line::Reference(Reference {
            workload: "primes".to_owned(),
            parameters: BTreeMap::new(),
            input: None,
            answer: serde_json::json!({ "count": answer }),
        })
    }

    fn end(status: Status) -> Line {
        Line::End { status }
    }

    fn resume(again: Vec<usize>) -> Line {
        let time = "2026-01-31T12:05:00Z".to_owned();
        Line::Resume { time, again, notes: vec!["the input changed".to_owned()] }
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(Line::encode).collect()
    }

    #[test]
    fn every_kind_of_line_is_read_as_it_was_written() {
        let lines = vec![
            start(),
            reference(168),
            launched(0, 0),
            Line::Launch { cell: 1, launch: Box::new(memory(1, 2)) },
            Line::Launch { cell: 1, launch: Box::new(failed(0)) },
            resume(vec![1]),
            end(Status::OutOfTime { rounds: 3 }),
        ];
        let text = text(&lines);
        assert_eq!(text.matches('\n').count(), lines.len());
        let (read, note) = read(&text).unwrap();
        assert_eq!((read, note), (lines, None));
    }

    #[test]
    fn a_record_is_rebuilt_in_the_order_of_the_plan() {
        let lines = [
            start(),
            reference(1),
            launched(1, 0),
            launched(0, 0),
            reference(2),
            end(Status::Complete),
        ];
        let record = record(&lines).unwrap();
        assert_eq!(record.header, header());
        assert_eq!(record.status, Status::Complete);
        assert_eq!(record.references.len(), 1);
        assert_eq!(record.references[0].answer["count"], 2);
        let found: Vec<_> =
            record.cells.iter().map(|c| (c.id.executor.as_str(), c.launches.len())).collect();
        assert_eq!(found, [("sequential", 1), ("threads", 1)]);
        assert_eq!(record.cells[1].bound.as_ref().unwrap().floor_ns, 7);
    }

    #[test]
    fn a_journal_cut_anywhere_loses_only_what_was_being_written() {
        let mut header = header();
        header.machine.distribution = Some("Größe µ".to_owned());
        let Line::Start { cells, .. } = start() else { unreachable!("start() is one") };
        let lines =
            [Line::Start { header: Box::new(header), cells }, launched(0, 0), launched(1, 0)];
        let text = text(&lines);
        let whole: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        for cut in 0..=text.len() {
            let complete = whole.iter().filter(|&&end| end <= cut).count();
            let (found, note) = read(&text.as_bytes()[..cut]).unwrap();
            assert_eq!(found, lines[..complete], "cut at {cut}");
            let keep = if complete == 0 { 0 } else { whole[complete - 1] };
            let torn = (keep < cut).then_some(Note { line: complete + 1, keep });
            assert_eq!(note, torn, "cut at {cut}");
        }
    }

    #[test]
    fn a_last_line_of_rubbish_is_dropped_even_with_its_newline() {
        let good = text(&[start(), launched(0, 0)]);
        let (lines, note) = read(format!("{good}\0\0\0\0\n")).unwrap();
        assert_eq!((lines.len(), note.clone()), (2, Some(Note { line: 3, keep: good.len() })));
        let expected = "journal.ndjson line 3 was not written to its end and is left out; a \
                        resumed run measures it again";
        assert_eq!(note.unwrap().to_string(), expected);
    }

    #[test]
    fn damage_before_the_last_line_is_an_error_with_its_number_and_a_remedy() {
        for rubbish in ["{\"line\":\"launch\",\"cell\":", "", "[]", "{\"line\":\"dance\"}"] {
            let text = format!("{}{rubbish}\n{}", start().encode(), launched(0, 0).encode());
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("journal.ndjson line 2 is damaged: "), "{error}");
            assert!(error.ends_with("; delete from that line on, or start a new run"), "{error}");
            assert!(!error.contains('\n'));
        }
    }

    fn error(lines: &[Line]) -> String {
        record(lines).unwrap_err().to_string()
    }

    #[test]
    fn lines_that_contradict_each_other_are_errors() {
        assert_eq!(error(&[]), "journal.ndjson holds nothing yet; start a new run");
        assert_eq!(
            error(&[launched(0, 0)]),
            "journal.ndjson line 1 is damaged: the first line must be a start; start a new run"
        );
        assert!(error(&[start(), start()]).contains("line 2 is damaged: a second start;"));
        let unknown = "line 3 is damaged: it names cell 2, and 2 are planned, from 0;";
        assert!(error(&[start(), launched(0, 0), launched(2, 0)]).contains(unknown));
        assert!(error(&[start(), resume(vec![9])]).contains("it names cell 9"));
    }

    #[test]
    fn a_journal_of_another_schema_is_refused() {
        let Line::Start { mut header, cells } = start() else { unreachable!("start() is one") };
        header.schema = "manyhands/record/2".to_owned();
        let error = error(&[Line::Start { header, cells }]);
        assert!(error.contains("\"manyhands/record/2\", and this program reads"), "{error}");
    }

    #[test]
    fn without_an_end_the_record_is_interrupted_after_its_complete_rounds() {
        let lines = [
            start(),
            launched(0, 0),
            launched(1, 0),
            launched(0, 1),
            launched(1, 1),
            launched(0, 2),
        ];
        let status = |lines: &[Line]| record(lines).unwrap().status;
        assert_eq!(status(&lines), Status::Interrupted { rounds: 2 });
        assert_eq!(status(&lines[..2]), Status::Interrupted { rounds: 0 });
    }

    #[test]
    fn failed_cells_do_not_hold_up_the_count_of_complete_rounds() {
        let cells = [
            cell("threads", vec![launch(0, &[1]), launch(1, &[1])]),
            cell("rayon", vec![failed(0)]),
        ];
        assert_eq!(complete_rounds(&cells), 2);
        assert_eq!(complete_rounds(&cells[1..]), 0);
        assert_eq!(complete_rounds(&[cell("threads", vec![launch(0, &[1]), launch(2, &[1])])]), 1);
    }

    #[test]
    fn cells_measured_again_lose_their_earlier_launches_and_the_others_keep_theirs() {
        let lines = [
            start(),
            launched(0, 0),
            launched(1, 0),
            end(Status::Interrupted { rounds: 1 }),
            resume(vec![1]),
            launched(1, 7),
        ];
        let record = record(&lines).unwrap();
        let rounds = |cell: usize| -> Vec<u32> {
            record.cells[cell].launches.iter().map(|launch| launch.round).collect()
        };
        assert_eq!((rounds(0), rounds(1)), (vec![0], vec![7]));
        assert_eq!(record.status, Status::Interrupted { rounds: 0 });
        let doubt = &record.header.doubts[0];
        assert_eq!(doubt.code, "resumed");
        let expected = "the run was interrupted, and resumed at 2026-01-31T12:05:00Z; the input \
                        changed";
        assert_eq!(doubt.finding, expected);
    }
}
