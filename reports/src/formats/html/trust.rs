//! Can you trust this? The machine, the doubts, and how to do it again.

use manyhands_record::format::{bytes, percent};
use manyhands_record::verdict::COMMAND;
use manyhands_record::{Doubt, Group, Machine, Record, Severity, sentence};

use crate::escape::{Html, redact};
use crate::view;

pub(super) fn section(record: &Record, groups: &[Group<'_>]) -> Html {
    let mut html = Html::new();
    html.raw("<section aria-labelledby=\"trust\">\n<h2 id=\"trust\">Can you trust this?</h2>\n");
    verdict(&mut html, record, groups);
    doubts(&mut html, &record.header.doubts);
    let known: Facts =
        run(record, groups).into_iter().chain(machine(&record.header.machine)).collect();
    facts(&mut html, &known);
    versions(&mut html, record);
    html.element("h3", "", "Do it again");
    html.open("pre", "")
        .raw("<code class=\"command\">")
        .text(command(record))
        .raw("</code>")
        .close("pre");
    html.close("section");
    html
}

/// The short answer.
fn verdict(html: &mut Html, record: &Record, groups: &[Group<'_>]) {
    let worst = record.header.doubts.iter().map(|doubt| doubt.severity).max();
    let answer = match worst {
        Some(Severity::Serious) => {
            "Not as it stands: do not quote these numbers before the following is solved."
        }
        Some(Severity::Warning) => "With care: what follows may make the numbers noisy or limited.",
        _ => "Nothing was found on this machine that speaks against the numbers.",
    };
    html.element("p", "", answer);
    let all = groups.iter().flat_map(|group| &group.cells);
    let failed = all.clone().filter(|cell| cell.failure.is_some()).count();
    let checked = checked(record, groups);
    let checked = match failed {
        0 => format!("{checked}."),
        n => format!("{checked}; {n} of {} cells have no result, and a reason.", all.count()),
    };
    html.element("p", "", checked);
}

/// What was asked of every sample that counts. Of a command nothing is computed in another way.
fn checked(record: &Record, groups: &[Group<'_>]) -> &'static str {
    let commands = groups.iter().any(|group| group.workload == COMMAND);
    let exit_only = |answer: &serde_json::Value| answer.get("exit").is_some();
    match commands {
        false => "Every answer was checked against the sequential one",
        true if record.references.iter().all(|reference| exit_only(&reference.answer)) => {
            "Every run that counts ended with exit code 0; what it printed was not looked at"
        }
        true => {
            "Every run that counts ended with exit code 0 and printed what the reference run had \
             printed"
        }
    }
}

fn doubts(html: &mut Html, doubts: &[Doubt]) {
    if doubts.is_empty() {
        return;
    }
    let mut doubts: Vec<&Doubt> = doubts.iter().collect();
    doubts.sort_by_key(|doubt| std::cmp::Reverse(doubt.severity));
    html.raw("<ul class=\"doubts\">\n");
    for doubt in doubts {
        let (class, word) = match doubt.severity {
            Severity::Note => ("note", "Note"),
            Severity::Warning => ("warning", "Warning"),
            Severity::Serious => ("serious", "Serious"),
        };
        html.open("li", class).raw("<p>").element("span", "severity", format_args!("{word}: "));
        html.text(redact(&doubt.finding)).raw("</p>");
        html.element("p", "muted", redact(&doubt.remedy)).close("li");
    }
    html.close("ul");
}

type Facts = Vec<(&'static str, String)>;

fn facts(html: &mut Html, facts: &Facts) {
    html.raw("<dl class=\"facts\">\n");
    for (name, value) in facts {
        html.raw("<div>").element("dt", "", name).element("dd", "", value).raw("</div>\n");
    }
    html.close("dl");
}

/// What the record knows of the machine; what it does not know is left out.
fn machine(machine: &Machine) -> Facts {
    let mut facts = vec![("Cores to use", cores(machine))];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("Processor", machine.processor.clone());
    add("Memory", machine.memory.map(|size| limited(size, machine.memory_limit)));
    let kernel = machine.kernel.as_deref().unwrap_or_default();
    let system = format!("{} {} {kernel}", machine.os, machine.architecture);
    add("System", Some(system.trim().to_owned()));
    add("Distribution", machine.distribution.clone());
    add("Governor", machine.governor.clone());
    add("Load before the run", machine.load.map(|load| format!("{load:.2}")));
    add("Stolen by the hypervisor", machine.steal.map(percent));
    add("Virtualization", machine.virtualization.clone());
    add("Clock", machine.clock_source.clone());
    facts
}

/// `2 of 16 logical, 8 physical; quota 2`.
fn cores(machine: &Machine) -> String {
    let mut text = format!("{} of {} logical", machine.usable_cores, machine.logical_cores);
    let physical = machine.physical_cores.filter(|n| *n != machine.logical_cores);
    text.extend(physical.map(|n| format!(", {n} physical")));
    let affinity = machine.affinity.filter(|n| *n < machine.logical_cores);
    text.extend(affinity.map(|n| format!("; bound to {n}")));
    text.extend(machine.quota.map(|n| format!("; quota of {n:.1}")));
    text
}

fn limited(size: u64, limit: Option<u64>) -> String {
    match limit {
        Some(limit) if limit < size => {
            format!("{}, limited to {}", bytes(size as f64), bytes(limit as f64))
        }
        _ => bytes(size as f64),
    }
}

fn run(record: &Record, groups: &[Group<'_>]) -> Facts {
    let header = &record.header;
    let floor = match groups.first().and_then(|group| group.floor) {
        Some(floor) => format!("{}; smaller differences are ties", percent(floor - 1.0)),
        None => "unknown: that takes four launches of a cell".to_owned(),
    };
    let cells = groups.iter().flat_map(|group| &group.cells);
    let outliers = sentence::outliers(cells).map(|text| text.replacen("outliers: ", "", 1));
    let mut facts = vec![("Noise floor of this run", floor), ("Rounds", view::rounds(record))];
    facts.extend(outliers.map(|outliers| ("Outliers", outliers)));
    facts.push(("Started", view::date(&header.started)));
    facts
}

fn versions(html: &mut Html, record: &Record) {
    let mut all = vec![format!("manyhands {}", record.header.version)];
    let versions = &record.header.machine.versions;
    let others = versions.iter().filter(|(name, _)| *name != "manyhands");
    all.extend(others.map(|(name, version)| format!("{name} {version}")));
    html.element("p", "small muted", format_args!("Versions: {}.", all.join(", ")));
}

/// The command with its seed, as a shell takes it.
fn command(record: &Record) -> String {
    let header = &record.header;
    let mut words = vec!["manyhands".to_owned()];
    words.extend(header.command.iter().map(|word| quoted(&redact(word))));
    if !header.command.iter().any(|word| word == "--seed" || word.starts_with("--seed=")) {
        words.push(format!("--seed {}", header.seed));
    }
    words.join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:/@%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_quoted_as_a_shell_needs_it() {
        for (word, shown) in
            [("--rounds=10", "--rounds=10"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(super::quoted(word), shown);
        }
    }
}
