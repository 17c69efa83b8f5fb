//! The tables for terminals and pull requests.

mod sample;

use manyhands_record::{FailureKind, Record, Status};
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
         executor       workers  time                  against sequential         CPU    memory\n\
         sequential           1  40.0 ms [39.8, 40.3]  -                      38.8 ms  9.46 MiB\n\
         threads              2  20.0 ms [19.8, 20.1]  2.00x [1.99, 2.02]     38.3 ms  9.94 MiB\n\
         rayon                1  40.1 ms [39.9, 40.3]  tie; 2.2 % would show  38.8 ms  9.31 MiB\n\
         processes:shm        2  failed, process died: worker 1 was ended by signal 9 while it read\n\
         \u{20}                       ~/primes.bin\n"
    );
    assert!(sentence.starts_with("primes: threads"), "{sentence}");
}

#[test]
fn what_stopped_a_run_and_what_stands_out_is_said_below_the_tables() {
    let mut record = small();
    record.header.precision = Some(0.001);
    record.status = Status::OutOfTime { rounds: 6 };
    let said = "The time was up after 6 rounds: 3 of 3 cells are not within 0.1 % yet.";
    for shown in [terminal(&record, Style::default()), markdown(&record)] {
        let shown = shown.replace('\n', " ");
        assert!(shown.contains(said) && shown.contains("; all are kept."), "{shown}");
    }
    record.header.precision = Some(0.5);
    record.status = Status::Precise { rounds: 8 };
    let shown = terminal(&record, Style::default());
    assert!(shown.contains("\nStopped after 8 rounds: every interval is within 50 %."), "{shown}");
}

#[test]
fn the_noise_floor_and_what_ended_a_sweep_are_said_below_the_tables() {
    for record in [small(), sample::sweep()] {
        for shown in [terminal(&record, Style::default()), markdown(&record)] {
            let shown = unwrapped(&shown);
            let floor = shown.rsplit("Noise floor ").next().expect("a last part");
            assert!(floor.ends_with(" %: smaller differences are ties."), "{shown}");
        }
    }
    let mut record = sample::sweep();
    let ended = format!("Rounds: {}, all done.", record.header.rounds);
    assert!(unwrapped(&markdown(&record)).contains(&ended), "{}", markdown(&record));
    record.header.precision = Some(0.5);
    record.status = Status::Precise { rounds: 8 };
    for shown in [terminal(&record, Style::default()), markdown(&record)] {
        assert!(unwrapped(&shown).contains("Stopped after 8 rounds: every interval"), "{shown}");
    }
}

#[test]
fn nobody_wins_an_experiment_or_by_a_rate() {
    let mut record = small();
    record.header.workloads = vec![sample::workload("primes", "overhead", "Counts.")];
    record.header.workloads[0].shape = "probe".to_owned();
    for sample in record.cells.iter_mut().flat_map(|c| &mut c.launches).flat_map(|l| &mut l.samples)
    {
        sample.counters.insert("nanoseconds-per-update".to_owned(), 12.5);
    }
    let mut open = small();
    open.cells.iter_mut().for_each(|cell| cell.id.rate = Some(400));
    for (record, said) in [
        (&record, "Counted, time per update (medians): sequential 12.5 ns, threads 12.5 ns"),
        (&record, "primes: an experiment."),
        (&open, "primes: the wall time is set by the rate at which tasks come"),
    ] {
        for shown in [terminal(record, Style::default()), markdown(record)] {
            let shown = unwrapped(&shown);
            assert!(shown.contains(said), "{said}: {shown}");
            assert!(!shown.contains("fastest") && !shown.contains("2.00x"), "{shown}");
        }
    }
    assert!(markdown(&record).starts_with("**Experiments: primes**"), "{}", markdown(&record));
    assert!(markdown(&open).starts_with("**Latency at a given rate: primes**"));
}

#[test]
fn equal_cells_under_two_labels_say_what_the_machine_can_tell() {
    let mut record = small();
    record.header.aa = true;
    record.cells.truncate(2);
    for (cell, label) in record.cells.iter_mut().zip(["A", "B"]) {
        cell.id = sample::id("primes", "threads", 2);
        cell.id.label = Some(label.to_owned());
    }
    let shown = terminal(&record, Style::default());
    assert!(shown.contains("\nthreads A ") && shown.contains("\nthreads B "), "{shown}");
    let flowing = shown.replace('\n', " ");
    assert!(flowing.contains("1 of 1 pairs was claimed to differ"), "{shown}");
    assert!(markdown(&record).starts_with("**1 of 1 pairs of equal cells"), "{shown}");
}

#[test]
fn nothing_is_wider_than_100_columns() {
    let records = [
        sample::default_run(),
        sample::large_machine(),
        sample::hostile(),
        sample::scaled().0,
        sample::weak(),
        small(),
    ];
    for record in records {
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

/// Wrapped lines as one.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn scaling_and_memory_are_told_below_the_table() {
    let (record, _) = sample::scaled();
    for shown in [unwrapped(&terminal(&record, Style::default())), unwrapped(&markdown(&record))] {
        for said in [
            "threads scales by Amdahl's law with a serial fraction of ",
            "rayon scales by the universal scalability law with a contention of ",
            "async:current-thread has no scaling law: nothing changes with the workers but by noise.",
            "At most 64.0x: 64 cores.",
            "of memory for each worker ",
            "75 % computing",
        ] {
            // Markdown escapes brackets only.
            assert!(shown.contains(said), "{said}: {shown}");
        }
    }
    let shown = unwrapped(&terminal(&sample::weak(), Style::default()));
    assert!(shown.contains("16 workers do 16 times the work (limit=64000000)"), "{shown}");
}

#[test]
fn a_default_run_says_nothing_of_scaling_laws() {
    let record = sample::default_run();
    assert!(!terminal(&record, Style::default()).contains("law"));
    assert!(!markdown(&record).contains("law"));
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
