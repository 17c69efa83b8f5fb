//! A command as what a cell measures: each sample is one process of the user's own program.
//!
//! The time of a sample goes from just before the process is started until it has been waited
//! for, as in hyperfine. CPU time and context switches are those that `wait4` gives with the
//! process: its own and those of its descendants that were waited for before it ended. What a
//! command starts and does not wait for is missing there; such a process is ended when the launch
//! is, and fails it by name.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};

use manyhands_contract::Answer;
use manyhands_record::{Card, Failure, FailureKind};
use sha2::{Digest, Sha256};

use super::parent::signal_name;
use super::wire::{WireCommand, WirePrepare, WireReady};
use crate::executors::{Actual, Running};
use crate::measure::{Clock, Usage};
use crate::versions;

/// How much of the end of a failed command's output is kept.
const TAIL: usize = 2048;

/// The answer of a command whose output is not compared: it came through.
pub(crate) fn unchecked_answer() -> Answer {
    Answer::new().count("exit", 0)
}

/// Gets a command ready; nothing of it is started before the first sample.
pub(super) fn start(
    order: &WirePrepare,
    command: &WireCommand,
) -> Result<(Box<dyn Running>, WireReady), Failure> {
    let clock = Clock::start();
    let running = Commanding::new(command);
    let ready = WireReady {
        version: versions::MANYHANDS.to_owned(),
        card: card(command, order.workers),
        prepare_ns: 0,
        startup_ns: clock.elapsed_ns(),
        // The memory of a command is its own alone: before it is started there is none.
        empty_bytes: None,
        before_bytes: None,
    };
    Ok((Box::new(running), ready))
}

/// The fairness card. How many threads and processes a program starts for so many workers is its
/// own affair: the card has what it was told.
fn card(command: &WireCommand, workers: u32) -> Card {
    let output = if command.check_output {
        "read through a pipe; its SHA-256 is the answer"
    } else {
        "discarded to /dev/null"
    };
    let mut notes = vec![
        ("arguments", shown(&command.words[1..])),
        ("standard output", output.to_owned()),
        ("threads", "as the command was told; its memory launch counted those it had".to_owned()),
    ];
    let around = [("prepare", &command.prepare), ("cleanup", &command.cleanup)];
    notes.extend(around.into_iter().filter_map(|(key, words)| Some((key, shown(words.as_ref()?)))));
    Card {
        construct: "a process of its own".to_owned(),
        library: command.program.display().to_string(),
        threads: workers,
        processes: 1,
        tasks: 1,
        chunk: 1,
        transport: "none".to_owned(),
        notes: notes.into_iter().map(|(key, note)| (key.to_owned(), note)).collect(),
    }
}

/// Words as one would type them to a shell.
fn shown(words: &[String]) -> String {
    shell_words::join(words)
}

/// A command that is run once a sample.
struct Commanding {
    command: Command,
    /// As one would type it, for failures.
    shown: String,
    prepare: Option<Vec<String>>,
    cleanup: Option<Vec<String>>,
    /// What the samples' processes have used so far.
    used: Usage,
}

impl Commanding {
    fn new(order: &WireCommand) -> Self {
        let mut command = Command::new(&order.program);
        let output = if order.check_output { Stdio::piped() } else { Stdio::null() };
        command
            .arg0(&order.words[0])
            .args(&order.words[1..])
            .stdin(Stdio::null())
            .stdout(output)
            // A group of its own: what the command sends to its group must not reach the cell.
            .process_group(0);
        Self {
            command,
            shown: shown(&order.words),
            prepare: order.prepare.clone(),
            cleanup: order.cleanup.clone(),
            used: Usage::default(),
        }
    }

    /// Runs the command to its end. The timed region holds nothing but this, and this nothing
    /// but what the command needs.
    fn run(&mut self) -> Result<(ExitStatus, Option<Printed>), Failure> {
        let mut child = self.command.spawn().map_err(|error| cannot_start(&self.shown, &error))?;
        let printed = child.stdout.take().map(Printed::read).transpose();
        let (status, used) = Usage::wait(child).map_err(|error| {
            failed(FailureKind::Error, format!("cannot wait for `{}`: {error}", self.shown))
        })?;
        self.used = self.used + used;
        let printed = printed.map_err(|error| {
            failed(FailureKind::Error, format!("cannot read what `{}` prints: {error}", self.shown))
        })?;
        Ok((status, printed))
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let (status, printed) = self.run()?;
        if !status.success() {
            // Its errors are in the cell's log already; what it printed belongs there too.
            printed.iter().for_each(Printed::log);
            return Err(died(&self.shown, status));
        }
        Ok(printed.map_or_else(unchecked_answer, Printed::answer))
    }

    fn clean_up(&self) -> Result<(), Failure> {
        beside("--cleanup", self.cleanup.as_deref())
    }
}

impl Running for Commanding {
    fn reset(&mut self) -> Result<(), Failure> {
        beside("--prepare", self.prepare.as_deref())
    }

    fn sample(&mut self) -> Result<Answer, Failure> {
        let answer = self.answer();
        if answer.is_err() {
            // What was prepared is cleaned up all the same; the first failure is the one to tell.
            let _ = self.clean_up();
        }
        answer
    }

