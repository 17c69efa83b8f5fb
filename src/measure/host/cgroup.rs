//! What control groups grant, version 1 and version 2, hybrids included.
//!
//! A limit counts wherever it stands on the way from our own group up to the root that we can
//! see, and the least one wins. Inside a container the kernel shows our group as the root; without
//! a namespace of its own, the container sees the host's path and a mount that begins at it.

use std::path::{Component, Path, PathBuf};

use super::read;

/// Version 1 has no word for "unlimited": it shows 2^63 rounded down to a page.
const UNLIMITED_V1: u64 = 1 << 62;

/// What the groups grant; absent is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Granted {
    /// CPUs' worth of time.
    pub(super) cpus: Option<f64>,
    /// Bytes.
    pub(super) memory: Option<u64>,
    /// Processes and threads.
    pub(super) processes: Option<u64>,
}

/// What our own group and those above it grant.
pub(super) fn granted() -> Granted {
    granted_by(&|path| read(path)).unwrap_or_default()
}

type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

fn granted_by(read: Read) -> Option<Granted> {
    let groups = parse_groups(&read(Path::new("/proc/self/cgroup"))?);
    let mounts = parse_mounts(&read(Path::new("/proc/self/mountinfo"))?);
    let folders = |controller| folders(&groups, &mounts, controller);
    let least = |controller, limit: fn(Read, &Folder) -> Option<u64>| {
        folders(controller).iter().filter_map(|folder| limit(read, folder)).min()
    };
    let cpus = folders("cpu").iter().filter_map(|folder| cpu_limit(read, folder)).reduce(f64::min);
    let memory = least("memory", memory_limit);
    let processes = least("pids", process_limit);
    Some(Granted { cpus, memory, processes })
}

fn cpu_limit(read: Read, folder: &Folder) -> Option<f64> {
    match folder.version {
        Version::One => {
            let quota = read(&folder.path.join("cpu.cfs_quota_us"))?;
            let period = read(&folder.path.join("cpu.cfs_period_us"))?;
            parse_cpus(&quota, &period)
        }
        Version::Two => {
            let text = read(&folder.path.join("cpu.max"))?;
            let (quota, period) = text.trim().split_once(' ')?;
            parse_cpus(quota, period)
        }
    }
}

fn memory_limit(read: Read, folder: &Folder) -> Option<u64> {
    let file = match folder.version {
        Version::One => "memory.limit_in_bytes",
        Version::Two => "memory.max",
    };
    parse_limit(&read(&folder.path.join(file))?)
}

fn process_limit(read: Read, folder: &Folder) -> Option<u64> {
    parse_limit(&read(&folder.path.join("pids.max"))?)
}

/// Microseconds of CPU time per period of so many; `max` and -1 are no limit.
fn parse_cpus(quota: &str, period: &str) -> Option<f64> {
    let quota: u64 = quota.trim().parse().ok()?;
    let period: u64 = period.trim().parse().ok().filter(|&period| period > 0)?;
    Some(quota as f64 / period as f64)
}

/// A number; `max` and huge numbers are no limit.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&limit| limit < UNLIMITED_V1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A group's directory.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    version: Version,
    path: PathBuf,
}

/// A line of `/proc/self/cgroup`: a hierarchy and our place in it.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    version: Version,
    /// None in version 2, where every controller is in the one hierarchy.
    controllers: Vec<String>,
    path: PathBuf,
}

/// A mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// None in version 2.
    controllers: Vec<String>,
    /// The group that the mount begins at.
    root: PathBuf,
    point: PathBuf,
}

/// The directories that can limit us by this controller, our own first.
fn folders(groups: &[Group], mounts: &[Mount], controller: &str) -> Vec<Folder> {
    let has = |controllers: &[String]| controllers.iter().any(|c| c == controller);
    let mut folders = Vec::new();
    for group in groups.iter().filter(|g| g.version == Version::Two || has(&g.controllers)) {
        let mount = mounts.iter().find(|mount| {
            mount.version == group.version
                && (mount.version == Version::Two || has(&mount.controllers))
        });
        let Some(mount) = mount else { continue };
        let way_up = way_up(&group.path, mount);
        folders.extend(way_up.into_iter().map(|path| Folder { version: group.version, path }));
    }
    folders
}

/// From a group's directory up to the mount point.
fn way_up(group: &Path, mount: &Mount) -> Vec<PathBuf> {
    // A path that is outside of what is mounted, or of our namespace (`/../..`), cannot be
    // followed; the mount point is then the nearest group that we can see.
    let inside = group.strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let outside = inside.components().any(|part| part == Component::ParentDir);
    let own = if outside { mount.point.clone() } else { mount.point.join(inside) };
    let inside_mount = |path: &&Path| path.starts_with(&mount.point);
    own.ancestors().take_while(inside_mount).map(Path::to_path_buf).collect()
}

