//! The machine, as far as it can be known: what a reader needs to judge a record from it.
//!
//! Nothing here names the user or the host: no host name, no path of a control group, and the
//! firmware's product name only if it is the name of a hypervisor.
//!
//! On Linux most of it is text below `/proc` and `/sys`. The parsers are pure functions on such
//! text; a file that is missing or reads otherwise leaves its field absent.

mod cgroup;
mod cpu;
mod limits;
mod virtualization;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use manyhands_record::Machine;
use sysinfo::{CpuRefreshKind, System};

pub(super) use virtualization::{CONTAINER, VIRTUAL_MACHINE};

/// Describes this machine as it is now. `versions` are of what was used: rustc, rayon, tokio.
pub fn describe(versions: BTreeMap<String, String>) -> Machine {
    let mut system = System::new();
    system.refresh_memory();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let granted = cgroup::granted();
    let affinity = cpu::affinity();
    let logical_cores = cpu::logical_cores(&system);
    Machine {
        os: std::env::consts::OS.to_owned(),
        distribution: distribution(),
        kernel: System::kernel_version(),
        architecture: std::env::consts::ARCH.to_owned(),
        processor: cpu::processor(&system),
        logical_cores,
        physical_cores: cpu::physical_cores(),
        affinity,
        quota: granted.cpus,
        usable_cores: usable_cores(logical_cores, affinity, granted.cpus),
        smt: cpu::smt(),
        governor: cpu::governor(),
        memory: Some(system.total_memory()).filter(|&bytes| bytes > 0),
        memory_limit: granted.memory,
        load: load(),
        steal: read("/proc/stat").and_then(|stat| cpu::parse_steal(&stat)),
        open_files: limits::open_files(),
        processes: least([limits::processes(), granted.processes]),
        clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        no_counters: super::counters::unavailable(),
        virtualization: virtualization::detect(),
        versions,
    }
}

/// What `workers = cores` means: the least of the three, at least 1. A quota is rounded down, as
/// `available_parallelism` does: the worker for half a CPU would throttle all the others.
fn usable_cores(logical: u32, affinity: Option<u32>, quota: Option<f64>) -> u32 {
    let allowed = affinity.map_or(logical, |affinity| affinity.min(logical));
    // A cast from f64 saturates, which is what a quota beyond 2^32 CPUs deserves.
    let granted = quota.map_or(allowed, |quota| allowed.min(quota.floor() as u32));
    granted.max(1)
}

fn distribution() -> Option<String> {
    let from_file = read("/etc/os-release").or_else(|| read("/usr/lib/os-release"));
    from_file.and_then(|text| parse_os_release(&text)).or_else(System::long_os_version)
}

/// `PRETTY_NAME` of os-release(5), without its quotes.
fn parse_os_release(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = value.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The one-minute load average, on systems that have such a thing.
fn load() -> Option<f64> {
    cfg!(unix).then(|| System::load_average().one)
}

/// The least of the limits that are known.
fn least<const N: usize>(limits: [Option<u64>; N]) -> Option<u64> {
    limits.into_iter().flatten().min()
}

/// A file's text, if it can be read.
fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A file's only line, if there is anything on it.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = read(path)?;
    let line = text.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_its_pretty_name() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n";
        assert_eq!(parse_os_release(debian).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        let bare = "NAME=Arch\nPRETTY_NAME=Arch\n";
        assert_eq!(parse_os_release(bare).as_deref(), Some("Arch"));
        assert_eq!(parse_os_release("NAME=Arch\n"), None);
    }

    #[test]
    fn usable_cores_are_the_least_of_all_and_at_least_one() {
        assert_eq!(usable_cores(8, None, None), 8);
        assert_eq!(usable_cores(8, Some(4), None), 4);
        assert_eq!(usable_cores(8, Some(4), Some(2.9)), 2);
        assert_eq!(usable_cores(8, Some(4), Some(64.0)), 4);
        assert_eq!(usable_cores(8, None, Some(0.5)), 1);
        assert_eq!(usable_cores(0, None, None), 1);
    }

    #[test]
    fn this_machine_can_be_described() {
        let versions = BTreeMap::from([("rayon".to_owned(), "1.12.0".to_owned())]);
        let machine = describe(versions.clone());
        assert_eq!(machine.os, std::env::consts::OS);
        assert!(machine.usable_cores >= 1);
        assert!(machine.logical_cores >= machine.usable_cores);
        assert!(machine.affinity.is_none_or(|affinity| affinity <= machine.logical_cores));
        assert!(machine.physical_cores.is_none_or(|n| (1..=machine.logical_cores).contains(&n)));
        assert!(machine.steal.is_none_or(|steal| (0.0..=1.0).contains(&steal)));
        assert!(machine.memory.is_some());
        assert_eq!(machine.versions, versions);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn usable_cores_agree_with_the_standard_library_on_linux() {
        let parallelism = std::thread::available_parallelism().expect("Linux tells");
        assert_eq!(describe(BTreeMap::new()).usable_cores as usize, parallelism.get());
    }
}
