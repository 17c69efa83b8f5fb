//! One page that explains itself: claim, doubts, results, failures, limits, method, data.
//!
//! It is made to be trusted: its policy forbids everything but its own style sheet, and to last:
//! it needs no network, no script and no file beside it.

mod closing;
mod frame;
mod granularity;
mod scaling;
mod tables;
mod traced;
mod trust;
mod workload;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use manyhands_record::{Group, Record, groups};
use sha2::{Digest, Sha256};

use crate::Traces;
use crate::escape::Html;
use crate::view;

const PAGE: &str = include_str!("../../../templates/page.html");
const METHOD: &str = include_str!("../../../templates/method.html");
const STYLE: &str = include_str!("../../../assets/report.css");

/// The whole page.
pub(crate) fn page(record: &Record, traces: &Traces) -> String {
    let groups = groups(record);
    let part = |fill: &dyn Fn(&mut Html)| {
        let mut html = Html::new();
        fill(&mut html);
        html
    };
    let claim = crate::granularity::claim_of(record)
        .unwrap_or_else(|| view::headline(record, &groups));
    let page = Html::fill(
        PAGE,
        &[
            ("policy", &part(&|h| _ = h.attribute("content", policy()))),
            ("generator", &part(&|h| _ = h.attribute("content", generator(record)))),
            ("title", &part(&|h| _ = h.text(&claim).text(" · manyhands"))),
            ("style", &part(&|h| _ = h.raw(STYLE))),
            ("claim", &part(&|h| header(h, record, &claim))),
            ("trust", &trust::section(record, &groups)),
            ("contents", &part(&|h| contents(h, record, &groups))),
            ("workloads", &results(record, &groups, traces)),
            ("failures", &closing::failures(&groups)),
            ("limits", &closing::limits(record, &groups)),
            ("method", &part(&|h| _ = h.raw(METHOD))),
            ("data", &closing::data(record)),
            ("footer", &part(&|h| _ = h.element("p", "", generator(record)))),
        ],
    );
    page.into_string()
}

/// What was found: weak scaling, which spans several groups, before the groups.
fn results(record: &Record, groups: &[Group<'_>], traces: &Traces) -> Html {
    let mut html = scaling::weak(record);
    html.add(&match record.header.granularity {
        Some(_) => granularity::sections(record, groups),
        None => workload::sections(record, groups, traces),
    });
    html
}

/// Only the style sheet of this page, known by its hash, may have an effect.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

fn generator(record: &Record) -> String {
    format!(
        "Made by manyhands {} from a record of manyhands {}.",
        env!("CARGO_PKG_VERSION"),
        record.header.version
    )
}

fn header(html: &mut Html, record: &Record, claim: &str) {
    html.element("h1", "", claim);
    html.element("p", "lede", view::setting(record));
}

/// The groups with what was found about each, as links.
fn contents(html: &mut Html, record: &Record, groups: &[Group<'_>]) {
    if groups.len() < 2 || record.header.granularity.is_some() {
        return;
    }
    html.raw("<nav aria-label=\"Workloads\">\n<ul>\n");
    for (n, group) in groups.iter().enumerate() {
        html.raw("<li><a").attribute("href", format_args!("#w{n}")).raw("><bdi>");
        html.text(&group.label).raw("</bdi></a></li>\n");
    }
    html.raw("</ul>\n</nav>\n");
}
