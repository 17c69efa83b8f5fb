//! What speaks against trusting numbers from this machine, each with its remedy.
//!
//! A doubt says what was found and what to do about it here: who has no cgroup is not told to
//! change one. None of it is changed by us.

use manyhands_record::{Doubt, Machine, Severity};

use super::host;

/// Below this many cores, a scaling curve has too few points to have a shape.
const FEW_CORES: u32 = 4;
/// Load per logical processor above which others take a noticeable part of it.
const LOAD_WARNING: f64 = 0.3;
/// Load per logical processor at which there is nothing left for us.
const LOAD_SERIOUS: f64 = 1.0;
/// The share of CPU time taken by the hypervisor that is beyond ordinary.
const STEAL_WARNING: f64 = 0.01;
/// The share of CPU time taken by the hypervisor at which it is what is measured.
const STEAL_SERIOUS: f64 = 0.1;
/// Memory that a process pool with an interpreter in each worker can need.
const LITTLE_MEMORY: u64 = 2 << 30;
/// Descriptors that a pool of connections and of workers can need.
const FEW_FILES: u64 = 4096;
/// Threads that an experiment with a thread per task can need.
const FEW_PROCESSES: u64 = 4096;
/// Clock sources that are read without a system call.
const FAST_CLOCKS: [&str; 7] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "timebase",
    "tod",
];

/// Everything that speaks against numbers measured by this program on this machine, the worst
/// first.
pub fn doubts(machine: &Machine) -> Vec<Doubt> {
    let mut doubts: Vec<Doubt> =
        of_build(cfg!(debug_assertions)).into_iter().chain(of_machine(machine)).collect();
    doubts.sort_by_key(|doubt| std::cmp::Reverse(doubt.severity));
    doubts
}

fn of_build(debug: bool) -> Option<Doubt> {
    debug.then(|| {
        doubt(
            "debug-build",
            Severity::Serious,
            "this is a debug build: its own code is slower by a factor, not by a percentage",
            "build it with `cargo build --release`",
        )
    })
}

fn of_machine(machine: &Machine) -> impl Iterator<Item = Doubt> {
    let checks: [fn(&Machine) -> Option<Doubt>; 11] = [
        load,
        steal,
        few_cores,
        quota,
        governor,
        clock_source,
        memory,
        open_files,
        processes,
        smt,
        virtual_machine,
    ];
    checks.into_iter().filter_map(|check| check(machine))
}

fn load(machine: &Machine) -> Option<Doubt> {
    let load = machine.load?;
    let per_core = load / f64::from(machine.logical_cores.max(1));
    let severity = match per_core {
        p if p > LOAD_SERIOUS => Severity::Serious,
        p if p > LOAD_WARNING => Severity::Warning,
        _ => return None,
    };
    let cores = plural(machine.logical_cores, "logical processor");
    Some(doubt(
        "load",
        severity,
        format!("the load is {load:.2} on {cores}: something else is running, or was a minute ago"),
        "end it (`top` shows what it is) or wait until the load has fallen, then run again",
    ))
}

fn steal(machine: &Machine) -> Option<Doubt> {
    let steal = machine.steal.filter(|&steal| steal > STEAL_WARNING)?;
    let severity = if steal > STEAL_SERIOUS { Severity::Serious } else { Severity::Warning };
    Some(doubt(
        "steal",
        severity,
        format!("the hypervisor has taken {:.1} % of the CPU time since boot", steal * 100.0),
        "use a machine with dedicated cores, or run more rounds and at another hour",
    ))
}

fn few_cores(machine: &Machine) -> Option<Doubt> {
    let usable = machine.usable_cores;
    if usable >= FEW_CORES {
        return None;
    }
    let cores = plural(usable, "usable core");
    let finding = match usable {
        1 => format!("{cores}: nothing can make work on the CPU faster here, only waiting"),
        _ => format!("{cores}: scaling curves are short and say little about larger machines"),
    };
    let remedy = match machine.logical_cores > usable && machine.logical_cores >= FEW_CORES {
        true => format!(
            "the machine has {}: lift the affinity or the quota that withholds them",
            machine.logical_cores
        ),
        false => format!("for scaling, run on a machine with {FEW_CORES} cores or more"),
    };
    Some(doubt("few-cores", Severity::Warning, finding, remedy))
}

