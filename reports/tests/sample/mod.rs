//! Records as a real run makes them, for every test of this crate.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;

use manyhands_record::schema::SCHEMA;
use manyhands_record::trace::Event;
use manyhands_record::{
    Bound, Card, Cell, CellId, Chunk, Doubt, ExecutorText, Failure, FailureKind, Header, Histogram,
    Launch, Machine, Memory, Mode, Record, Sample, Severity, Shares, Status, Trace, WorkloadText,
};

pub(crate) const EXECUTORS: [(&str, &str, &str); 8] = [
    ("sequential", "a plain loop", "threads"),
    ("threads", "a fixed pool fed through a bounded channel", "threads"),
    ("threads:static", "equal slices under thread::scope", "threads"),
    ("processes", "worker processes over socket pairs", "processes"),
    ("processes:shm", "worker processes on shared memory", "processes"),
    ("rayon", "the rayon pool", "threads"),
    ("async", "a tokio task per chunk", "futures"),
    ("async:current-thread", "one tokio thread", "futures"),
];

/// Noise that is the same every time: from -1 to 1.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// A run as `manyhands run` makes it by default: three workloads, 45 cells, ten rounds.
pub(crate) fn default_run() -> Record {
    let mut cells = Vec::new();
    let mut noise = Noise::new(7);
    for workload in ["primes", "fetch", "spawn"] {
        for (executor, ..) in EXECUTORS {
            let counts: &[u32] = if executor == "sequential" { &[1] } else { &[1, 2] };
            for &workers in counts {
                cells.push(default_cell(workload, executor, workers, &mut noise));
            }
        }
    }
    Record { header: header(), status: Status::Complete, references: vec![], cells }
}

fn default_cell(workload: &str, executor: &str, workers: u32, noise: &mut Noise) -> Cell {
    let id = id(workload, executor, workers);
    match (workload, executor) {
        ("spawn", "processes:shm") => failed(
            id,
            FailureKind::Unsupported,
            "processes:shm cannot run the shape probe: it has no form for `spawn`",
        ),
        ("fetch", "processes") if workers == 2 => failed(
            id,
            FailureKind::TimedOut,
            "no answer within 10 s while waiting for worker 2 (see /home/ann/runs/cell-31.log)",
        ),
        _ => {
            let wall = wall(workload, executor, workers);
            let mut cell = measured(id, wall, 10, 12, 0.02, noise);
            if workload == "fetch" {
                let reason = "the server's capacity: 4 at a time".to_owned();
                cell.bound = Some(Bound { floor_ns: 48_000_000, reason });
            }
            cell
        }
    }
}

/// Nanoseconds that a cell takes in this invented world.
fn wall(workload: &str, executor: &str, workers: u32) -> f64 {
    let workers = f64::from(workers);
    match (workload, executor) {
        ("primes", "sequential") => 41e6,
        ("primes", "threads:static") => 41.2e6 / workers.powf(0.82),
        ("primes", "processes") => 42e6 / workers.powf(0.9) + 1.2e6,
        ("primes", "processes:shm") => 41.4e6 / workers.powf(0.97),
        ("primes", "async:current-thread") => 41.9e6,
        ("primes", _) => 41.3e6 / workers.powf(0.98),
        ("fetch", "sequential") => 200e6,
        ("fetch", _) => 202e6 / workers + 1e6,
        ("spawn", "sequential") => 40e3,
        ("spawn", "processes") => 9e6 / workers,
        ("spawn", "threads") => 900e3 / workers,
        ("spawn", "rayon") => 61e3,
        _ => 180e3 / workers,
    }
}

pub(crate) fn id(workload: &str, executor: &str, workers: u32) -> CellId {
    CellId {
        workload: workload.to_owned(),
        version: 1,
        parameters: BTreeMap::from([
            ("limit".to_owned(), "4000000".to_owned()),
            ("segments".to_owned(), "256".to_owned()),
        ]),
        input: None,
        executor: executor.to_owned(),
        workers,
        chunk: Chunk::Auto,
        label: None,
        rate: None,
    }
}

