//! Cores, and what happens to them: affinity, SMT, the governor, steal.

use std::collections::BTreeSet;
use std::fs;

use sysinfo::System;

use super::{line, read};

const CPUS: &str = "/sys/devices/system/cpu";

/// The processor's name.
pub(super) fn processor(system: &System) -> Option<String> {
    // cpuinfo of aarch64 has no name, only numbers, which sysinfo translates.
    read("/proc/cpuinfo").and_then(|text| parse_model(&text)).or_else(|| {
        let brand = system.cpus().first()?.brand().trim();
        (!brand.is_empty()).then(|| brand.to_owned())
    })
}

/// Logical processors that are on.
pub(super) fn logical_cores(system: &System) -> u32 {
    let online = online().map(|cpus| count(cpus.len()));
    let known = online.unwrap_or_else(|| count(system.cpus().len()));
    known.max(1)
}

/// Cores that exist: logical processors that are each other's siblings are one.
pub(super) fn physical_cores() -> Option<u32> {
    let from_topology = online().and_then(|cpus| {
        let siblings: Option<BTreeSet<String>> = cpus
            .iter()
            .map(|cpu| line(format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list")))
            .collect();
        siblings.map(|cores| count(cores.len()))
    });
    from_topology.or_else(|| System::physical_core_count().map(count)).filter(|&n| n > 0)
}

/// Logical processors that the calling thread may run on.
pub(super) fn affinity() -> Option<u32> {
    // The text of what sched_getaffinity gives, without its limit of 1024 processors. The mask
    // also has processors that are off, or that a virtual machine could have and has not.
    let status = read("/proc/thread-self/status")?;
    let allowed = parse_allowed(&status)?;
    let usable = match online() {
        Some(online) => allowed.intersection(&online).count(),
        None => allowed.len(),
    };
    Some(count(usable)).filter(|&n| n > 0)
}

/// Whether two logical processors share a core.
pub(super) fn smt() -> Option<bool> {
    match line(format!("{CPUS}/smt/active"))?.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

/// The frequency governor; all of them if processors differ.
pub(super) fn governor() -> Option<String> {
    let cpus = fs::read_dir(CPUS).ok()?.flatten();
    let governors = cpus.filter_map(|cpu| line(cpu.path().join("cpufreq/scaling_governor")));
    let distinct: Vec<String> = governors.collect::<BTreeSet<_>>().into_iter().collect();
    (!distinct.is_empty()).then(|| distinct.join(", "))
}

fn online() -> Option<BTreeSet<u32>> {
    parse_cpu_list(&line(format!("{CPUS}/online"))?)
}

/// `model name` of the first processor in `/proc/cpuinfo`.
fn parse_model(cpuinfo: &str) -> Option<String> {
    let value = field(cpuinfo, "model name")?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether the processor says that it is a virtual one; absent on processors that never say.
pub(super) fn parse_hypervisor_flag(cpuinfo: &str) -> Option<bool> {
    field(cpuinfo, "flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor"))
}

/// `KEY \t: VALUE`.
fn field<'t>(cpuinfo: &'t str, key: &str) -> Option<&'t str> {
    let pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// `Cpus_allowed_list` of `/proc/PID/status`.
fn parse_allowed(status: &str) -> Option<BTreeSet<u32>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    parse_cpu_list(list)
}

/// `0-3,8` as numbers.
fn parse_cpu_list(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(cpus)
}

/// The share of all CPU time since boot that the hypervisor took, 0 to 1, from `/proc/stat`.
pub(super) fn parse_steal(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest and guest_nice, which follow, are
    // part of user and nice.
    let times: Vec<u64> = line.split_whitespace().take(8).map_while(|t| t.parse().ok()).collect();
    let steal = *times.get(7)?;
    let total: u64 = times.iter().sum();
    (total > 0).then(|| steal as f64 / total as f64)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIRTUAL_EPYC: &str = "\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu vme de pse tsc sse4_2 x2apic rdrand hypervisor lahf_lm

processor\t: 1
model name\t: AMD EPYC
flags\t\t: fpu
";

    const RASPBERRY_PI: &str = "\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08
";

    #[test]
    fn the_name_is_the_first_processors() {
        assert_eq!(parse_model(VIRTUAL_EPYC).as_deref(), Some("AMD EPYC"));
        assert_eq!(parse_model(RASPBERRY_PI), None);
    }

    #[test]
    fn a_virtual_processor_says_so_and_an_arm_one_says_nothing() {
        assert_eq!(parse_hypervisor_flag(VIRTUAL_EPYC), Some(true));
        assert_eq!(parse_hypervisor_flag("flags\t\t: fpu nohypervisor\n"), Some(false));
        assert_eq!(parse_hypervisor_flag(RASPBERRY_PI), None);
    }

    #[test]
    fn a_list_of_processors_is_ranges_and_numbers() {
        assert_eq!(parse_cpu_list("0-3,8\n"), Some(BTreeSet::from([0, 1, 2, 3, 8])));
        assert_eq!(parse_cpu_list("0"), Some(BTreeSet::from([0])));
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(parse_cpu_list("0-x"), None);
    }

    #[test]
    fn what_is_allowed_is_in_the_status() {
        let status = "Name:\tcat\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\nMems_allowed:\t1\n";
        assert_eq!(parse_allowed(status).map(|cpus| cpus.len()), Some(8));
        assert_eq!(parse_allowed("Name:\tcat\n"), None);
    }

    #[test]
    fn steal_is_a_share_of_all_time_with_guests_counted_once() {
        let stat = "cpu  100 0 100 750 0 0 0 50 90 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_steal(stat), Some(0.05));
    }

    #[test]
    fn a_kernel_without_a_steal_column_has_no_steal() {
        assert_eq!(parse_steal("cpu  100 0 100 750\n"), None);
        assert_eq!(parse_steal("cpu  0 0 0 0 0 0 0 0 0 0\n"), None);
        assert_eq!(parse_steal(""), None);
    }
}
