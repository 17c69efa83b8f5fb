//! Processes that lock files. The kernel knows who waits for whom, and refuses the lock that
//! would close a circle: `EDEADLK`, fcntl(2).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, ExitCode};

use manyhands_contract::{Answer, Experiment, ProbeError, TaskError};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::graph::Lock;
use super::{Order, Plan, START, TASKS, deadlocked, transfer};
use crate::overhead::helpers::{Helpers, Process, Report, add, command, refused};
use crate::overhead::sys::{self, Usage};

/// Orders: run task 0 or 1, go on from the meeting, say what you have used.
const RUN: [u8; TASKS] = [b'0', b'1'];
const GO: u8 = b'g';
const USAGE: u8 = b'u';
/// Replies besides that to an order for usage: the task is done, it has one lock and is ready to
/// meet, the kernel refused it a lock.
const DONE: u8 = b'd';
const MEET: u8 = b'm';
const REFUSED: u8 = b'r';

/// `processes`: an account is a file, which its lock is on.
pub(super) struct Processes {
    plan: Plan,
    files: Files,
    workers: Vec<Worker>,
    helpers: Helpers,
}

struct Worker {
    orders: ChildStdin,
    replies: ChildStdout,
}

impl Worker {
    fn tell(&mut self, order: u8) -> Result<(), TaskError> {
        let ended = |error| TaskError(format!("a process ended: {error}"));
        self.orders.write_all(&[order]).map_err(ended)
    }

    fn hear(&mut self) -> Result<Report, TaskError> {
        let ended =
            |error| TaskError(format!("a process ended: {error}; its own words are in the log"));
        Report::read(&mut self.replies).map_err(ended)
    }
}

impl Processes {
    pub(super) fn start(helper: &Path, plan: Plan) -> Result<Self, ProbeError> {
        let files = Files::create().map_err(|error| {
            ProbeError::Failed(format!("cannot make two files to lock: {error}"))
        })?;
        let (mut workers, mut helpers) = (Vec::new(), Helpers::default());
        for index in 0..plan.workers {
            let mut command = command(helper, "deadlock");
            command.args(files.paths()).arg(plan.transfers.to_string());
            command.args([order_word(plan.order), if plan.meets() { "meet" } else { "alone" }]);
            let piped = std::process::Stdio::piped;
            let mut child = command
                .stdin(piped())
                .stdout(piped())
                .spawn()
                .map_err(|error| refused("process", index, plan.workers, &error))?;
            let (orders, replies) = (child.stdin.take(), child.stdout.take());
            helpers.push(Process::Started(child));
            let (orders, replies) = orders.zip(replies).expect("both are piped");
            workers.push(Worker { orders, replies });
        }
        let mut this = Self { plan, files, workers, helpers };
        // They have started when they answer.
        this.others_usage().map_err(|TaskError(why)| ProbeError::Failed(why))?;
        Ok(this)
    }

    fn run_both(&mut self) -> Result<(), TaskError> {
        for (worker, order) in self.workers.iter_mut().zip(RUN) {
            worker.tell(order)?;
        }
        if self.plan.meets() {
            // All replies before the first order: each has its first lock when one goes on.
            self.hear_all(MEET)?;
            self.workers.iter_mut().try_for_each(|worker| worker.tell(GO))?;
        }
        self.hear_all(DONE)
    }

    fn hear_all(&mut self, expected: u8) -> Result<(), TaskError> {
        let mut refused = None;
        for (index, worker) in self.workers.iter_mut().enumerate() {
            match worker.hear()?.word {
                REFUSED => refused = Some(index),
                word if word == expected => {}
                word => {
                    let word = char::from(word);
                    return Err(TaskError(format!("process {index} said '{word}' out of turn")));
                }
            }
        }
        refused.map_or(Ok(()), |worker| Err(deadlocked(&self.circle(worker))))
    }

    /// The processes met with their first lock in hand, and the kernel says that the second one
    /// closed a circle: with two of each there is only one.
    fn circle(&self, refused: usize) -> String {
        let sentence = |worker| {
            let [first, second] = self.plan.locks(worker);
            format!("worker {worker} holds {first} and waits for {second}")
        };
        let sentences: Vec<_> = (0..TASKS).map(sentence).collect();
        format!(
            "{} (the kernel saw it and refused worker {refused} its second lock: EDEADLK)",
            sentences.join("; ")
        )
    }
}

impl Experiment for Processes {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        self.files.reset().map_err(|error| TaskError(format!("cannot reset accounts: {error}")))?;
        if self.plan.workers < TASKS {
            for order in RUN {
                self.workers[0].tell(order)?;
                self.hear_all(DONE)?;
            }
        } else {
            self.run_both()?;
        }
        let accounts = self.files.balances().map_err(TaskError::new)?;
        Ok(self.plan.answer(TASKS as u64 * self.plan.transfers, accounts))
    }

    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        let mut sum = Usage::default();
        for worker in &mut self.workers {
            worker.tell(USAGE)?;
            sum = add(sum, worker.hear()?.usage);
        }
        Ok(sum)
    }

    fn actual(&self) -> (usize, usize) {
        (self.workers.len(), self.workers.len())
    }

    fn tasks(&self) -> usize {
        TASKS
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        vec![
            ("construct", "two files under fcntl locks, a process per task".to_owned()),
            ("transport", "the two files".to_owned()),
            ("watchdog", "the kernel".to_owned()),
        ]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.workers); // they see the end of their orders
        self.helpers.end()
    }
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Same => "same",
        Order::Opposite => "opposite",
    }
}