/// A cell with launches in time mode and three in memory mode.
pub(crate) fn measured(
    id: CellId,
    wall: f64,
    launches: u32,
    samples: u32,
    spread: f64,
    noise: &mut Noise,
) -> Cell {
    let mut all: Vec<Launch> = (0..launches)
        .map(|round| {
            let mood = 1.0 + spread * noise.next();
            let walls: Vec<u64> = (0..=samples)
                .map(|n| {
                    let cold = if n == 0 { 1.3 } else { 1.0 };
                    (wall * mood * cold * (1.0 + spread / 4.0 * noise.next())) as u64
                })
                .collect();
            launch(&id, round, &walls)
        })
        .collect();
    all.extend((0..3).map(|round| memory(&id, round, noise)));
    Cell { id, bound: None, launches: all }
}

pub(crate) fn launch(id: &CellId, round: u32, walls: &[u64]) -> Launch {
    let sample = |wall: &u64| Sample {
        wall_ns: *wall,
        user_ns: Some(wall * 95 / 100 * u64::from(id.workers)),
        system_ns: Some(wall / 50),
        voluntary: Some(12),
        involuntary: Some(3),
        ..Sample::default()
    };
    Launch {
        mode: Mode::Time,
        round,
        sequence: round,
        began_ns: 1_000_000 * u64::from(round),
        prepare_ns: Some(2_100_000),
        startup_ns: Some(320_000),
        teardown_ns: Some(110_000),
        samples: walls.iter().map(sample).collect(),
        card: Some(card(id)),
        ..Launch::default()
    }
}

fn memory(id: &CellId, round: u32, noise: &mut Noise) -> Launch {
    let mib = |n: f64| (n * 1_048_576.0) as u64;
    let processes = if id.executor.starts_with("processes") { id.workers } else { 0 };
    let peak = 9.0 + 7.5 * f64::from(processes) + 0.4 * f64::from(id.workers) + 0.2 * noise.next();
    let memory = Memory {
        before: Some(mib(6.5)),
        peak: Some(mib(peak)),
        shared: Some(mib(3.0)),
        high_water: vec![mib(peak)],
        kernel_stacks: Some(16_384 * u64::from(id.workers)),
        readings: 40,
        gap_ns: Some(6_200_000),
        processes: processes + 1,
        threads: id.workers + 1,
        ..Memory::default()
    };
    Launch { mode: Mode::Memory, memory: Some(memory), ..launch(id, round, &[41_000_000]) }
}

fn card(id: &CellId) -> Card {
    Card {
        construct: "std::thread pool fed through a bounded channel".to_owned(),
        library: "crossbeam-channel 0.5.15".to_owned(),
        threads: id.workers,
        processes: 1,
        tasks: 256,
        chunk: 16,
        transport: "shared memory".to_owned(),
        notes: BTreeMap::from([("kernel".to_owned(), "segmented sieve".to_owned())]),
    }
}

pub(crate) fn failed(id: CellId, kind: FailureKind, reason: &str) -> Cell {
    let log =
        (kind == FailureKind::TimedOut).then(|| "worker 2: connecting\nworker 2: …".to_owned());
    let failure = Failure { kind, reason: reason.to_owned(), log };
    let launch = Launch { failure: Some(failure), card: None, ..launch(&id, 0, &[]) };
    Cell { id, bound: None, launches: vec![launch] }
}

pub(crate) fn workload(name: &str, kind: &str, about: &str) -> WorkloadText {
    WorkloadText {
        name: name.to_owned(),
        version: 1,
        kind: kind.to_owned(),
        shape: "map".to_owned(),
        summary: format!("the workload {name}"),
        about: about.to_owned(),
        task: "a range of 15,625 numbers".to_owned(),
        simulated: name == "fetch",
    }
}

