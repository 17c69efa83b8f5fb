//! Restricting a run to some of the machine's cores.
//!
//! The affinity of this process is inherited by every process and thread that it starts, so one
//! call is enough, and what counts cores afterwards (`available_parallelism`, tokio, rayon) sees
//! those that are left. Cores share caches and, where there is SMT, execution units: which ones
//! are left matters; they are those of the lowest numbers.

/// Restricts this process, and all that it will start, to `count` of the cores that it may run
/// on: those of the lowest numbers. Returns their numbers.
///
/// # Errors
/// When it may not run on as many, or the system has no such thing.
#[cfg(target_os = "linux")]
pub fn restrict_to(count: u32) -> Result<Vec<usize>, String> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let refused = |error: rustix::io::Errno| {
        format!("the system does not let this process choose its cores: {error}; leave it out")
    };
    let allowed = sched_getaffinity(None).map_err(refused)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let cores: Vec<usize> = cores.take(count as usize).collect();
    if cores.len() < count as usize {
        return Err(format!(
            "this process may run on {} cores only; give at most that many",
            cores.len()
        ));
    }
    let mut chosen = CpuSet::new();
    cores.iter().for_each(|&core| chosen.set(core));
    sched_setaffinity(None, &chosen).map_err(refused)?;
    Ok(cores)
}

/// This system has no such thing.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn restrict_to(_count: u32) -> Result<Vec<usize>, String> {
    Err("this system does not bind processes to cores; leave it out".to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_restricted_thread_and_its_children_see_one_core() {
        // On a thread of its own: the affinity is the thread's, and other tests want all cores.
        let seen = std::thread::spawn(|| {
            let cores = restrict_to(1).expect("there is always one");
            let child = std::thread::spawn(std::thread::available_parallelism);
            let inherited = child.join().expect("it does not panic").expect("cores are counted");
            (cores.len(), inherited.get())
        });
        assert_eq!(seen.join().expect("it does not panic"), (1, 1));
    }

    #[test]
    fn more_cores_than_there_are_is_refused_with_how_many_there_are() {
        let error = restrict_to(100_000).unwrap_err();
        assert!(error.contains("cores only"), "{error}");
    }
}
