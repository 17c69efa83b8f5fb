//! What a waiting future or thread weighs, measured without manyhands: a plain program that
//! starts so many, reads its own resident set before and after, and divides. To hold against
//! `manyhands run idle`.
//!
//! ```text
//! cargo run --release --example idle_independent -- futures 100000
//! cargo run --release --example idle_independent -- sleeping 100000
//! cargo run --release --example idle_independent -- threads 10000
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|text| text.parse().ok());
    let (before, after, count) = match (what.as_str(), count) {
        ("futures", Some(count)) => futures(count),
        ("sleeping", Some(count)) => sleeping(count),
        ("threads", Some(count)) => threads(count),
        _ => {
            eprintln!("usage: idle_independent futures|sleeping|threads COUNT");
            std::process::exit(2);
        }
    };
    let each = (after - before) as f64 / count as f64;
    println!("{count} {what}: {each:.1} bytes each (RSS {before} before, {after} after)");
}

/// `VmRSS` of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a VmRSS");
    let kib = line.trim().strip_suffix("kB").expect("in kB").trim();
    kib.parse::<u64>().expect("a number") * 1024
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Until nothing changes any more: all have been polled and wait.
fn settled() -> u64 {
    loop {
        let before = resident();
        std::thread::sleep(Duration::from_millis(300));
        if resident() == before {
            return before;
        }
    }
}

/// Tasks of tokio that wait for a notification.
fn futures(count: usize) -> (u64, u64, usize) {
    let (runtime, event) = (runtime(), Arc::new(Notify::new()));
    let before = resident();
    for _ in 0..count {
        let event = Arc::clone(&event);
        runtime.spawn(async move { event.notified().await });
    }
    let after = settled();
    event.notify_waiters();
    (before, after, count)
}

/// Tasks of tokio that wait for a timer.
fn sleeping(count: usize) -> (u64, u64, usize) {
    let runtime = runtime();
    let before = resident();
    for _ in 0..count {
        // Made within the task: a timer needs the runtime around it.
        runtime.spawn(async { tokio::time::sleep(Duration::from_secs(3600)).await });
    }
    let after = settled();
    runtime.shutdown_background();
    (before, after, count)
}

/// Threads that are parked.
fn threads(count: usize) -> (u64, u64, usize) {
    let before = resident();
    let threads: Vec<_> = (0..count).map(|_| std::thread::spawn(std::thread::park)).collect();
    let after = settled();
    for thread in threads {
        thread.thread().unpark();
        thread.join().expect("it only waited");
    }
    (before, after, count)
}