pub(crate) fn header() -> Header {
    Header {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started: "2026-01-31T12:00:00Z".to_owned(),
        command: ["run", "primes", "fetch", "spawn", "--input", "/home/ann/data/primes.bin"]
            .map(str::to_owned)
            .to_vec(),
        seed: 12_345_678_901_234_567_890,
        rounds: 10,
        samples: 12,
        budget_ns: Some(60_000_000_000),
        precision: None,
        weak: None,
        granularity: None,
        aa: false,
        machine: machine(),
        doubts: vec![
            Doubt {
                code: "load".to_owned(),
                severity: Severity::Note,
                finding: "The load average was 0.41 when the run began.".to_owned(),
                remedy: "Close what else is running.".to_owned(),
            },
            Doubt {
                code: "few-cores".to_owned(),
                severity: Severity::Warning,
                finding: "Only 2 cores may be used, so scaling beyond 2 workers cannot be seen."
                    .to_owned(),
                remedy:
                    "Run on a machine with 4 cores or more, or raise the container's CPU quota."
                        .to_owned(),
            },
        ],
        workloads: vec![
            workload(
                "primes",
                "cpu",
                "Counts the primes below a limit with a segmented sieve. It stands for work that only computes: every task needs the same time, shares nothing and waits for nothing, so what an executor loses here is its own overhead.",
            ),
            workload(
                "fetch",
                "io",
                "Asks a server for pages that it delivers after a pause. It stands for work that waits: the processor is idle most of the time, and who can wait for many things at once wins.",
            ),
            workload(
                "spawn",
                "overhead",
                "Hands out tasks that do nothing. It stands for the price of a task: what remains is what the executor itself costs.",
            ),
        ],
        executors: EXECUTORS
            .map(|(name, summary, workers)| ExecutorText {
                name: name.to_owned(),
                summary: summary.to_owned(),
                workers: workers.to_owned(),
            })
            .to_vec(),
    }
}

fn machine() -> Machine {
    Machine {
        os: "linux".to_owned(),
        distribution: Some("Debian GNU/Linux 12".to_owned()),
        kernel: Some("6.1.0-18-amd64".to_owned()),
        architecture: "x86_64".to_owned(),
        processor: Some("AMD Ryzen 7 5800X".to_owned()),
        logical_cores: 16,
        physical_cores: Some(8),
        affinity: Some(16),
        quota: Some(2.0),
        usable_cores: 2,
        smt: Some(true),
        governor: Some("powersave".to_owned()),
        memory: Some(34_359_738_368),
        memory_limit: Some(4_294_967_296),
        load: Some(0.41),
        steal: Some(0.002),
        open_files: Some(1024),
        processes: Some(4096),
        clock_source: Some("tsc".to_owned()),
        no_counters: Some("this machine has no hardware counters".to_owned()),
        virtualization: Some("docker".to_owned()),
        versions: BTreeMap::from(
            [("rustc", "1.90.0"), ("rayon", "1.12.0"), ("tokio", "1.48.0")]
                .map(|(name, version)| (name.to_owned(), version.to_owned())),
        ),
    }
}

/// A machine with sixteen cores, one workload, workers in powers of two, eleven executors.
pub(crate) fn large_machine() -> Record {
    let mut header = header();
    header.machine.usable_cores = 16;
    header.machine.quota = None;
    header.doubts.clear();
    header.workloads.truncate(1);
    let more = ["threads:spawn", "processes:fork", "async:pull"];
    let names: Vec<&str> = EXECUTORS.iter().map(|(name, ..)| *name).chain(more).collect();
    let mut noise = Noise::new(3);
    let mut cells = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let counts: &[u32] = if *name == "sequential" { &[1] } else { &[1, 2, 4, 8, 16] };
        for &workers in counts {
            let power = if name.contains("current") { 0.0 } else { 1.0 - 0.03 * n as f64 };
            let wall = 400e6 / f64::from(workers).powf(power);
            cells.push(measured(id("primes", name, workers), wall, 8, 3, 0.03, &mut noise));
        }
    }
    Record { header, status: Status::Complete, references: vec![], cells }
}

