//! Linux: `/proc`.
//!
//! `unsafe` for one system call, `kcmp`, which takes five integers and touches no memory.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use super::{Tree, TreeReading};

/// The kernel lists children by the thread that made them. In a process with more threads than
/// this, one look at every process of the machine is cheaper than a file per thread. (The list can
/// skip a child while another one ends; a reading later it is there.)
const MANY_THREADS: u32 = 256;

/// Writing this to `clear_refs` resets the peak of the resident set.
const RESET_PEAK: &str = "5";

pub(super) fn read(tree: &Tree) -> io::Result<TreeReading> {
    can_read()?;
    let mut reading = TreeReading::default();
    for member in members(tree)? {
        let Some(rollup) = read_rollup(member.pid)? else { continue };
        reading.pss += rollup.pss;
        reading.shared += rollup.shared();
        reading.processes += 1;
        reading.threads += member.status.threads;
        if let Some(mark) = member.status.high_water {
            reading.high_water.insert(member.pid, mark);
        }
    }
    Ok(reading)
}

pub(super) fn processes(tree: &Tree) -> io::Result<Vec<u32>> {
    Ok(members(tree)?.into_iter().map(|member| member.pid).collect())
}

pub(super) fn reset_tree(tree: &Tree) -> io::Result<()> {
    for member in members(tree)? {
        match reset_high_water(member.pid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn reset_high_water(pid: u32) -> io::Result<()> {
    let file = format!("/proc/{pid}/clear_refs");
    match fs::write(&file, RESET_PEAK) {
        Err(error) if has_ended(&error) && Path::new("/proc/self/clear_refs").exists() => {
            Err(ended(pid))
        }
        done => done.map_err(|error| explain("reset", &file, error)),
    }
}

pub(super) fn children(pid: u32) -> Vec<u32> {
    scan().remove(&pid).unwrap_or_default()
}

/// A process of the tree that has memory.
struct Member {
    pid: u32,
    status: Status,
}

/// Walks down from the root, past servers, past zombies.
fn members(tree: &Tree) -> io::Result<Vec<Member>> {
    if !Path::new(&format!("/proc/{}", tree.root)).exists() {
        return Err(ended(tree.root));
    }
    let mut found = Vec::new();
    let mut kinship = Kinship::default();
    // A process id that is reused while we walk could lead in a circle.
    let mut seen = BTreeSet::from([tree.root]);
    let mut ahead = vec![(tree.root, None)];
    while let Some((pid, parent)) = ahead.pop() {
        let Some(status) = read_status(pid) else { continue };
        // A child that still borrows its parent's memory (vfork, as `Command` does) would count
        // all of it a second time.
        if is_server(pid) || parent.is_some_and(|parent| share_memory(parent, pid)) {
            continue;
        }
        let children = kinship.children(pid, status.threads);
        ahead.extend(children.into_iter().filter(|&c| seen.insert(c)).map(|c| (c, Some(pid))));
        if status.has_memory && (pid != tree.root || tree.root_counts) {
            found.push(Member { pid, status });
        }
    }
    Ok(found)
}

/// Who is whose child.
#[derive(Default)]
struct Kinship {
    /// Every process of the machine by its parent; read at most once per walk, and only if needed.
    scanned: Option<BTreeMap<u32, Vec<u32>>>,
}

impl Kinship {
    fn children(&mut self, pid: u32, threads: u32) -> Vec<u32> {
        if self.scanned.is_none() && threads <= MANY_THREADS && kernel_lists_children() {
            return listed_children(pid);
        }
        let by_parent = self.scanned.get_or_insert_with(scan);
        by_parent.get(&pid).cloned().unwrap_or_default()
    }
}

/// Whether the kernel has `CONFIG_PROC_CHILDREN`.
fn kernel_lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| Path::new("/proc/thread-self/children").exists())
}

fn listed_children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    lists.flat_map(|list| parse_children(&list)).collect()
}

fn scan() -> BTreeMap<u32, Vec<u32>> {
    let mut by_parent = BTreeMap::<u32, Vec<u32>>::new();
    let Ok(processes) = fs::read_dir("/proc") else { return by_parent };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parse_parent(&stat) {
            by_parent.entry(parent).or_default().push(pid);
        }
    }
    by_parent
}

/// Whether two processes have one address space. Without `kcmp` (a kernel option) or permission,
/// they are taken to have two, as all have but for a moment.
fn share_memory(a: u32, b: u32) -> bool {
    const KCMP_VM: libc::c_int = 1;
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: the call takes integers and touches no memory of ours; unknown ids are an error.
    let code = unsafe { libc::syscall(libc::SYS_kcmp, a, b, KCMP_VM, UNUSED, UNUSED) };
    code == 0
}