/// The two accounts. Removed when dropped.
struct Files {
    folder: PathBuf,
    accounts: [File; 2],
}

impl Files {
    fn create() -> io::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("manyhands-deadlock-{}", std::process::id()));
        // A file of that name, or a folder that somebody else made, is an error: it is not ours.
        fs::create_dir(&folder)?;
        let account = |name| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).open(folder.join(name))
        };
        let accounts = account("a").and_then(|a| Ok([a, account("b")?]));
        let accounts = accounts.inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
        Ok(Self { folder, accounts })
    }

    fn paths(&self) -> [PathBuf; 2] {
        ["a", "b"].map(|name| self.folder.join(name))
    }

    fn reset(&self) -> io::Result<()> {
        self.accounts.iter().try_for_each(|account| put(account, START))
    }

    fn balances(&self) -> io::Result<[u64; 2]> {
        Ok([get(&self.accounts[0])?, get(&self.accounts[1])?])
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn put(account: &File, balance: u64) -> io::Result<()> {
    account.write_all_at(&balance.to_le_bytes(), 0)
}

fn get(account: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    account.read_exact_at(&mut bytes, 0)?;
    Ok(u64::from_le_bytes(bytes))
}

/// `probe deadlock A B TRANSFERS ORDER MEET`: a worker's life.
pub(in crate::overhead) fn main(arguments: &[String]) -> ExitCode {
    match Clerk::new(arguments).and_then(|mut clerk| clerk.serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deadlock: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A worker process.
struct Clerk {
    plan: Plan,
    accounts: [File; 2],
    orders: File,
    replies: File,
}

/// How a task ended.
enum End {
    Done,
    Refused,
}

impl Clerk {
    fn new(arguments: &[String]) -> io::Result<Self> {
        let [a, b, transfers, order, meet] = arguments else {
            return Err(io::Error::other("it is started by a run"));
        };
        let order = if order == "opposite" { Order::Opposite } else { Order::Same };
        let workers = if meet == "meet" { TASKS } else { 1 };
        let transfers = transfers.parse().map_err(io::Error::other)?;
        let open = |path| OpenOptions::new().read(true).write(true).open(path);
        Ok(Self {
            plan: Plan { order, transfers, workers },
            accounts: [open(a)?, open(b)?],
            orders: File::from(io::stdin().as_fd().try_clone_to_owned()?),
            replies: File::from(io::stdout().as_fd().try_clone_to_owned()?),
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        while let Some(order) = self.order()? {
            match RUN.iter().position(|run| *run == order) {
                Some(task) => {
                    let word = match self.run(task)? {
                        End::Done => DONE,
                        End::Refused => REFUSED,
                    };
                    self.reply(word)?;
                }
                None => self.reply(order)?,
            }
        }
        Ok(())
    }

    /// Nothing when there will be no more.
    fn order(&mut self) -> io::Result<Option<u8>> {
        let mut order = [0];
        Ok((self.orders.read(&mut order)? > 0).then_some(order[0]))
    }

    fn reply(&mut self, word: u8) -> io::Result<()> {
        self.replies.write_all(&Report { word, usage: sys::own_usage() }.to_bytes())
    }

    fn run(&mut self, task: usize) -> io::Result<End> {
        let [first, second] = self.plan.locks(task);
        for number in 0..self.plan.transfers {
            self.lock(first)?;
            if number == 0 && self.plan.meets() {
                self.reply(MEET)?;
                self.order()?;
            }
            match self.lock(second) {
                Err(Errno::DEADLK) => {
                    self.unlock(first)?;
                    return Ok(End::Refused);
                }
                locked => locked?,
            }
            let [a, b] = &self.accounts;
            let (mut in_a, mut in_b) = (get(a)?, get(b)?);
            transfer(task, &mut in_a, &mut in_b);
            put(a, in_a)?;
            put(b, in_b)?;
            self.unlock(second)?;
            self.unlock(first)?;
        }
        Ok(End::Done)
    }

    fn lock(&self, lock: Lock) -> rustix::io::Result<()> {
        fcntl_lock(&self.accounts[lock.index()], FlockOperation::LockExclusive)
    }

    fn unlock(&self, lock: Lock) -> rustix::io::Result<()> {
        fcntl_lock(&self.accounts[lock.index()], FlockOperation::Unlock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_files_that_go_away() {
        let files = Files::create().expect("two files");
        files.reset().expect("reset");
        assert_eq!(files.balances().expect("read"), [START; 2]);
        let folder = files.folder.clone();
        drop(files);
        assert!(!folder.exists());
    }
}