/// One workload on a machine with 64 cores, of executors whose laws are known, each traced, with
/// the memory split and everything counted; and the traces' events.
pub(crate) fn scaled() -> (Record, BTreeMap<u32, Vec<Event>>) {
    let mut header = header();
    header.machine.usable_cores = 64;
    header.machine.quota = None;
    header.machine.no_counters = Some("the kernel forbids them".to_owned());
    header.doubts.clear();
    header.workloads.truncate(1);
    let mut noise = Noise::new(9);
    let mut cells = vec![measured(id("primes", "sequential", 1), 400e6, 8, 3, 0.02, &mut noise)];
    // Serial fraction, coherence, bytes per worker, of them private.
    let laws = [
        ("threads", 0.1, 0.0, 80e3, 70e3),
        ("rayon", 0.03, 0.002, 90e3, 80e3),
        ("processes", 0.02, 0.0, 9e6, 6e6),
        ("async:current-thread", 1.0, 0.0, 1e3, 1e3),
    ];
    let mut traces = BTreeMap::new();
    for (executor, contention, coherence, bytes, private) in laws {
        for workers in [1_u32, 2, 4, 8, 16, 32] {
            let n = f64::from(workers);
            let law = n / (1.0 + contention * (n - 1.0) + coherence * n * (n - 1.0));
            let id = id("primes", executor, workers);
            let mut cell = measured(id, 404e6 / law, 8, 3, 0.02, &mut noise);
            for launch in &mut cell.launches {
                if let Some(memory) = &mut launch.memory {
                    let peak = 9e6 + n * bytes * (1.0 + 0.01 * noise.next());
                    let own = 5e6 + n * private;
                    memory.empty = Some(2_000_000);
                    (memory.peak, memory.private) = (Some(peak as u64), Some(own as u64));
                    memory.shared = Some((peak - own) as u64);
                }
                for sample in &mut launch.samples {
                    sample.migrations = Some(u64::from(workers));
                    sample.counters.insert("megasteps-per-second".to_owned(), 812.5 * law);
                }
            }
            let sequence = 1_000 + cells.len() as u32;
            let (trace, events) = traced(420e6 / law, workers, &mut noise);
            let samples = launch(&cell.id, 0, &[(420e6 / law) as u64]).samples;
            let mode = Mode::Trace;
            cell.launches.push(Launch {
                mode,
                sequence,
                samples,
                trace: Some(trace),
                ..Launch::default()
            });
            traces.insert(sequence, events);
            cells.push(cell);
        }
    }
    (Record { header, status: Status::Complete, references: vec![], cells }, traces)
}

/// 256 tasks on as many lanes as workers, dealt in turn.
fn traced(wall: f64, lanes: u32, noise: &mut Noise) -> (Trace, Vec<Event>) {
    let mut free = vec![0.02 * wall; lanes as usize];
    let task = 0.9 * wall * f64::from(lanes) / 256.0;
    let mut events = Vec::new();
    let mut latencies = Vec::new();
    for n in 0..256_u64 {
        let lane = n as usize % lanes as usize;
        let (start, length) = (free[lane], task * (1.0 + 0.2 * noise.next()));
        let end = (start + length).min(wall);
        free[lane] = end + 0.01 * task;
        latencies.push(length as u64);
        events.push(Event {
            task: n,
            process: lane as u32 / 4,
            lane: lane as u32 % 4,
            start_ns: start as u64,
            end_ns: end as u64,
            queued_ns: start as u64,
            ..Event::default()
        });
    }
    latencies.sort_unstable();
    let latency = Histogram { buckets: latencies.into_iter().map(|ns| (ns, 1)).collect() };
    let wall_ns = wall as u64;
    let part = |share: f64| (share * wall) as u64;
    let mut shares = Shares {
        lanes,
        wall_ns,
        computing_ns: part(0.75),
        waiting_ns: part(0.13),
        dispatch_ns: part(0.05),
        imbalance_ns: part(0.04),
        idle_ns: part(0.02),
        residual_ns: 0,
    };
    let sum = shares.computing_ns
        + shares.waiting_ns
        + shares.dispatch_ns
        + shares.imbalance_ns
        + shares.idle_ns;
    shares.residual_ns = wall_ns as i64 - sum as i64;
    let file = Some("traces/0001.ndjson.gz".to_owned());
    let queue = latency.clone();
    (Trace { file, tasks: 256, kept: 256, latency, queue, shares }, events)
}

/// Work that grows with the workers: `limit` is 4,000,000 for each.
pub(crate) fn weak() -> Record {
    let mut header = header();
    header.weak = Some("limit".to_owned());
    header.machine.usable_cores = 16;
    header.workloads.truncate(1);
    let mut noise = Noise::new(4);
    let mut cells = Vec::new();
    for (executor, loss) in [("threads", 0.01), ("rayon", 0.02), ("processes", 0.05)] {
        for workers in [1_u32, 2, 4, 8, 16] {
            let mut id = id("primes", executor, workers);
            id.parameters.insert("limit".to_owned(), (4_000_000 * workers).to_string());
            let wall = 40e6 * (1.0 + loss * f64::from(workers - 1));
            cells.push(measured(id, wall, 8, 3, 0.02, &mut noise));
        }
    }
    Record { header, status: Status::Complete, references: vec![], cells }
}

