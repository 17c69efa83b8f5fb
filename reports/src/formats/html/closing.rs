//! What failed, what the report cannot show, and the data.

use manyhands_record::{Failure, Group, Mode, Record};

use crate::escape::{Html, redact};
use crate::view;

/// A record that is longer stands beside the page instead of in it.
const EMBEDDED: usize = 1_000_000;

/// Every cell without a result, with its reason and the end of its log.
pub(super) fn failures(groups: &[Group<'_>]) -> Html {
    let mut html = Html::new();
    let failed = || {
        groups.iter().flat_map(|group| {
            group.cells.iter().filter_map(move |cell| Some((group, cell, cell.failure?)))
        })
    };
    if failed().next().is_none() {
        return html;
    }
    html.raw(
        "<section aria-labelledby=\"failures\">\n<h2 id=\"failures\">What has no result</h2>\n",
    );
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"What has no result\">\n<table>\n<thead><tr>");
    for name in ["workload", "cell", "what happened", "reason"] {
        html.raw("<th scope=\"col\">").text(name).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (group, cell, failure) in failed() {
        html.raw("<tr><th scope=\"row\" class=\"name\"><bdi>")
            .text(&group.label)
            .raw("</bdi></th>");
        html.raw("<td class=\"name\"><bdi>").text(&cell.label).raw("</bdi></td>");
        html.element("td", "", view::gap(failure).kind);
        reason(&mut html, failure);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n</div>\n</section>\n");
    html
}

fn reason(html: &mut Html, failure: &Failure) {
    html.open("td", "why").text(redact(&failure.reason));
    if let Some(log) = &failure.log {
        html.raw("<details><summary>The end of its log</summary>");
        html.open("pre", "log").text(redact(log)).raw("</pre></details>");
    }
    html.raw("</td>");
}

/// What a reader might conclude and should not.
pub(super) fn limits(record: &Record, groups: &[Group<'_>]) -> Html {
    let mut html = Html::new();
    html.raw("<section aria-labelledby=\"limits\">\n<h2 id=\"limits\">What this does not show</h2>\n<ul>\n");
    for limit in all_limits(record, groups) {
        html.element("li", "", limit);
    }
    html.raw("</ul>\n</section>\n");
    html
}

fn all_limits(record: &Record, groups: &[Group<'_>]) -> Vec<String> {
    let cores = record.header.machine.usable_cores;
    let kinds = |kind: &str| groups.iter().any(|g| g.text.is_some_and(|text| text.kind == kind));
    let mut limits = vec![
        format!("Another machine. With more than {} the order of the executors may well be another.", view::cores(cores)),
        "Another size of task. The cost of handing out work is the same for a small task and for a large one; who wins depends on the ratio.".to_owned(),
    ];
    if !record.cells.iter().any(|cell| cell.sound_launches(Mode::Trace).next().is_some()) {
        limits.push(
            "How long single tasks wait. Times are of the whole work, not of its slowest task."
                .to_owned(),
        );
    }
    if groups.iter().any(|g| g.text.is_some_and(|text| text.simulated)) {
        limits.push("Real waiting, where it is simulated: a timer does not get slower under load as a disk or a server does.".to_owned());
    }
    if kinds("io") || kinds("mixed") {
        limits.push(
            "A network. Servers run on the same machine and share its cores with what is measured."
                .to_owned(),
        );
    }
    if record.cells.iter().any(|cell| cell.sound_launches(Mode::Memory).next().is_some()) {
        limits.push("Memory peaks that are shorter than the time between two readings.".to_owned());
    }
    limits.push(
        "That two executors are equal. A tie says that this run could not tell them apart."
            .to_owned(),
    );
    limits
}

/// The record itself, if it is not too long.
pub(super) fn data(record: &Record) -> Html {
    let mut html = Html::new();
    html.raw("<section aria-labelledby=\"data\">\n<h2 id=\"data\">The data</h2>\n");
    let value = serde_json::to_value(record).map(redacted);
    let mut json = Html::new();
    // A record serialises: its keys are strings, and its numbers are checked when it is read.
    let embedded = value.is_ok_and(|value| json.json(&value).is_ok()) && json.len() <= EMBEDDED;
    if embedded {
        html.raw("<p>The whole record, every raw sample included, is in the source of this page, in the element <code>record</code>.</p>\n");
        html.raw("<script type=\"application/json\" id=\"record\">").add(&json).raw("</script>\n");
    } else {
        html.raw("<p>Every raw sample is in <code>record.json</code>, in the folder where this page was made: it is too long to be part of it.</p>\n");
    }
    html.close("section");
    html
}

/// The value with every text in it redacted.
fn redacted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(redact(&text)),
        Value::Array(values) => values.into_iter().map(redacted).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, redacted(value))).collect()
        }
        other => other,
    }
}