/// Lines `4:memory:/path`, `2:cpu,cpuacct:/path`, `0::/path`.
fn parse_groups(text: &str) -> Vec<Group> {
    text.lines().filter_map(parse_group).collect()
}

fn parse_group(line: &str) -> Option<Group> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let version = if controllers.is_empty() { Version::Two } else { Version::One };
    Some(Group { version, controllers: words(controllers), path: PathBuf::from(path) })
}

/// The mounts of control groups among the lines of `/proc/self/mountinfo`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

/// `35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`; a varying number of
/// optional fields stands before the dash.
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (unescape(left.next()?), unescape(left.next()?));
    let mut right = right.split(' ');
    let (kind, _device, options) = (right.next()?, right.next()?, right.next().unwrap_or_default());
    let (version, controllers) = match kind {
        "cgroup" => (Version::One, words(options)),
        "cgroup2" => (Version::Two, Vec::new()),
        _ => return None,
    };
    Some(Mount { version, controllers, root: root.into(), point: point.into() })
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// mountinfo writes a space as `\040`, and so on.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What is granted on a machine that has just these files.
    fn on(files: &[(&str, &str)]) -> Granted {
        let files: BTreeMap<&Path, &str> = files.iter().map(|&(p, t)| (Path::new(p), t)).collect();
        granted_by(&|path| files.get(path).map(|&text| text.to_owned())).unwrap_or_default()
    }

    const MOUNT_V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    /// From a machine with both versions, one hierarchy per controller.
    const MOUNTS_HYBRID: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    const GROUPS_HYBRID: &str = "\
9:name=systemd:/
8:pids:/
4:memory:/process_api/39bb
1:cpu:/
0::/
";

    #[test]
    fn a_machine_without_control_groups_grants_everything() {
        assert_eq!(on(&[]), Granted::default());
    }

    #[test]
    fn version_2_in_a_container_is_at_the_mount_point() {
        let granted = on(&[
            ("/proc/self/cgroup", "0::/\n"),
            ("/proc/self/mountinfo", MOUNT_V2),
            ("/sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/memory.max", "536870912\n"),
            ("/sys/fs/cgroup/pids.max", "4096\n"),
        ]);
        let expected = Granted { cpus: Some(1.5), memory: Some(1 << 29), processes: Some(4096) };
        assert_eq!(granted, expected);
    }

    #[test]
    fn max_is_no_limit() {
        let granted = on(&[
            ("/proc/self/cgroup", "0::/\n"),
            ("/proc/self/mountinfo", MOUNT_V2),
            ("/sys/fs/cgroup/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/memory.max", "max\n"),
            ("/sys/fs/cgroup/pids.max", "max\n"),
        ]);
        assert_eq!(granted, Granted::default());
    }

    #[test]
    fn the_least_limit_on_the_way_up_wins() {
        let granted = on(&[
            ("/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n"),
            ("/proc/self/mountinfo", MOUNT_V2),
            ("/sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n"),
            ("/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope/cpu.max", "800000 100000"),
            ("/sys/fs/cgroup/other.slice/cpu.max", "10000 100000\n"),
        ]);
        assert_eq!(granted.cpus, Some(4.0));
    }

    #[test]
    fn version_1_shows_a_huge_number_and_minus_one_for_unlimited() {
        let granted = on(&[
            ("/proc/self/cgroup", GROUPS_HYBRID),
            ("/proc/self/mountinfo", MOUNTS_HYBRID),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(granted, Granted::default());
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let granted = on(&[
            ("/proc/self/cgroup", GROUPS_HYBRID),
            ("/proc/self/mountinfo", MOUNTS_HYBRID),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/memory/process_api/39bb/memory.limit_in_bytes", "1073741824\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/pids/pids.max", "max\n"),
        ]);
        assert_eq!(granted, Granted { cpus: Some(2.5), memory: Some(1 << 30), processes: None });
    }

    #[test]
    fn a_container_without_a_namespace_sees_the_hosts_path_and_a_mount_that_begins_there() {
        let mount = "40 31 0:29 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup \
                     rw,cpu,cpuacct\n";
        let granted = on(&[
            ("/proc/self/cgroup", "3:cpu,cpuacct:/docker/ab\n"),
            ("/proc/self/mountinfo", mount),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(granted.cpus, Some(0.5));
    }

    #[test]
    fn a_group_outside_of_our_namespace_is_not_followed() {
        let granted = on(&[
            ("/proc/self/cgroup", "0::/../../other\n"),
            ("/proc/self/mountinfo", MOUNT_V2),
            ("/sys/fs/cgroup/cpu.max", "300000 100000\n"),
        ]);
        assert_eq!(granted.cpus, Some(3.0));
    }

    #[test]
    fn a_mount_point_may_hold_a_space() {
        let mount = parse_mount("30 23 0:26 / /my\\040groups rw - cgroup2 none rw");
        assert_eq!(mount.map(|mount| mount.point), Some(PathBuf::from("/my groups")));
    }
}
