//! `csv`: CSV files, aggregated by group.

mod fault;
mod generated;
mod groups;
mod number;
mod quotes;
mod row;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use manyhands_contract::{
    Context, Definition, InputError, Kind, Map, Parameter, ParameterKind, Parameters, Preset,
    Shape, Step, TaskError, Workload,
};
use serde::{Deserialize, Serialize};

use self::fault::Fault;
pub use self::groups::Groups;
use self::quotes::{Passage, State};
use self::row::{Rows, Window};
use self::table::{Table, Wanted};
use crate::blocks;
use crate::corpus::Corpus;

static DEFINITION: Definition = Definition {
    name: "csv",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "CSV files, a column aggregated by a group column",
    about: "What a dataframe does when it ingests files in partitions: cut each file into ranges \
            of bytes, parse the ranges side by side, add up what they found. The catch is in the \
            cut: whether a newline ends a record depends on the quotes before it, so a first, \
            quick phase follows the quotes through every range from each state that it might \
            begin in, and only then can the rows be read. (Files of one range need no first \
            phase.) Both phases are independent tasks over the same bytes; the barrier between \
            them and the small merge at the end are all that is serial. What comes back is a \
            few dozen groups per chunk, so processes pay little; one core parses about as fast \
            as a good disk reads, so on many cores memory bandwidth or the disk is the limit.",
    task: "one range of bytes of one file: first its quotes, then the rows that begin in it",
    answer: "groups: for each group key count, sum, mean, min and max of the column; rows. Empty \
             cells are in rows but not in count; with invalid=skip also invalid: how many cells \
             were no numbers",
    input: Some(
        "CSV files, or folders with .csv and .tsv files in them; each with a header row; \
         generated: sales-FFF.csv with order, date, region, quantity, amount, note",
    ),
    parameters: &[
        Parameter {
            name: "rows",
            about: "how many rows are generated, over all files",
            unit: "rows",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000_000 },
            default: "3e6",
        },
        Parameter {
            name: "files",
            about: "how many files are generated",
            unit: "files",
            kind: ParameterKind::Integer { min: 1, max: 10_000 },
            default: "4",
        },
        Parameter {
            name: "range",
            about: "how much of a file is one task; a record belongs to the range it begins in",
            unit: "bytes",
            kind: ParameterKind::Integer { min: 1, max: 1 << 30 },
            default: "256KiB",
        },
        Parameter {
            name: "group",
            about: "the column whose values, as written, are the groups",
            unit: "",
            kind: ParameterKind::Text,
            default: "region",
        },
        Parameter {
            name: "column",
            about: "the column that is aggregated",
            unit: "",
            kind: ParameterKind::Text,
            default: "amount",
        },
        Parameter {
            name: "delimiter",
            about: "what separates fields: comma, tab, semicolon, pipe or any ASCII character; \
                    auto takes, per file, the one of the four under which the header has both \
                    columns",
            unit: "",
            kind: ParameterKind::Text,
            default: "auto",
        },
        Parameter {
            name: "invalid",
            about: "what a cell that is neither empty nor a number is: an error, or counted in \
                    rows and invalid and otherwise skipped",
            unit: "",
            kind: ParameterKind::Choice(&["error", "skip"]),
            default: "error",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("rows", "300_000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("rows", "3e7")] },
    ],
    grows: Some("rows"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// `csv`, ready to run.
#[derive(Debug)]
pub struct Csv {
    corpus: Corpus,
    tables: Vec<Table>,
    /// The number of each file's first task, and of all tasks.
    first_tasks: Vec<usize>,
    range: u64,
    wanted: Wanted,
    skip_invalid: bool,
}

/// What is being found out: at first where quotes begin and end, then, with the state at the start
/// of each range (a byte for every range), what the rows hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    states: Option<Vec<State>>,
}

/// What a chunk of either phase found out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Partial {
    passages: Vec<Passage>,
    groups: Groups,
}

/// A worker's memory, and the file that it read last: ranges of a file follow each other.
#[derive(Debug, Default)]
pub struct Scratch {
    file: Option<(usize, File)>,
    buffer: Vec<u8>,
    field: Vec<u8>,
}

impl Csv {
    /// How many tasks there are, in either phase.
    fn ranges(&self) -> usize {
        *self.first_tasks.last().expect("it ends with the number of all tasks")
    }

    /// Whether no file has more than one range: then every range begins outside quotes.
    fn whole_files(&self) -> bool {
        self.first_tasks.windows(2).all(|pair| pair[1] - pair[0] <= 1)
    }

    /// The file of a task, and its range of bytes in it.
    fn range(&self, task: usize) -> (usize, Range<u64>) {
        let file = self.first_tasks.partition_point(|first| *first <= task) - 1;
        let table = &self.tables[file];
        let start = table.body + (task - self.first_tasks[file]) as u64 * self.range;
        (file, start..table.size.min(start + self.range))
    }

    fn work(
        &self,
        scratch: &mut Scratch,
        phase: &Phase,
        task: usize,
        into: &mut Partial,
    ) -> Result<(), TaskError> {
        let (number, range) = self.range(task);
        let table = &self.tables[number];
        let file = match &mut scratch.file {
            Some((open, file)) if *open == number => file,
            slot => &mut slot.insert((number, self.corpus.open(number)?)).1,
        };
        let length = (range.end - range.start) as usize;
        let Some(states) = &phase.states else {
            let window = Window::open(file, &mut scratch.buffer, &range, 0, table.size);
            let window = window.map_err(|fault| self.explain(fault, number))?;
            // Whole blocks were read; what is beyond the range belongs to the next.
            let bytes = &window.bytes()[..length];
            into.passages.push(Passage::through(bytes, window.before(), table.delimiter));
            return Ok(());
        };
        let state = states.get(task).copied().unwrap_or(State::Outside);
        Window::open(file, &mut scratch.buffer, &range, row::MARGIN, table.size)
            .and_then(|window| {
                let skip_invalid = self.skip_invalid;
                let scratch = &mut scratch.field;
                Rows { table, window, length, skip_invalid, scratch }.fold(state, &mut into.groups)
            })
            .map_err(|fault| self.explain(fault, number))
    }

    fn explain(&self, fault: Fault, file: usize) -> TaskError {
        fault.explain(&self.corpus.path(file), &self.wanted.column, &self.wanted.group)
    }

    /// The state at the start of every range: each file begins outside quotes.
    fn states(&self, passages: &[Passage]) -> Vec<State> {
        let mut states = Vec::with_capacity(passages.len());
        for tasks in self.first_tasks.windows(2) {
            let mut state = State::Outside;
            for passage in &passages[tasks[0]..tasks[1]] {
                states.push(state);
                state = passage.from(state);
            }
        }
        states
    }
}

impl Map for Csv {
    type Phase = Phase;
    type Local = Scratch;
    type Partial = Partial;

    fn local(&self) -> Result<Scratch, TaskError> {
        Ok(Scratch::default())
    }

    fn first(&self) -> Phase {
        Phase { states: self.whole_files().then(Vec::new) }
    }

    fn tasks(&self, _phase: &Phase) -> usize {
        self.ranges()
    }

    fn empty(&self, _phase: &Phase) -> Partial {
        Partial::default()
    }

    fn run(
        &self,
        local: &mut Scratch,
        phase: &Phase,
        task: usize,
        into: &mut Partial,
    ) -> Result<(), TaskError> {
        self.work(local, phase, task, into)
    }

    fn merge(&self, left: &mut Partial, right: Partial) {
        left.passages.extend(right.passages);
        left.groups.merge(right.groups);
    }

    fn next(&self, phase: Phase, merged: Partial) -> Result<Step<Phase>, TaskError> {
        Ok(match phase.states {
            None => Step::Continue(Phase { states: Some(self.states(&merged.passages)) }),
            Some(_) => Step::Done(merged.groups.answer(self.skip_invalid)?),
        })
    }
}

impl Workload for Csv {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn generate(parameters: &Parameters, seed: u64, folder: &Path) -> Result<(), InputError> {
        generated::sales(folder, parameters.integer("files"), parameters.integer("rows"), seed)
    }

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let parameters = context.parameters;
        let wanted = Wanted {
            group: parameters.text("group").to_owned(),
            column: parameters.text("column").to_owned(),
            delimiter: table::delimiter(parameters.text("delimiter"))?,
        };
        let corpus = Corpus::of_kind(context.input, ".csv or .tsv files", is_table)?;
        let tables: Vec<_> = (0..corpus.len())
            .map(|file| Table::open(&corpus.path(file), &wanted))
            .collect::<Result<_, _>>()?;
        let range = parameters.integer("range");
        let mut first_tasks = vec![0];
        for table in &tables {
            let ranges = (table.size - table.body).div_ceil(range);
            let before = first_tasks[first_tasks.len() - 1];
            first_tasks.push(before + usize::try_from(ranges).map_err(InputError::new)?);
        }
        let skip_invalid = parameters.text("invalid") == "skip";
        Ok(Self { corpus, tables, first_tasks, range, wanted, skip_invalid })
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![("kernel", blocks::NAME.to_owned()), ("table", "hashbrown".to_owned())]
    }
}

/// Whether a folder's file is taken: by its name alone.
fn is_table(name: &[u8]) -> bool {
    let ending = name.len().saturating_sub(4);
    [&b".csv"[..], b".tsv"].iter().any(|known| name[ending..].eq_ignore_ascii_case(known))
}
