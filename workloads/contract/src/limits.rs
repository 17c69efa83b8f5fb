//! What the machine grants, and which limit refuses a number of threads or processes.
//!
//! Beyond some number of threads a program does not get an error that it could tell, it is ended:
//! a thread whose signal stack cannot be mapped panics before there is anybody to catch it, and a
//! machine without memory kills whom it likes. So who starts many asks here first. Elsewhere than
//! on Linux nothing is known and nothing is refused.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What so many of something need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// How many.
    pub count: u64,
    /// Of what: `threads`.
    pub what: &'static str,
    /// Tasks of the kernel that each takes: a thread is one, and so is a process.
    pub tasks: u64,
    /// Memory mappings that each takes in this process.
    pub mappings: u64,
    /// Open files that each takes in this process.
    pub files: u64,
    /// Bytes that each takes at least, those in the kernel included.
    pub bytes: u64,
}

impl Need {
    /// Threads of std. Each has a stack and a signal stack with a guard page each: four mappings.
    /// What it touches of them was measured to be 10 KiB, and the kernel keeps 28 KiB for it.
    pub const fn threads(count: u64) -> Self {
        Self { count, what: "threads", tasks: 1, mappings: 4, files: 0, bytes: 38 << 10 }
    }

    /// Processes, with so many descriptors each in the one that starts them. A thousand idle ones
    /// of this program were measured to have 308 KiB each, and the kernel keeps 28 KiB for the
    /// thread of each.
    pub const fn processes(count: u64, files: u64) -> Self {
        Self { count, what: "processes", tasks: 1, mappings: 0, files, bytes: 336 << 10 }
    }

    /// Futures that wait, as tasks of tokio.
    pub const fn futures(count: u64) -> Self {
        Self { count, what: "futures", tasks: 0, mappings: 0, files: 0, bytes: 448 }
    }

    /// Why the machine cannot grant this, by the name of the limit; `None` where nothing speaks
    /// against it.
    pub fn refusal(&self) -> Option<String> {
        self.refused_by(&Limit::all())
    }

    fn refused_by(&self, limits: &[Limit]) -> Option<String> {
        let least = limits
            .iter()
            .filter(|limit| self.each(limit.of) > 0)
            .min_by_key(|limit| limit.free() / self.each(limit.of))?;
        let each = self.each(least.of);
        let most = least.free() / each;
        (most < self.count).then(|| {
            let Self { count, what, .. } = *self;
            let needed = least.of.spell(count.saturating_mul(each));
            let Limit { name, most: limit, used, .. } = least;
            let (limit, used) = (least.of.spell(*limit), least.of.spell(*used));
            let mut text =
                format!("{count} {what} need {needed}, and {name} allows {limit} ({used} in use)");
            let remedy = least.remedy(count.saturating_mul(each));
            let _ = write!(text, ": use at most {most} workers, or {remedy}");
            text
        })
    }

    fn each(&self, of: Of) -> u64 {
        match of {
            Of::Tasks => self.tasks,
            Of::Mappings => self.mappings,
            Of::Files => self.files,
            Of::Bytes => self.bytes,
        }
    }
}

/// Which limit is nearest, for a refusal that came from the kernel in the middle: it says only
/// that something is not available.
pub fn nearest() -> String {
    nearest_of(&Limit::all())
}

fn nearest_of(limits: &[Limit]) -> String {
    let nearest = limits.iter().max_by(|a, b| a.share().total_cmp(&b.share()));
    match nearest {
        Some(limit) => format!(
            "the nearest limit is {}, {} of {} in use",
            limit.name,
            limit.of.spell(limit.used),
            limit.of.spell(limit.most)
        ),
        None => "use fewer workers, or raise the limits on processes (ulimit -u)".to_owned(),
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Tasks,
    Mappings,
    Files,
    Bytes,
}

impl Of {
    fn spell(self, count: u64) -> String {
        match self {
            Self::Tasks => format!("{count} tasks"),
            Self::Mappings => format!("{count} mappings"),
            Self::Files => format!("{count} files"),
            Self::Bytes => format!("{} MiB", count >> 20),
        }
    }
}

/// One limit of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    name: String,
    of: Of,
    most: u64,
    used: u64,
    /// What must stay free for others.
    kept: u64,
    /// How to raise it, with `{}` where the number goes.
    raise: &'static str,
}

