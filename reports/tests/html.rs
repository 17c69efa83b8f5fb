//! The page, as a whole: well-formed, self-contained, safe, small.

mod sample;

use manyhands_record::{Mode, Record};
use manyhands_reports::{Traces, html, html_with_traces};

/// Writes the page where a person can look at it, and parses it as strictly as XML allows.
fn page(record: &Record, name: &str) -> String {
    page_with(record, &Traces::new(), name)
}

fn page_with(record: &Record, traces: &Traces, name: &str) -> String {
    let page = html_with_traces(record, traces).expect("the page is not too large");
    let path = format!("{}/{name}.html", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, &page).expect("the test's directory is writable");
    check(&page, &path);
    page
}

fn check(page: &str, path: &str) {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(page, options)
        .unwrap_or_else(|error| panic!("{path} is not well-formed: {error}"));
    let mut ids = std::collections::HashSet::new();
    let mut level = 0;
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(
                !["style", "src", "srcset", "action", "data", "poster"].contains(&key),
                "{key}"
            );
            assert!(!key.starts_with("on"), "{key}");
            assert!(key != "href" || value.starts_with('#'), "{value}");
            assert!(key != "id" || ids.insert(value.to_owned()), "the id {value} twice");
        }
        let plain = name != "script" || node.attribute("type") == Some("application/json");
        assert!(plain, "a script that runs");
        assert!(
            !["iframe", "object", "embed", "link", "img", "base", "form"].contains(&name),
            "{name}"
        );
        if let Some(found) = name.strip_prefix('h').and_then(|n| n.parse::<u32>().ok()) {
            assert!(found <= level + 1, "h{found} follows h{level}");
            level = found;
        }
    }
    for node in document.descendants() {
        let references =
            ["aria-labelledby", "href"].into_iter().filter_map(|key| node.attribute(key));
        for id in references.flat_map(str::split_whitespace) {
            assert!(ids.contains(id.trim_start_matches('#')), "nothing has the id {id}");
        }
    }
}

#[test]
fn a_default_run_makes_a_small_page_with_three_charts_for_each_workload() {
    let record = sample::default_run();
    assert_eq!(record.cells.len(), 45);
    let page = page(&record, "default");
    assert_eq!(page.matches("role=\"img\"").count(), 9);
    assert!(page.len() <= 1_572_864, "{} bytes", page.len());
    assert!(!page.contains("/home/ann"), "a home directory is shown");
}

#[test]
fn the_policy_comes_first_and_knows_the_style_sheet() {
    use base64::Engine;
    use sha2::Digest;
    let page = page(&sample::default_run(), "policy");
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let digest = sha2::Sha256::digest(style.expect("there is a style sheet").0.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest);
    let policy = format!(
        "<head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; \
         style-src &#39;sha256-{hash}&#39;; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;\"/>"
    );
    assert!(page.contains(&policy), "{}", &page[..600]);
}

#[test]
fn many_workers_make_a_page() {
    page(&sample::large_machine(), "large");
}

#[test]
fn scaling_memory_and_traces_are_drawn_where_they_were_measured() {
    let (record, traces) = sample::scaled();
    let page = page_with(&record, &traces, "scaled");
    for shown in [
        "Scaling laws",
        "extrapolated",
        "none: nothing changes with the workers but by noise",
        "universal",
        "Memory by the worker",
        "start-up and dispatch",
        "Closed loop",
        "99.9 %",
        "processes, 32 workers: its lanes were busy ",
        "4 of 24 traced cells are drawn",
        "megasteps-per-second",
        "migrations",
        "Hardware counters are absent: the kernel forbids them.",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    // Time, speed-up, memory, shares, and four timelines.
    assert_eq!(page.matches("role=\"img\"").count(), 8);
    let longest = page.split("<svg").skip(1).map(|svg| svg.find("</svg>").unwrap_or(0)).max();
    assert!(longest.is_some_and(|length| length <= 80_000), "{longest:?}");
    // Without the events the timelines are left out, and nothing else.
    assert_eq!(html(&record).expect("small").matches("role=\"img\"").count(), 4);
}

#[test]
fn work_that_grows_with_the_workers_has_a_section_of_its_own() {
    let page = page(&sample::weak(), "weak");
    for shown in ["work that grows with the workers", "scaled speed-up", "threads keeps 8"] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn a_page_of_commands_claims_no_sequential_answer_and_variance_has_its_place() {
    let mut record = sample::default_run();
    record.cells.truncate(4);
    let checked = "checked against the sequential one";
    let first = page(&record, "answers");
    assert!(first.contains(checked) && first.contains("variance between launches"));
    record.cells.iter_mut().for_each(|cell| cell.id.workload = "command".to_owned());
    let second = page(&record, "commands");
    assert!(
        !second.contains(checked) && second.contains("ended with exit code 0; what it printed")
    );
}

#[test]
fn hostile_names_are_text_and_every_failure_is_shown() {
    let page = page(&sample::hostile(), "hostile");
    assert!(!page.contains("<script>alert"));
    for kind in [
        "unsupported",
        "bad input",
        "task error",
        "panic",
        "process died",
        "timed out",
        "wrong answer",
        "protocol error",
    ] {
        assert!(page.contains(kind), "{kind}");
    }
}

#[test]
fn little_data_makes_a_page_too() {
    let full = sample::large_machine();
    let with = |cells: &[usize], launches: usize| {
        let mut record = full.clone();
        record.cells = cells.iter().map(|n| full.cells[*n].clone()).collect();
        for cell in &mut record.cells {
            cell.launches.truncate(launches);
        }
        record
    };
    page(&with(&[], 0), "no-cells");
    page(&with(&[0], 0), "no-launches");
    page(&with(&[0], 1), "one-executor");
    page(&with(&[0, 1, 2], 1), "one-launch");
    page(&with(&[3], 8), "no-baseline");
}

#[test]
fn a_page_that_no_browser_likes_is_refused_with_advice() {
    let mut record = sample::large_machine();
    let cells = std::mem::take(&mut record.cells);
    for n in 0..200 {
        record.cells.extend(cells.iter().cloned().map(|mut cell| {
            cell.id.parameters.insert("limit".to_owned(), n.to_string());
            cell.launches.truncate(2);
            cell
        }));
    }
    let start = std::time::Instant::now();
    let error = html(&record).expect_err("10,200 cells are too many").to_string();
    println!("{} cells in {:?}", record.cells.len(), start.elapsed());
    assert!(error.contains("report fewer workloads"), "{error}");
}

#[test]
fn a_long_record_stands_beside_the_page() {
    let mut record = sample::large_machine();
    for cell in &mut record.cells {
        for launch in cell.launches.iter_mut().filter(|launch| launch.mode == Mode::Time) {
            launch.samples = vec![launch.samples[0].clone(); 200];
        }
    }
    let page = page(&record, "long");
    assert!(page.contains("record.json") && !page.contains("application/json"));
}

#[test]
fn a_sweep_over_the_length_of_a_task_is_one_section_with_one_chart() {
    let page = page(&sample::sweep(), "granularity");
    assert_eq!(page.matches("role=\"img\"").count(), 1);
    assert!(page.contains("spin</bdi>: granularity</h2>"), "the section");
    assert!(page.contains("The cells behind it"), "the single lengths, folded away");
    assert!(page.contains("METG is above the longest task measured"), "a reason for no number");
    assert!(page.contains("failed, process died: worker 1"), "a row for what failed");
    assert!(!page.contains("/home/ann") && page.len() <= 1_572_864, "{} bytes", page.len());
}