fn is_server(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| names_a_server(&line))
}

fn read_status(pid: u32) -> Option<Status> {
    // Unreadable means ended: a process's status is open to everyone.
    fs::read_to_string(format!("/proc/{pid}/status")).ok().map(|text| Status::parse(&text))
}

/// The sums of a process's mappings; nothing if it has ended.
fn read_rollup(pid: u32) -> io::Result<Option<Rollup>> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if has_ended(&error) => return Ok(None),
        Err(error) => return Err(explain("read", &file, error)),
    };
    // Empty: it ended between open and read.
    if text.is_empty() {
        return Ok(None);
    }
    Rollup::parse(&text)
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{file}: no Pss in it")))
}

/// Whether this system has `smaps_rollup` at all; else every process would look ended.
fn can_read() -> io::Result<()> {
    if Path::new("/proc/self/smaps_rollup").exists() {
        return Ok(());
    }
    let reason = "no /proc/self/smaps_rollup: memory of a process tree needs Linux 4.14 or later \
                  with /proc mounted";
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn ended(pid: u32) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("process {pid} has ended"))
}

fn explain(verb: &str, file: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {verb} {file}: {error}"))
}

/// What `/proc/PID/status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    /// Zombies and threads of the kernel have none.
    has_memory: bool,
    /// `VmHWM`, in bytes.
    high_water: Option<u64>,
    threads: u32,
}

impl Status {
    fn parse(text: &str) -> Self {
        let high_water = kibibytes(text, "VmHWM:");
        let threads = text.lines().find_map(|line| line.strip_prefix("Threads:"));
        Self {
            has_memory: high_water.is_some(),
            high_water,
            threads: threads.and_then(|n| n.trim().parse().ok()).unwrap_or(1),
        }
    }
}

/// What `/proc/PID/smaps_rollup` says, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rollup {
    pss: u64,
    private: u64,
}

impl Rollup {
    fn parse(text: &str) -> Option<Self> {
        // Huge pages of hugetlbfs have lines of their own and are not in Pss.
        let private = kibibytes(text, "Private_Clean:")? + kibibytes(text, "Private_Dirty:")?;
        Some(Self { pss: kibibytes(text, "Pss:")?, private })
    }

    /// Pages that only one process maps count in full, so what is left is shared.
    fn shared(&self) -> u64 {
        self.pss.saturating_sub(self.private)
    }
}

/// The value of a line `KEY   123 kB`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

