//! The workload's side of a server: start it, know its address, end it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use manyhands_contract::{Context, Handover, InputError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::limits::raise_open_files;
use super::spec::Spec;

/// How long a server may take to tell its address. It takes milliseconds; a machine under heavy
/// load may need more, and a program that is no server must not be waited for without end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key of its address in a handover.
const ADDRESS: &str = "server";
/// The key of its process, which the harness leaves out when it adds up a cell's memory.
const PROCESS: &str = "server-process";

/// A server that this process started or, in a worker process, that the first one started.
/// Dropping it ends it, where it was started.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    child: Child,
    /// Who started it. `processes:fork` copies this value into every worker, and a worker that
    /// ends must not take the server from the others.
    starter: u32,
}

impl Server {
    /// The server of a workload that is being prepared: a new one, or the one handed over.
    /// Leaves no thread behind. Raises this process's limit on open files as well, because a
    /// request in flight is a connection at either end.
    ///
    /// # Errors
    /// When the helper cannot be started, does not tell an address, or none was handed over.
    pub fn of(context: &Context<'_>, spec: &Spec) -> Result<Self, InputError> {
        raise_open_files();
        match context.handover {
            Some(handover) => Self::handed_over(handover),
            None => Self::spawn(context.helper, spec),
        }
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When the helper cannot be started or does not tell an address.
    pub fn spawn(helper: &Path, spec: &Spec) -> Result<Self, InputError> {
        Self::spawn_within(helper, spec, PATIENCE)
    }

    fn spawn_within(helper: &Path, spec: &Spec, patience: Duration) -> Result<Self, InputError> {
        let failed = |reason: String| {
            InputError(format!("cannot start the server {}: {reason}", helper.display()))
        };
        let mut child = Command::new(helper)
            .args(["__manyhands", "serve"])
            .args(spec.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        // From here on dropping `own` ends the child.
        let mut own = Own { child, starter: std::process::id() };
        let line =
            read_line(stdout, patience).map_err(|why| failed(why.explain(&mut own.child)))?;
        let address = line.trim().parse().map_err(|_| {
            failed(format!("it said '{}' instead of its address", line.trim().escape_debug()))
        })?;
        Ok(Self { address, own: Some(own) })
    }

    fn handed_over(handover: &Handover) -> Result<Self, InputError> {
        let address = handover.get(ADDRESS).and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| {
            InputError::new("the first process handed no server's address over to its workers")
        })?;
        Ok(Self { address, own: None })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, where it was started.
    pub fn process(&self) -> Option<u32> {
        self.own.as_ref().map(|own| own.child.id())
    }

    /// What worker processes must know to find it, as `server`; and `server-process`, its process.
    pub fn handover(&self) -> Handover {
        let address = (ADDRESS.to_owned(), self.address.to_string());
        let process = self.process().map(|id| (PROCESS.to_owned(), id.to_string()));
        process.into_iter().chain([address]).collect()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.starter != std::process::id() {
            return;
        }
        // Killed rather than asked, since it has nothing to save; waited for, so that no zombie
        // stays in the tree whose memory is being measured. It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why there was no line.
enum Silence {
    Ended,
    TooLong(Duration),
    Broken(std::io::Error),
}

impl Silence {
    fn explain(self, child: &mut Child) -> String {
        match self {
            Self::Ended => match child.wait() {
                Ok(status) => format!("it ended at once ({status}); its own words are in the log"),
                Err(error) => format!("it closed its output: {error}"),
            },
            Self::TooLong(patience) => format!("it told no address within {patience:?}"),
            Self::Broken(error) => error.to_string(),
        }
    }
}

/// Reads one line, byte by byte: there is only one. Polls, instead of leaving a reading thread
/// behind to be waited for: `processes:fork` forks after this.
fn read_line(mut stdout: ChildStdout, patience: Duration) -> Result<String, Silence> {
    let deadline = Instant::now() + patience;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("patience fits in a timespec");
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(Silence::TooLong(patience)),
            Ok(_) => match stdout.read(&mut byte).map_err(Silence::Broken)? {
                0 => return Err(Silence::Ended),
                _ => line.push(byte[0]),
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Silence::Broken(error.into())),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::num::NonZeroUsize;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    const SPEC: Spec =
        Spec { seed: 1, delay: Duration::ZERO, bytes: 1, capacity: NonZeroUsize::MIN };

    /// A program that behaves like a server, or badly.
    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("helper");
        let mut file = File::create(&path).expect("a file");
        writeln!(file, "#!/bin/sh\n{script}").expect("written");
        let mode = fs::Permissions::from_mode(0o755);
        file.set_permissions(mode).expect("executable");
        path
    }

    /// Also a dead one that nobody has waited for.
    fn exists(process: u32) -> bool {
        let id = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::test_kill_process(id.expect("a process")).is_ok()
    }

    fn spawn(script: &str, patience: Duration) -> Result<Server, InputError> {
        let folder = tempfile::tempdir().expect("a folder");
        let program = program(folder.path(), script);
        loop {
            match Server::spawn_within(&program, &SPEC, patience) {
                // Another test's child, not yet replaced by its program, still has our file open.
                Err(InputError(reason)) if reason.contains("Text file busy") => {}
                result => return result,
            }
        }
    }

    fn refusal(script: &str, patience: Duration) -> String {
        let InputError(reason) = spawn(script, patience).expect_err("a bad server");
        reason.split_once("/helper: ").expect("the program is named").1.to_owned()
    }

    #[test]
    fn a_server_is_started_in_its_role_and_gone_when_dropped() {
        // A server only if it is given its role; then it waits for its input to close.
        let script = r#"[ "$1 $2 $3" = "__manyhands serve seed=1" ] || exit 1
            echo 127.0.0.1:$(($$ % 60000 + 1)); exec cat"#;
        let server = spawn(script, PATIENCE).expect("a server");
        let id = server.process().expect("it was started here");
        assert_eq!(u32::from(server.address().port()), id % 60_000 + 1);
        assert!(exists(id));
        drop(server);
        assert!(!exists(id), "killed and waited for");
    }

    #[test]
    fn a_program_that_is_no_server_is_refused_with_what_it_did() {
        assert_eq!(
            refusal("exit 3", PATIENCE),
            "it ended at once (exit status: 3); its own words are in the log"
        );
        assert_eq!(refusal("echo hello; cat", PATIENCE), "it said 'hello' instead of its address");
        assert_eq!(
            refusal("printf 127.0; exec cat", Duration::from_millis(50)),
            "it told no address within 50ms"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Server::spawn("/no/such/helper".as_ref(), &SPEC).unwrap_err().to_string();
        assert!(error.starts_with("cannot start the server /no/such/helper: No such file"));
    }

    #[test]
    fn a_copy_in_a_forked_worker_leaves_the_server_alone() {
        let mut server = spawn("echo 127.0.0.1:1; exec cat", PATIENCE).expect("a server");
        let mut own = server.own.take().expect("it was started here");
        // As if this process were a fork of the one that started it.
        own.starter += 1;
        let id = own.child.id();
        drop(own);
        assert!(exists(id), "it was not killed");
    }

    #[test]
    fn a_worker_uses_the_address_that_was_handed_over_or_says_that_none_was() {
        let first = Server { address: ([127, 0, 0, 1], 7).into(), own: None };
        let second = Server::handed_over(&first.handover()).expect("handed over");
        assert_eq!(second.address(), first.address());
        assert!(Server::handed_over(&Handover::new()).is_err());
    }
}