/// Sixty executors with names that were not made for a page, and every sort of failure.
pub(crate) fn hostile() -> Record {
    let mut header = header();
    let evil = "<script>alert(1)</script>\"'&--></script><!--";
    let long = "x".repeat(300);
    let odd = [
        evil,
        "مرحبا بالعالم",
        "並列処理ワークロード並列処理ワークロード",
        &long,
        "\u{202e}evil\u{0}\u{1b}[31m",
        "",
    ];
    header.command = odd.map(str::to_owned).to_vec();
    header.machine.processor = Some(evil.to_owned());
    header.machine.versions.insert(evil.to_owned(), evil.to_owned());
    header.machine.quota = Some(f64::INFINITY);
    header.machine.load = Some(f64::NAN);
    for doubt in &mut header.doubts {
        doubt.finding = evil.to_owned();
        doubt.remedy = long.clone();
    }
    header.workloads = odd.map(|name| workload(name, evil, evil)).to_vec();
    header.executors.clear();
    let mut noise = Noise::new(1);
    let mut cells = Vec::new();
    for n in 0..60 {
        let name = format!("{}{n}", odd[n % odd.len()]);
        let spread = if n % 7 == 0 { 0.9 } else { 0.02 };
        let launches = (n % 9) as u32;
        let wall = 10f64.powi(n as i32 % 11);
        let mut cell =
            measured(id(evil, &name, n as u32), wall, launches, n as u32 % 3, spread, &mut noise);
        cell.id.parameters.insert(evil.to_owned(), long.clone());
        cell.id.chunk = if n % 5 == 0 { Chunk::Tasks(u64::MAX) } else { Chunk::Auto };
        cell.bound = (n % 10 == 0).then(|| Bound { floor_ns: n as u64, reason: evil.to_owned() });
        cells.push(cell);
    }
    use FailureKind::*;
    let kinds = [Unsupported, Input, Error, Panic, Died, TimedOut, WrongAnswer, Protocol];
    for (n, kind) in kinds.into_iter().enumerate() {
        let mut cell = failed(id(odd[n % odd.len()], evil, 2), kind, &format!("{evil} {long}"));
        if let Some(failure) = &mut cell.launches[0].failure {
            failure.log = Some(format!("{evil}\u{1b}[2J\n{long}"));
        }
        cells.push(cell);
    }
    Record { header, status: Status::Interrupted { rounds: 1 }, references: vec![], cells }
}

/// A run that swept the length of a task under four executors and could not under a fifth.
pub(crate) fn sweep() -> Record {
    let mut header = header();
    header.granularity = Some("steps".to_owned());
    header.machine.usable_cores = 2;
    header.workloads = vec![workload("spin", "overhead", "Each task multiplies and adds.")];
    let mut noise = Noise::new(13);
    let mut cells = Vec::new();
    for steps in [0, 8, 64, 256, 512, 724, 1024, 1448, 8192, 92682, 185364_u64] {
        for (executor, workers, cost) in [
            ("sequential", 1, 2.0),
            ("threads", 2, 700.0),
            ("processes", 2, 1_100.0),
            ("async:current-thread", 2, 300_000.0),
        ] {
            let tasks = 1_000.0;
            let granularity = cost + 1.25 * steps as f64;
            let wall = granularity * tasks / f64::from(workers);
            let id = swept(id("spin", executor, workers), steps, tasks as u64);
            cells.push(measured(id, wall, 6, 2, 0.02, &mut noise));
        }
    }
    let id = swept(id("spin", "processes:shm", 2), 8192, 1_000);
    cells.push(failed(id, FailureKind::Died, "worker 1 was ended by signal 9 in /home/ann"));
    Record { header, status: Status::Complete, references: vec![], cells }
}

fn swept(id: CellId, steps: u64, tasks: u64) -> CellId {
    let parameters = [("steps", steps), ("tasks", tasks)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_string())).into();
    CellId { parameters, chunk: Chunk::Tasks(1), ..id }
}
