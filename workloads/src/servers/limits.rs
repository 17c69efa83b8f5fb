//! The limit on open files, which are also connections.

/// Raises this process's limit on open files to the most that it may have. Ten thousand requests
/// in flight need ten thousand connections at either end, and the usual limit is 1024: low for the
/// sake of programs that still use `select`, which none of ours does.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused, it stays as it is, and whoever opens one file too many says so.
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