fn parse_children(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The parent in `PID (NAME) STATE PARENT ...`. The name may hold anything, parentheses too.
fn parse_parent(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Whether `__manyhands serve` is among the words of a command line, which NULs separate.
fn names_a_server(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    words.windows(2).any(|pair| pair == [b"__manyhands".as_slice(), b"serve".as_slice()])
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};

    use super::super::Watch;
    use super::*;

    const ROLLUP: &str = "\
5567c1250000-7fff01d99000 ---p 00000000 00:00 0                          [rollup]
Rss:                1720 kB
Pss:                 396 kB
Pss_Dirty:           112 kB
Pss_Anon:            112 kB
Pss_File:            284 kB
Pss_Shmem:             0 kB
Shared_Clean:       1504 kB
Shared_Dirty:          0 kB
Private_Clean:       104 kB
Private_Dirty:       112 kB
Referenced:         1720 kB
Anonymous:           112 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
";

    #[test]
    fn the_shared_part_is_what_is_not_private() {
        let rollup = Rollup::parse(ROLLUP).expect("a real sample");
        assert_eq!(rollup, Rollup { pss: 396 * 1024, private: 216 * 1024 });
        assert_eq!(rollup.shared(), 180 * 1024);
    }

    #[test]
    fn a_rollup_without_pss_is_refused_rather_than_read_as_zero() {
        assert_eq!(Rollup::parse("Rss:  1720 kB\n"), None);
    }

    #[test]
    fn a_zombie_has_no_memory() {
        let living = "Name:\tcat\nState:\tS (sleeping)\nVmHWM:\t    1720 kB\nThreads:\t3\n";
        let status = Status::parse(living);
        let expected = Status { has_memory: true, high_water: Some(1720 * 1024), threads: 3 };
        assert_eq!(status, expected);
        assert!(!Status::parse("Name:\tcat\nState:\tZ (zombie)\nThreads:\t1\n").has_memory);
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parse_parent("42 (a) b) (c) S 7 42 1 0"), Some(7));
        assert_eq!(parse_parent("garbage"), None);
    }

    #[test]
    fn a_server_is_known_by_two_words_that_follow_each_other() {
        assert!(names_a_server(b"/bin/manyhands\0__manyhands\0serve\0http\0"));
        assert!(!names_a_server(b"/bin/manyhands\0__manyhands\0cell\0serve\0"));
        assert!(!names_a_server(b"/bin/manyhands\0run\0serve\0"));
        assert!(!names_a_server(b""));
    }

    /// A shell and its `cat`, which live until standard input is closed. Dropping it does that,
    /// and waits.
    struct Living(Child);

    impl Living {
        /// `sh -c SCRIPT WORDS...`, once the `cat` in SCRIPT has sent a byte back: then every
        /// process of the family is there and nothing changes any more.
        fn shell(script: &str, words: &[&str]) -> Self {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script).args(words);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh starts");
            let stdin = child.stdin.as_mut().expect("stdin is piped");
            stdin.write_all(b"!").expect("the pipe is open");
            let stdout = child.stdout.as_mut().expect("stdout is piped");
            stdout.read_exact(&mut [0]).expect("cat sends it back");
            Self(child)
        }
    }

    impl Drop for Living {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            // A failed wait leaves a zombie that ends with the tests.
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_tree_is_its_root_and_what_descends_from_it() {
        // A background child reads the null device unless told otherwise, hence descriptor 3.
        let parent = Living::shell("exec 3<&0; cat <&3 & wait", &["name"]);
        let whole = Tree::of(parent.0.id()).read().expect("children can be read");
        let below = Tree::below(parent.0.id()).read().expect("children can be read");
        assert_eq!((whole.processes, below.processes), (2, 1));
        assert!(whole.pss > below.pss && below.pss > 0);
        assert!(whole.shared <= whole.pss);
        assert_eq!(whole.threads, whole.processes);
        assert_eq!(whole.high_water.len() as u32, whole.processes);
    }

    #[test]
    fn both_ways_to_find_children_agree() {
        let parent = Living::shell("exec 3<&0; cat <&3 & wait", &["name"]);
        let scanned = children(parent.0.id());
        assert_eq!(scanned.len(), 1);
        if kernel_lists_children() {
            assert_eq!(listed_children(parent.0.id()), scanned);
        }
    }

    #[test]
    fn who_has_no_children_has_none() {
        let living = Living::shell("exec cat", &["name"]);
        assert!(children(living.0.id()).is_empty());
        assert!(children(std::process::id()).contains(&living.0.id()));
    }

    #[test]
    fn our_own_memory_can_be_read() {
        assert!(super::super::own_pss().is_some_and(|pss| pss > 0));
    }

    #[test]
    fn a_server_and_its_children_do_not_count() {
        let server = Living::shell("cat; :", &["name", "__manyhands", "serve", "http"]);
        let reading = Tree::of(server.0.id()).read().expect("a child can be read");
        assert_eq!(reading, TreeReading::default());
    }

    #[test]
    fn a_process_that_has_ended_is_not_found() {
        let living = Living::shell("exec cat", &["name"]);
        let pid = living.0.id();
        drop(living);
        let kind = |result: io::Result<()>| result.expect_err("it has ended").kind();
        assert_eq!(kind(Tree::of(pid).read().map(drop)), io::ErrorKind::NotFound);
        assert_eq!(kind(reset_high_water(pid)), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_process_shares_memory_with_itself_and_with_no_other() {
        let living = Living::shell("exec cat", &["name"]);
        let own = std::process::id();
        assert!(!share_memory(own, living.0.id()));
        // Kernels without kcmp answer "no" here too.
        let _ = share_memory(own, own);
    }

    #[test]
    fn a_reset_mark_is_not_above_the_old_one() {
        let living = Living::shell("exec cat", &["name"]);
        let mark = || read_status(living.0.id()).and_then(|status| status.high_water);
        let before = mark().expect("it lives");
        reset_high_water(living.0.id()).expect("own children may be reset");
        assert!(mark().expect("it lives") <= before);
    }

    #[test]
    fn a_watch_reads_at_its_start_and_at_its_end() {
        let living = Living::shell("exec cat", &["name"]);
        let memory = Watch::start(Tree::of(living.0.id())).expect("a thread starts").stop();
        assert_eq!(memory.absent, None);
        assert!(memory.readings >= 2 && memory.gap_ns.is_some());
        assert!(memory.peak.is_some_and(|peak| peak > 0));
        assert_eq!((memory.processes, memory.threads, memory.high_water.len()), (1, 1, 1));
        assert_eq!(memory.kernel_stacks, Some(16 * 1024));
    }
}