fn quota(machine: &Machine) -> Option<Doubt> {
    let allowed = machine.affinity.unwrap_or(machine.logical_cores);
    let quota = machine.quota.filter(|&quota| quota < f64::from(allowed))?;
    let remedy = match in_container(machine) {
        true => {
            format!("grant the container as much as it can see (`docker run --cpus={allowed}`)")
        }
        false => "lift it (`systemctl set-property SLICE CPUQuota=`)".to_owned(),
    };
    Some(doubt(
        "quota",
        Severity::Warning,
        format!(
            "the cgroup grants {quota} CPUs of {allowed}: more workers than that are stopped for \
             tens of milliseconds at a time"
        ),
        format!("{remedy}, or stay within {}", plural(machine.usable_cores, "worker")),
    ))
}

fn governor(machine: &Machine) -> Option<Doubt> {
    let governor = machine.governor.as_deref().filter(|&governor| governor != "performance")?;
    Some(doubt(
        "governor",
        Severity::Warning,
        format!("the frequency governor is {governor}: the first samples can run at a lower clock"),
        "`sudo cpupower frequency-set -g performance` for the time of the run",
    ))
}

fn clock_source(machine: &Machine) -> Option<Doubt> {
    let source = machine.clock_source.as_deref().filter(|source| !FAST_CLOCKS.contains(source))?;
    Some(doubt(
        "clock-source",
        Severity::Warning,
        format!("the clock source is {source}: reading it is a system call and can take 1 us"),
        "`dmesg | grep -i clocksource` says why the kernel chose it; measure tasks of 1 ms or more",
    ))
}

fn memory(machine: &Machine) -> Option<Doubt> {
    let total = machine.memory;
    let limit = machine.memory_limit.filter(|&limit| total.is_none_or(|total| limit < total));
    let (bytes, whose, remedy) = match (limit, total) {
        (Some(limit), _) if in_container(machine) => {
            (limit, "the cgroup grants", "raise it (`docker run --memory=4g`)")
        }
        (Some(limit), _) => (limit, "the cgroup grants", "raise its `memory.max`"),
        (None, Some(total)) => (total, "the machine has", "use a larger machine"),
        (None, None) => return None,
    };
    (bytes < LITTLE_MEMORY).then(|| {
        let mib = bytes >> 20;
        doubt(
            "memory",
            Severity::Warning,
            format!("{whose} {mib} MiB of memory: pools of processes may be ended for want of it"),
            format!("{remedy}, or keep to few workers and small inputs"),
        )
    })
}

fn open_files(machine: &Machine) -> Option<Doubt> {
    let files = machine.open_files.filter(|&files| files < FEW_FILES)?;
    let remedy = match in_container(machine) {
        true => "`ulimit -n 65536`, or `docker run --ulimit nofile=65536` if that is refused",
        false => "`ulimit -n 65536` in the shell that runs manyhands",
    };
    let finding =
        format!("a process may open {files} files: work with many connections or workers may fail");
    Some(doubt("open-files", Severity::Warning, finding, remedy))
}

fn processes(machine: &Machine) -> Option<Doubt> {
    let processes = machine.processes.filter(|&processes| processes < FEW_PROCESSES)?;
    let remedy = match in_container(machine) {
        true => "`ulimit -u 65536`, or `docker run --pids-limit=-1` if that is not the limit",
        false => "`ulimit -u 65536` in the shell that runs manyhands",
    };
    let finding =
        format!("{processes} processes and threads may exist: a thread for each task may fail");
    Some(doubt("processes", Severity::Warning, finding, remedy))
}

fn smt(machine: &Machine) -> Option<Doubt> {
    machine.smt.filter(|&on| on)?;
    let (beyond, remedy) = match machine.physical_cores {
        Some(cores) => (
            plural(cores, "worker"),
            format!("read scaling up to {}; expect a bend there", plural(cores, "worker")),
        ),
        None => ("half of the workers".to_owned(), "expect a bend in scaling curves".to_owned()),
    };
    Some(doubt(
        "smt",
        Severity::Note,
        format!("SMT is on: beyond {beyond}, two of them share a core and each gets less of it"),
        remedy,
    ))
}