    fn after_sample(&mut self) -> Result<(), Failure> {
        self.clean_up()
    }

    fn works_elsewhere(&self) -> bool {
        true
    }

    fn workers_usage(&mut self) -> Result<Usage, Failure> {
        Ok(self.used)
    }

    fn actual(&self) -> Actual {
        Actual { threads: 1, processes: 1 }
    }

    fn tasks_and_chunk(&self) -> (usize, usize) {
        (1, 1)
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a command wrote to its standard output.
struct Printed {
    digest: Sha256,
    bytes: u64,
    /// Its end.
    tail: Vec<u8>,
}

impl Printed {
    /// Reads to the end in flat memory.
    fn read(mut pipe: ChildStdout) -> std::io::Result<Self> {
        let mut printed = Self { digest: Sha256::new(), bytes: 0, tail: Vec::new() };
        let mut block = vec![0; 64 << 10];
        loop {
            match pipe.read(&mut block) {
                Ok(0) => return Ok(printed),
                Ok(count) => printed.take(&block[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, block: &[u8]) {
        self.digest.update(block);
        self.bytes += block.len() as u64;
        self.tail.extend_from_slice(&block[block.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    fn answer(self) -> Answer {
        let digest = self.digest.finalize();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Answer::new().text("sha256", digest).count("bytes", self.bytes)
    }

    fn log(&self) {
        eprintln!("{}", String::from_utf8_lossy(&self.tail));
    }
}

/// Runs what belongs before or after a sample; what it prints goes to the cell's log.
fn beside(flag: &str, words: Option<&[String]>) -> Result<(), Failure> {
    let Some(words) = words else { return Ok(()) };
    let (Some(program), what) = (words.first(), format!("{flag} {}", shown(words))) else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command.args(&words[1..]).stdin(Stdio::null()).process_group(0);
    let status = command.status().map_err(|error| cannot_start(&what, &error))?;
    if status.success() { Ok(()) } else { Err(died(&what, status)) }
}

fn cannot_start(what: &str, error: &std::io::Error) -> Failure {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOEXEC) => {
            "; it is no program of this machine, or a script without its first line '#!...'"
        }
        Some(libc::EAGAIN | libc::ENOMEM) => "; raise the limit on processes (ulimit -u)",
        _ => "",
    };
    failed(FailureKind::Error, format!("cannot start `{what}`: {error}{remedy}"))
}

fn died(what: &str, status: ExitStatus) -> Failure {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => format!("ended with {status}"),
    };
    failed(FailureKind::Died, format!("`{what}` {how}"))
}

fn failed(kind: FailureKind, reason: String) -> Failure {
    Failure { kind, reason, log: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> WireCommand {
        WireCommand {
            program: words[0].into(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            prepare: None,
            cleanup: None,
            check_output: false,
        }
    }

    fn answer(command: &WireCommand) -> Result<String, Failure> {
        Commanding::new(command).sample().map(|answer| answer.to_json().to_string())
    }

    #[test]
    fn a_command_that_comes_through_answers_with_its_exit_code() {
        assert_eq!(answer(&command(&["/bin/sh", "-c", "echo x"])).unwrap(), "{\"exit\":0}");
    }

    #[test]
    fn checked_output_is_answered_by_its_digest_and_length() {
        let checked =
            WireCommand { check_output: true, ..command(&["/bin/sh", "-c", "printf abc"]) };
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!("{{\"sha256\":\"{abc}\",\"bytes\":3}}");
        assert_eq!(answer(&checked).unwrap(), expected);
    }

    #[test]
    fn codes_and_signals_are_failures_that_name_the_command() {
        let failure = |script| answer(&command(&["/bin/sh", "-c", script])).unwrap_err();
        assert_eq!(failure("exit 3").reason, "`/bin/sh -c 'exit 3'` exited with code 3");
        let killed = failure("kill -9 $$");
        assert_eq!(killed.kind, FailureKind::Died);
        assert!(killed.reason.ends_with("was killed by signal 9 (SIGKILL)"), "{}", killed.reason);
        let missing = answer(&command(&["/no/such/program"])).unwrap_err().reason;
        assert!(missing.starts_with("cannot start `/no/such/program`: "), "{missing}");
    }

    #[test]
    fn its_cpu_time_is_that_of_its_tree_and_not_ours() {
        let mut running = Commanding::new(&command(&[
            "/bin/sh",
            "-c",
            "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'",
        ]));
        let before = running.workers_usage().unwrap();
        running.sample().unwrap();
        let used = running.workers_usage().unwrap().since(&before);
        assert!(used.user_ns + used.system_ns > 1_000_000, "{used:?}");
        assert!(running.works_elsewhere());
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        let mut printed = Printed { digest: Sha256::new(), bytes: 0, tail: Vec::new() };
        printed.take(&[b'a'; 3 * TAIL]);
        printed.take(b"end");
        assert_eq!((printed.tail.len(), printed.bytes), (TAIL, 3 * TAIL as u64 + 3));
        assert!(printed.tail.ends_with(b"aend"));
    }
}
