//! Memory of the process tree: against a reading that is not ours, and apart by who holds it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{manyhands, record, run_in};
use manyhands_record::{Memory, Mode, Record};

const MIB: u64 = 1 << 20;

fn memory_of<'a>(record: &'a Record, executor: &str) -> &'a Memory {
    let cell = record.cells.iter().find(|cell| cell.id.executor.starts_with(executor));
    let cell = cell.unwrap_or_else(|| panic!("no cell of {executor}"));
    let launch = cell.sound_launches(Mode::Memory).next();
    launch.and_then(|launch| launch.memory.as_ref()).expect("a launch that watched memory")
}

#[test]
fn only_processes_of_their_own_have_copies_of_their_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // 32 MiB of positions.
    let work = "portfolios=32768,assets=128,days=5";
    let executors = "processes,processes:fork,processes:shm";
    let arguments =
        ["run", "risk", "-p", work, "-e", executors, "-w", "2", "--rounds", "1", "--out", "out"];
    run_in(folder.path(), &manyhands(), &arguments).expect(0);
    let record = record(&folder.path().join("out"));
    let workers = |executor: &str| {
        let memory = memory_of(&record, executor);
        memory.peak.expect("read") - memory.before.expect("read")
    };
    let (spawn, fork, shm) =
        (workers("processes"), workers("processes:fork"), workers("processes:shm"));
    // Two workers, 32 MiB each; the others share what the first process has.
    assert!(spawn >= 2 * 32 * MIB, "spawned workers hold {spawn} bytes");
    assert!(fork < 16 * MIB && shm < 24 * MIB, "forked {fork} bytes, shared {shm}");
    let private = |executor: &str| memory_of(&record, executor).private.expect("read");
    assert!(private("processes") > private("processes:fork") + 2 * 32 * MIB);
    assert!(private("processes") > private("processes:shm") + 2 * 32 * MIB);
}

/// A memory control group of our own, where one can be made.
struct Cgroup {
    folder: PathBuf,
    peak: &'static str,
}

impl Cgroup {
    fn make() -> Option<Self> {
        let name = format!("manyhands-test-{}", std::process::id());
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let below = |root: &str, path: &str| Path::new(root).join(path.trim_start_matches('/'));
        let candidates = own.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            match (parts.next()?, parts.next()?) {
                ("memory", path) => {
                    Some((below("/sys/fs/cgroup/memory", path), "memory.max_usage_in_bytes"))
                }
                ("", path) => Some((below("/sys/fs/cgroup", path), "memory.peak")),
                _ => None,
            }
        });
        candidates.into_iter().find_map(|(parent, peak)| {
            let folder = parent.join(&name);
            fs::create_dir(&folder).ok()?;
            let group = Self { folder, peak };
            // Version 2 may give a group without the memory controller.
            group.folder.join(group.peak).exists().then_some(group)
        })
    }

    fn peak(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(self.peak)).expect("a group has a peak");
        text.trim().parse().expect("a number of bytes")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn the_peak_agrees_with_that_of_a_control_group() {
    let Some(group) = Cgroup::make() else {
        // Only who may write below /sys/fs/cgroup can ask.
        eprintln!("skipped: no memory control group can be made here");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Anonymous memory that stays for many readings, in a process below the command's own.
    let command =
        "sh -c 'python3 -c \"import time; x = b\\\"x\\\" * (192 << 20); time.sleep(0.3)\" ; true'";
    let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.folder.display());
    let status = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(manyhands())
        .args(["run", "--command", command, "--rounds", "1", "--out", "out"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("sh starts");
    assert!(status.success(), "{status}");
    let ours = memory_of(&record(&folder.path().join("out")), "sh").peak.expect("read");
    let theirs = group.peak();
    // The group also counts the harness and page tables; files that were in the cache before (the
    // interpreter's) are charged to whoever read them first, and are in ours alone.
    assert!(ours >= 192 * MIB, "ours {ours}, the group's {theirs}");
    assert!(ours.abs_diff(theirs) < 20 * MIB, "ours {ours}, the group's {theirs}");
}
