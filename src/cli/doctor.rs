//! `manyhands doctor`: examines the machine and says what speaks against measuring on it.
//!
//! It only looks: each remedy is for the reader to apply.

use std::io::{self, Write};

use manyhands_record::{Doubt, Machine, Severity};
use serde::Serialize;

use crate::measure::clock::{self, ClockFacts};

/// The value of `schema` in the JSON document.
const SCHEMA: &str = "manyhands/doctor/1";

/// Prints the examination to `out`: for people, or as one JSON document
/// `{schema, machine, clock, doubts}`. `colour` is for people only and never the only sign.
///
/// # Errors
/// When `out` cannot be written to.
pub(super) fn run(
    out: &mut dyn Write,
    machine: &Machine,
    doubts: &[Doubt],
    json: bool,
    colour: bool,
) -> io::Result<()> {
    let examination = Examination { schema: SCHEMA, machine, clock: clock::examine(), doubts };
    if json {
        serde_json::to_writer_pretty(&mut *out, &examination)?;
        return writeln!(out);
    }
    examination.print(out, Style { colour })
}

/// What was found, and the JSON document that tells it.
#[derive(Serialize)]
struct Examination<'a> {
    schema: &'static str,
    machine: &'a Machine,
    clock: ClockFacts,
    doubts: &'a [Doubt],
}

impl Examination<'_> {
    fn print(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        writeln!(out, "{}", style.bold("Machine"))?;
        print_rows(out, &machine_rows(self.machine, &self.clock))?;
        if !self.machine.versions.is_empty() {
            writeln!(out, "\n{}", style.bold("Versions"))?;
            let versions: Vec<_> = self.machine.versions.iter().collect();
            print_rows(out, &versions)?;
        }
        writeln!(out, "\n{}", style.bold(&title(self.doubts)))?;
        self.doubts.iter().try_for_each(|doubt| print_doubt(out, doubt, style))
    }
}

fn title(doubts: &[Doubt]) -> String {
    match doubts.len() {
        0 => "No doubts: nothing found that speaks against numbers from this machine".to_owned(),
        1 => "1 doubt about numbers from this machine".to_owned(),
        n => format!("{n} doubts about numbers from this machine"),
    }
}

fn print_rows(
    out: &mut dyn Write,
    rows: &[(impl AsRef<str>, impl std::fmt::Display)],
) -> io::Result<()> {
    let width = rows.iter().map(|(label, _)| label.as_ref().len()).max().unwrap_or(0);
    rows.iter().try_for_each(|(label, value)| writeln!(out, "  {:width$}  {value}", label.as_ref()))
}

/// A symbol and a word say how bad it is; colour only repeats it.
fn print_doubt(out: &mut dyn Write, doubt: &Doubt, style: Style) -> io::Result<()> {
    let (symbol, word) = match doubt.severity {
        Severity::Note => ('i', "note"),
        Severity::Warning => ('!', "warning"),
        Severity::Serious => ('x', "serious"),
    };
    let label = style.severity(&format!("{symbol} {word:7}"), doubt.severity);
    writeln!(out, "  {label}  {}: {}", doubt.code, doubt.finding)?;
    writeln!(out, "             -> {}", doubt.remedy)
}

fn machine_rows(machine: &Machine, clock: &ClockFacts) -> Vec<(&'static str, String)> {
    vec![
        ("system", system(machine)),
        ("processor", known(machine.processor.as_deref())),
        ("cores", cores(machine)),
        ("SMT", known(machine.smt.map(|on| if on { "on" } else { "off" }))),
        ("governor", known(machine.governor.as_deref())),
        ("load", known(machine.load.map(|load| format!("{load:.2} over the last minute")))),
        ("steal", known(machine.steal.map(|s| format!("{:.2} % since boot", s * 100.0)))),
        ("memory", memory(machine)),
        ("open files", limit(machine.open_files, "for each process")),
        ("processes", limit(machine.processes, "with threads, at most")),
        ("clock", clock_text(machine, clock)),
        ("counters", machine.no_counters.clone().unwrap_or_else(|| "of the processor".into())),
        ("virtualization", machine.virtualization.clone().unwrap_or_else(|| "none found".into())),
    ]
}

