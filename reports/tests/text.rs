//! The tables for terminals and pull requests.

mod sample;

use manyhands_record::{FailureKind, Record};
use manyhands_reports::{Style, markdown, terminal};
use unicode_width::UnicodeWidthStr;

/// Four cells without noise, so that whole outputs can be compared.
fn small() -> Record {
    let mut record = sample::default_run();
    record.header.workloads.truncate(1);
    let mut noise = sample::Noise::new(5);
    let mut measured = |executor: &str, workers, wall| {
        sample::measured(sample::id("primes", executor, workers), wall, 6, 1, 0.01, &mut noise)
    };
    record.cells = vec![
        measured("sequential", 1, 40e6),
        measured("threads", 2, 20e6),
        measured("rayon", 1, 40e6),
        sample::failed(
            sample::id("primes", "processes:shm", 2),
            FailureKind::Died,
            "worker 1 was ended by signal 9 while it read /home/ann/primes.bin",
        ),
    ];
    record
}

#[test]
fn the_terminal_shows_every_cell_and_then_what_it_comes_to() {
    let shown = terminal(&small(), Style::default());
    let (table, sentence) =
        shown.split_at(shown.find("\nprimes: ").expect("a sentence follows") + 1);
    assert_eq!(
        table,
        "primes\n\
         executor       workers  time                  against sequential      CPU    memory\n\
         sequential           1  40.0 ms [39.8, 40.3]  -                   38.8 ms  9.46 MiB\n\
         threads              2  20.0 ms [19.8, 20.1]  2.00x [1.99, 2.02]  38.3 ms  9.94 MiB\n\
         rayon                1  40.1 ms [39.9, 40.3]  tie                 38.8 ms  9.31 MiB\n\
         processes:shm        2  failed, process died: worker 1 was ended by signal 9 while it read\n\
         \u{20}                       ~/primes.bin\n"
    );
    assert!(sentence.starts_with("primes: threads"), "{sentence}");
}

#[test]
fn nothing_is_wider_than_100_columns() {
    for record in [sample::default_run(), sample::large_machine(), sample::hostile(), small()] {
        for line in terminal(&record, Style::default()).lines() {
            assert!(line.width() <= 100, "{} columns: {line}", line.width());
            assert!(!line.contains('\u{1b}'), "{line}");
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (plain, color) = (Style::default(), Style { color: true });
    for record in [sample::default_run(), sample::hostile()] {
        let mut stripped = terminal(&record, color);
        for code in ["1", "2", "31", "32", "33", "0"] {
            stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(stripped, terminal(&record, plain));
    }
}

#[test]
fn markdown_has_a_row_for_each_cell() {
    for record in [sample::default_run(), sample::hostile()] {
        let document = markdown(&record);
        // Head and ruler of a table for each heading.
        let tables = document.lines().filter(|line| line.starts_with("### ")).count();
        let rows = document.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(rows - tables, record.cells.len());
        assert!(!document.contains("<script") && !document.contains("/home/ann"));
    }
}

#[test]
fn a_sweep_is_a_row_for_each_executor_whatever_it_came_to() {
    let shown = terminal(&sample::sweep(), Style::default());
    let (table, notes) = shown.split_at(shown.find("\nBest rate").expect("notes follow") + 1);
    assert_eq!(
        table,
        "spin: granularity, by steps\n\
         executor              cost per task         METG(50 %)            at 1 us  at 10 us  at 100 us\n\
         sequential            2.02 ns [2.01, 2.03]  below 12.0 ns          99.5 %     100 %     99.3 %\n\
         threads               702 ns [697, 707]     1.39 us [1.36, 1.42]   58.7 %    93.7 %     99.4 %\n\
         processes             1.11 us [1.09, 1.12]  2.22 us [2.16, 2.28]   47.5 %    90.6 %     98.7 %\n\
         async:current-thread  300 us [298, 301]     above 532 us            0.3 %     3.2 %     25.1 %\n\
         processes:shm         failed, process died: worker 1 was ended by signal 9 in ~\n"
    );
    assert!(notes.contains("async:current-thread: efficiency never reaches half"), "{notes}");
    assert!(shown.lines().all(|line| line.width() <= 100), "{shown}");
    let document = markdown(&sample::sweep());
    assert_eq!(document.lines().filter(|line| line.starts_with("| ")).count(), 6, "{document}");
    assert!(!document.contains("/home/ann"));
}