fn virtual_machine(machine: &Machine) -> Option<Doubt> {
    // What else is around us, a container, is of no matter here.
    let mut found = machine.virtualization.as_deref()?.split(", ");
    let hypervisor = found.find(|part| part.starts_with(host::VIRTUAL_MACHINE))?;
    Some(doubt(
        "virtual-machine",
        Severity::Note,
        format!(
            "this is a {hypervisor}: what neighbours do shows in its times, cores may be shared"
        ),
        "compare within one run, not with other machines; look at the noise floor first",
    ))
}

fn in_container(machine: &Machine) -> bool {
    machine.virtualization.as_deref().is_some_and(|found| found.contains(host::CONTAINER))
}

fn doubt(
    code: &str,
    severity: Severity,
    finding: impl Into<String>,
    remedy: impl Into<String>,
) -> Doubt {
    Doubt { code: code.to_owned(), severity, finding: finding.into(), remedy: remedy.into() }
}

fn plural(n: u32, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that nothing speaks against.
    fn sound() -> Machine {
        Machine {
            os: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            logical_cores: 8,
            physical_cores: Some(8),
            affinity: Some(8),
            quota: None,
            usable_cores: 8,
            smt: Some(false),
            governor: Some("performance".to_owned()),
            memory: Some(32 << 30),
            memory_limit: None,
            load: Some(0.1),
            steal: Some(0.001),
            open_files: Some(65536),
            processes: Some(128_000),
            clock_source: Some("tsc".to_owned()),
            virtualization: None,
            ..Machine::default()
        }
    }

    /// Codes and severities of what speaks against it.
    fn found(machine: &Machine) -> Vec<(String, Severity)> {
        of_machine(machine).map(|doubt| (doubt.code, doubt.severity)).collect()
    }

    #[track_caller]
    fn only(machine: &Machine, code: &str, severity: Severity) -> Doubt {
        assert_eq!(found(machine), [(code.to_owned(), severity)]);
        of_machine(machine).next().expect("there is one")
    }

    #[test]
    fn a_sound_machine_raises_no_doubt() {
        assert_eq!(found(&sound()), []);
    }

    #[test]
    fn what_is_absent_raises_no_doubt() {
        let unknown = Machine { logical_cores: 8, usable_cores: 8, ..Machine::default() };
        assert_eq!(found(&unknown), []);
    }

    #[test]
    fn a_debug_build_is_serious_and_a_release_build_is_fine() {
        assert_eq!(of_build(true).map(|doubt| doubt.severity), Some(Severity::Serious));
        assert_eq!(of_build(false), None);
    }

    #[test]
    fn the_worst_comes_first() {
        let busy = Machine { load: Some(9.0), smt: Some(true), usable_cores: 2, ..sound() };
        let severities: Vec<Severity> = doubts(&busy).iter().map(|doubt| doubt.severity).collect();
        assert!(severities.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn load_counts_per_core_and_becomes_serious() {
        assert_eq!(found(&Machine { load: Some(2.4), ..sound() }), []);
        only(&Machine { load: Some(2.5), ..sound() }, "load", Severity::Warning);
        only(&Machine { load: Some(8.5), ..sound() }, "load", Severity::Serious);
    }

    #[test]
    fn steal_above_one_percent_is_a_doubt() {
        only(&Machine { steal: Some(0.02), ..sound() }, "steal", Severity::Warning);
        only(&Machine { steal: Some(0.2), ..sound() }, "steal", Severity::Serious);
    }

    #[test]
    fn few_cores_on_a_large_machine_are_blamed_on_what_withholds_them() {
        let withheld = Machine { affinity: Some(2), usable_cores: 2, ..sound() };
        let remedy = only(&withheld, "few-cores", Severity::Warning).remedy;
        assert!(remedy.contains("the machine has 8"), "{remedy}");
        let small = Machine { logical_cores: 2, affinity: Some(2), usable_cores: 2, ..sound() };
        let remedy = only(&small, "few-cores", Severity::Warning).remedy;
        assert!(remedy.contains("4 cores or more"), "{remedy}");
    }

    #[test]
    fn a_quota_is_a_doubt_only_below_what_affinity_allows() {
        assert_eq!(found(&Machine { quota: Some(8.0), ..sound() }), []);
        let limited = Machine { quota: Some(5.5), usable_cores: 5, ..sound() };
        let outside = only(&limited, "quota", Severity::Warning);
        assert!(outside.finding.contains("5.5 CPUs of 8"), "{}", outside.finding);
        assert!(outside.remedy.contains("stay within 5 workers"), "{}", outside.remedy);
        assert!(!outside.remedy.contains("docker"), "{}", outside.remedy);
        let inside = Machine { virtualization: Some("container (docker)".to_owned()), ..limited };
        let remedy = only(&inside, "quota", Severity::Warning).remedy;
        assert!(remedy.contains("docker run --cpus=8"), "{remedy}");
    }

    #[test]
    fn a_governor_other_than_performance_is_a_doubt() {
        let saving = Machine { governor: Some("powersave".to_owned()), ..sound() };
        only(&saving, "governor", Severity::Warning);
    }

    #[test]
    fn a_memory_limit_counts_only_below_what_the_machine_has() {
        assert_eq!(found(&Machine { memory_limit: Some(1 << 60), ..sound() }), []);
        let limited = Machine { memory_limit: Some(512 << 20), ..sound() };
        let finding = only(&limited, "memory", Severity::Warning).finding;
        assert!(finding.starts_with("the cgroup grants 512 MiB"), "{finding}");
        let small = Machine { memory: Some(1 << 30), memory_limit: Some(2 << 30), ..sound() };
        let finding = only(&small, "memory", Severity::Warning).finding;
        assert!(finding.starts_with("the machine has 1024 MiB"), "{finding}");
    }

    #[test]
    fn few_open_files_name_the_command_that_helps() {
        let few = Machine { open_files: Some(1024), ..sound() };
        let remedy = only(&few, "open-files", Severity::Warning).remedy;
        assert!(remedy.contains("`ulimit -n 65536`"), "{remedy}");
    }

    #[test]
    fn few_processes_are_a_doubt() {
        only(&Machine { processes: Some(100), ..sound() }, "processes", Severity::Warning);
    }

    #[test]
    fn a_clock_read_by_system_call_is_a_doubt_and_a_fast_one_is_not() {
        for fast in FAST_CLOCKS {
            assert_eq!(found(&Machine { clock_source: Some(fast.to_owned()), ..sound() }), []);
        }
        let slow = Machine { clock_source: Some("hpet".to_owned()), ..sound() };
        only(&slow, "clock-source", Severity::Warning);
    }

    #[test]
    fn smt_names_the_physical_cores() {
        let smt = Machine { smt: Some(true), physical_cores: Some(4), ..sound() };
        let finding = only(&smt, "smt", Severity::Note).finding;
        assert!(finding.contains("beyond 4 workers"), "{finding}");
    }

    #[test]
    fn a_virtual_machine_is_noted_and_a_container_alone_is_not() {
        let with = |found: &str| Machine { virtualization: Some(found.to_owned()), ..sound() };
        assert_eq!(found(&with("container (docker)")), []);
        only(&with("virtual machine (KVM)"), "virtual-machine", Severity::Note);
    }

    #[test]
    fn every_doubt_is_one_line_with_a_remedy() {
        let worst = Machine {
            logical_cores: 2,
            usable_cores: 1,
            quota: Some(0.5),
            smt: Some(true),
            governor: Some("powersave".to_owned()),
            memory: Some(1 << 30),
            load: Some(3.0),
            steal: Some(0.5),
            open_files: Some(256),
            processes: Some(256),
            clock_source: Some("acpi_pm".to_owned()),
            virtualization: Some("virtual machine, container (docker)".to_owned()),
            ..sound()
        };
        let doubts: Vec<Doubt> = of_machine(&worst).collect();
        assert_eq!(doubts.len(), 11);
        for doubt in doubts {
            assert!(!doubt.finding.contains('\n') && !doubt.remedy.contains('\n'), "{doubt:?}");
            assert!(!doubt.finding.is_empty() && !doubt.remedy.is_empty(), "{doubt:?}");
        }
    }
}