impl Limit {
    fn free(&self) -> u64 {
        self.most.saturating_sub(self.used).saturating_sub(self.kept)
    }

    fn share(&self) -> f64 {
        self.used as f64 / self.most.max(1) as f64
    }

    /// How to raise it so far that `needed` more are free.
    fn remedy(&self, needed: u64) -> String {
        self.raise.replace("{}", &(self.used + self.kept).saturating_add(needed).to_string())
    }

    /// Those that this system tells.
    fn all() -> Vec<Self> {
        let limits = [
            mappings(),
            kernel("kernel.threads-max", "sysctl -w kernel.threads-max={}"),
            kernel("kernel.pid_max", "sysctl -w kernel.pid_max={}"),
            own("RLIMIT_NPROC", Of::Tasks, "Max processes", "raise it (ulimit -u {})", 0),
            own("RLIMIT_NOFILE", Of::Files, "Max open files", "raise it (ulimit -n {})", files()),
            memory(),
        ];
        limits.into_iter().flatten().chain(groups()).collect()
    }
}

fn number(path: impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn mappings() -> Option<Limit> {
    let used = fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64;
    let most = number("/proc/sys/vm/max_map_count")?;
    // The allocator makes up to eight arenas a core for threads, of two mappings each; who
    // allocates besides needs some as well, and nobody can be told that there are none.
    let kept = 64 + 16 * std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (name, of) = ("vm.max_map_count".to_owned(), Of::Mappings);
    let raise = "raise it (sysctl -w vm.max_map_count={})";
    Some(Limit { name, of, most, used, kept, raise })
}

/// A limit on the tasks of the whole machine.
fn kernel(name: &str, raise: &'static str) -> Option<Limit> {
    let most = number(Path::new("/proc/sys").join(name.replace('.', "/")))?;
    // The fourth field is `running/all`.
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, all) = load.split_whitespace().nth(3)?.split_once('/')?;
    let (name, used) = (name.to_owned(), all.parse().ok()?);
    Some(Limit { name, of: Of::Tasks, most, used, kept: 0, raise })
}

/// A limit of this process, from `/proc/self/limits`.
fn own(name: &str, of: Of, label: &str, raise: &'static str, used: u64) -> Option<Limit> {
    // The kernel counts no processes of root.
    if of == Of::Tasks && is_root() {
        return None;
    }
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let most = line.split_whitespace().next()?.parse().ok()?; // not a number: unlimited
    Some(Limit { name: name.to_owned(), of, most, used, kept: 0, raise })
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().nth(1)).is_some_and(|effective| effective == "0")
}

fn files() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

/// Memory that can be had without swapping, as the kernel estimates it.
fn memory() -> Option<Limit> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let (most, free) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
    let name = "the machine's memory".to_owned();
    let used = most.saturating_sub(free);
    Some(Limit { name, of: Of::Bytes, most, used, kept: 0, raise: "use a machine with more" })
}

/// The limits of our own control group and of those above it, of both versions.
fn groups() -> Vec<Limit> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let folders = text.lines().flat_map(group_folders);
    folders.flat_map(|folder| [group_tasks(&folder), group_memory(&folder)]).flatten().collect()
}

/// The folders of a line `4:memory:/path` or `0::/path`, where such are usually mounted.
fn group_folders(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let mount = Path::new("/sys/fs/cgroup").join(controllers);
    let own = mount.join(path.trim_start_matches('/'));
    let inside = |path: &&Path| path.starts_with(&mount);
    own.ancestors().take_while(inside).map(Path::to_path_buf).collect()
}

fn group_tasks(folder: &Path) -> Option<Limit> {
    let file = folder.join("pids.max");
    let (most, used) = (number(&file)?, number(folder.join("pids.current"))?);
    let name = file.display().to_string();
    Some(Limit { name, of: Of::Tasks, most, used, kept: 0, raise: "raise it to {}" })
}