fn system(machine: &Machine) -> String {
    let kernel = machine.kernel.as_ref().map(|kernel| format!("{} {kernel}", machine.os));
    let parts = [
        machine.distribution.clone(),
        Some(kernel.unwrap_or_else(|| machine.os.clone())),
        Some(machine.architecture.clone()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn cores(machine: &Machine) -> String {
    let physical = known(machine.physical_cores);
    let affinity = known(machine.affinity);
    let quota = match machine.quota {
        Some(quota) => format!("cgroup quota {quota}"),
        None => "no cgroup quota".to_owned(),
    };
    format!(
        "{} usable (physical {physical}, logical {}, affinity {affinity}, {quota})",
        machine.usable_cores, machine.logical_cores
    )
}

fn memory(machine: &Machine) -> String {
    let limit = match machine.memory_limit {
        Some(limit) => format!("cgroup limit {}", gibibytes(limit)),
        None => "no cgroup limit".to_owned(),
    };
    format!("{}, {limit}", known(machine.memory.map(gibibytes)))
}

fn clock_text(machine: &Machine, clock: &ClockFacts) -> String {
    let resolution = clock.resolution_ns.map(|ns| format!("{ns} ns"));
    let resolution = known(resolution);
    format!(
        "{}, resolution {resolution}, {:.0} ns a reading",
        machine.clock_source.as_deref().unwrap_or("source unknown"),
        clock.cost_ns
    )
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

fn limit(limit: Option<u64>, what: &str) -> String {
    limit.map_or_else(|| "no limit".to_owned(), |limit| format!("{limit} {what}"))
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Colour, or none.
#[derive(Clone, Copy)]
struct Style {
    colour: bool,
}

impl Style {
    fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn severity(self, text: &str, severity: Severity) -> String {
        let code = match severity {
            Severity::Note => "36",
            Severity::Warning => "33",
            Severity::Serious => "31",
        };
        self.paint(text, code)
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn machine() -> Machine {
        Machine {
            os: "linux".to_owned(),
            distribution: Some("Debian GNU/Linux 12 (bookworm)".to_owned()),
            kernel: Some("6.1.0".to_owned()),
            architecture: "x86_64".to_owned(),
            processor: Some("AMD EPYC".to_owned()),
            logical_cores: 8,
            physical_cores: Some(4),
            affinity: Some(8),
            quota: Some(2.5),
            usable_cores: 2,
            smt: Some(true),
            memory: Some(16 << 30),
            memory_limit: Some(3 << 29),
            load: Some(0.1),
            steal: Some(0.0123),
            open_files: Some(1024),
            processes: Some(63_000),
            clock_source: Some("tsc".to_owned()),
            no_counters: Some("perf_event_open: this machine has none".to_owned()),
            virtualization: Some("container (docker)".to_owned()),
            versions: BTreeMap::from([
                ("rayon".to_owned(), "1.12.0".to_owned()),
                ("rustc".to_owned(), "1.95.0".to_owned()),
            ]),
            ..Machine::default()
        }
    }

    fn doubts() -> Vec<Doubt> {
        let doubt = |code: &str, severity, finding: &str, remedy: &str| Doubt {
            code: code.to_owned(),
            severity,
            finding: finding.to_owned(),
            remedy: remedy.to_owned(),
        };
        vec![
            doubt("debug-build", Severity::Serious, "it is slow", "build it for release"),
            doubt("open-files", Severity::Warning, "only 1024", "`ulimit -n 65536`"),
            doubt("smt", Severity::Note, "SMT is on", "expect a bend"),
        ]
    }

    const CLOCK: ClockFacts = ClockFacts { resolution_ns: Some(20), cost_ns: 24.6 };

    fn printed(machine: &Machine, doubts: &[Doubt], colour: bool) -> String {
        let mut out = Vec::new();
        let examination = Examination { schema: SCHEMA, machine, clock: CLOCK, doubts };
        examination.print(&mut out, Style { colour }).expect("memory can be written to");
        String::from_utf8(out).expect("it prints text")
    }

    #[test]
    fn an_examination_is_a_table_and_doubts_with_remedies() {
        let expected = "\
Machine
  system          Debian GNU/Linux 12 (bookworm), linux 6.1.0, x86_64
  processor       AMD EPYC
  cores           2 usable (physical 4, logical 8, affinity 8, cgroup quota 2.5)
  SMT             on
  governor        unknown
  load            0.10 over the last minute
  steal           1.23 % since boot
  memory          16.0 GiB, cgroup limit 1.5 GiB
  open files      1024 for each process
  processes       63000 with threads, at most
  clock           tsc, resolution 20 ns, 25 ns a reading
  counters        perf_event_open: this machine has none
  virtualization  container (docker)

Versions
  rayon  1.12.0
  rustc  1.95.0

3 doubts about numbers from this machine
  x serious  debug-build: it is slow
             -> build it for release
  ! warning  open-files: only 1024
             -> `ulimit -n 65536`
  i note     smt: SMT is on
             -> expect a bend
";
        assert_eq!(printed(&machine(), &doubts(), false), expected);
    }

    #[test]
    fn a_machine_that_tells_nothing_is_unknown_rather_than_zero() {
        let silent = Machine { os: "macos".to_owned(), ..Machine::default() };
        let text = printed(&silent, &[], false);
        assert!(text.contains("  steal           unknown\n"), "{text}");
        assert!(text.contains("  memory          unknown, no cgroup limit\n"), "{text}");
        assert!(!text.contains("Versions"), "{text}");
        assert!(text.ends_with("that speaks against numbers from this machine\n"), "{text}");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = printed(&machine(), &doubts(), true);
        assert!(coloured.contains("\x1b[31mx serious\x1b[0m"), "{coloured}");
        let mut plain = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[36m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, printed(&machine(), &doubts(), false));
    }

    #[test]
    fn json_is_one_document_that_reads_back() {
        let mut out = Vec::new();
        run(&mut out, &machine(), &doubts(), true, true).expect("memory can be written to");
        let document: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
        assert_eq!(document["schema"], SCHEMA);
        let read: Machine = serde_json::from_value(document["machine"].clone()).expect("a machine");
        assert_eq!(read, machine());
        let read: Vec<Doubt> = serde_json::from_value(document["doubts"].clone()).expect("doubts");
        assert_eq!(read, doubts());
        assert!(document["clock"]["cost_ns"].is_f64(), "{document}");
    }
}