fn group_memory(folder: &Path) -> Option<Limit> {
    let (v2, v1) =
        (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"));
    [v2, v1].into_iter().find_map(|(most, used)| {
        let file = folder.join(most);
        let (most, used) = (number(&file)?, number(folder.join(used))?);
        let used = used.saturating_sub(reclaimable(folder));
        let name = file.display().to_string();
        Some(Limit { name, of: Of::Bytes, most, used, kept: 0, raise: "raise it to {} bytes" })
    })
}

/// Cached files, which count as used and give way to whoever needs memory.
fn reclaimable(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    // Version 1 has lines for the group alone as well; of those with its children it says "total".
    let prefix = if text.contains("\ntotal_") { "total_" } else { "" };
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(prefix)?.strip_prefix(key));
        line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    value("inactive_file ") + value("active_file ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, of: Of, most: u64, used: u64) -> Limit {
        Limit { name: name.to_owned(), of, most, used, kept: 0, raise: "raise it to {}" }
    }

    #[test]
    fn the_tightest_limit_is_named_with_what_it_allows() {
        let limits = [
            limit("kernel.pid_max", Of::Tasks, 32_768, 68),
            limit("vm.max_map_count", Of::Mappings, 65_530, 30),
        ];
        assert_eq!(Need::threads(16_375).refused_by(&limits), None);
        let refusal = Need::threads(30_000).refused_by(&limits);
        let expected = "30000 threads need 120000 mappings, and vm.max_map_count allows 65530 \
                        mappings (30 mappings in use): use at most 16375 workers, or raise it to \
                        120030";
        assert_eq!(refusal.as_deref(), Some(expected));
        // Processes have mappings of their own.
        assert_eq!(Need::processes(30_000, 0).refused_by(&limits), None);
        let refusal = Need::processes(40_000, 0).refused_by(&limits).expect("too many");
        assert!(refusal.contains("kernel.pid_max"), "{refusal}");
    }

    #[test]
    fn what_is_not_known_refuses_nothing() {
        assert_eq!(Need::threads(u64::MAX).refused_by(&[]), None);
        assert!(nearest_of(&[]).contains("fewer workers"));
    }

    #[test]
    fn numbers_beyond_all_reason_are_refused_and_do_not_overflow() {
        let limits = [limit("memory", Of::Bytes, 1 << 34, 1 << 33)];
        let refusal = Need::futures(u64::MAX).refused_by(&limits);
        assert!(refusal.expect("refused").contains("memory allows 16384 MiB"));
    }

    #[test]
    fn the_nearest_limit_is_the_one_most_used() {
        let limits = [
            limit("kernel.threads-max", Of::Tasks, 192_730, 32_000),
            limit("kernel.pid_max", Of::Tasks, 32_768, 32_000),
        ];
        let expected = "the nearest limit is kernel.pid_max, 32000 tasks of 32768 tasks in use";
        assert_eq!(nearest_of(&limits), expected);
    }

    #[test]
    fn a_groups_folders_lead_up_to_its_mount() {
        let folders = group_folders("8:pids:/a/b");
        let expected = ["/sys/fs/cgroup/pids/a/b", "/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/pids"];
        assert_eq!(folders, expected.map(PathBuf::from));
        assert_eq!(group_folders("0::/x")[0], PathBuf::from("/sys/fs/cgroup/x"));
        assert_eq!(group_folders("no group"), Vec::<PathBuf>::new());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells_its_limits_and_grants_one_thread() {
        let names: Vec<_> = Limit::all().into_iter().map(|limit| limit.name).collect();
        for name in ["vm.max_map_count", "kernel.threads-max", "kernel.pid_max"] {
            assert!(names.iter().any(|known| known == name), "{name} not in {names:?}");
        }
        assert_eq!(Need::threads(1).refusal(), None);
        assert!(Need::threads(u64::MAX).refusal().is_some());
    }
}
