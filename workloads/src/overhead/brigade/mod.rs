//! `brigade`: a token goes from hand to hand along a ring.

mod futures;
mod processes;
mod threads;

use std::io::{self, Read, Write};
use std::time::Duration;

use manyhands_contract::limits::Need;
use manyhands_contract::{
    Answer, Definition, Experiment, Kind, Parameter, ParameterKind, Parameters, Preset, Probe,
    ProbeContext, ProbeError, Shape, TaskError,
};

pub(super) use processes::main;

/// Knuth's MMIX generator, as `spin` has it: no pass can be left out or made twice.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

/// `brigade`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "brigade",
    version: 1,
    kind: Kind::Overhead,
    shape: Shape::Probe,
    summary: "pass a token along a ring of workers: what a switch from one to the next costs",
    about: "A bucket brigade: `workers` members stand in a ring, and each waits for the token, \
            changes it and hands it on. Only one ever has something to do, so more workers make \
            nothing faster; what is measured is the way from one waiting member to the next. With \
            a pipe or a socket that way is a write, a wake-up and a read, and the writes and \
            reads alone, as many, in one thread, are measured in the same sample and taken off: \
            what is left is the switch. A future that waits on a channel is woken by a push to a \
            queue; a thread, by the kernel; on several cores the kernel often wakes it on another \
            one, which costs more than on the same. One worker hands the token to itself: its \
            switch should come out near nothing and shows how far to trust the subtraction.",
    task: "receive the token, count it down, x <- x * 6364136223846793005 + 1442695040888963407 \
           modulo 2^64, and send it to the next member",
    answer: "`passes` made, and the `token`'s x after them, from 0: the same for any number of \
             members",
    input: None,
    parameters: &[
        Parameter {
            name: "passes",
            about: "how often the token changes hands; rounded up to whole laps, in which it only \
                    travels",
            unit: "passes",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000_000 },
            default: "20000",
        },
        Parameter {
            name: "by",
            about: "what it travels by",
            unit: "",
            kind: ParameterKind::Choice(&["channel", "pipe", "socket"]),
            default: "channel",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("passes", "3000")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("passes", "200000")] },
    ],
    grows: Some("passes"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// The experiment.
#[derive(Debug)]
pub struct Brigade;

impl Probe for Brigade {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn unsupported(executor: &str, parameters: &Parameters) -> Option<String> {
        let reason = match executor {
            "sequential" | "threads" | "async" | "async:current-thread" => return None,
            "processes" if By::of(parameters) != By::Channel => return None,
            "processes" => "a channel ends where its process ends: give -p by=pipe or -p by=socket",
            "processes:fork" => "a process waits the same however it was started: see processes",
            "processes:shm" => {
                "its processes wait on a futex in shared memory, for which there is no hand-written \
                 ring; see processes with -p by=pipe"
            }
            "threads:static" | "threads:spawn" => {
                "a thread waits the same however it was started: see threads"
            }
            "rayon" => {
                "a member that waits keeps its thread from the pool, and a ring longer than the \
                 pool would never get the token round; see threads"
            }
            "async:pull" => "async has one future a member here already: see async",
            "async:blocking" => "its members would be the threads of threads: see threads",
            _ => return Some(format!("brigade has no form for {executor}")),
        };
        Some(reason.to_owned())
    }

    fn start(context: &ProbeContext<'_>) -> Result<Box<dyn Experiment>, ProbeError> {
        if let Some(reason) = Self::unsupported(context.executor, context.parameters) {
            return Err(ProbeError::Unsupported(reason));
        }
        let (executor, by) = (context.executor, By::of(context.parameters));
        let members = if executor == "sequential" { 1 } else { context.workers };
        grant(executor, by, members)?;
        let passes = context.parameters.integer("passes");
        let lead: Box<dyn Lead> = match executor {
            "sequential" | "threads" => Box::new(threads::Threads::start(by, members)?),
            "processes" => Box::new(processes::Processes::start(context.helper, by, members)?),
            "async" => Box::new(futures::Futures::multi_thread(by, members)?),
            _ => Box::new(futures::Futures::current_thread(by, members)?),
        };
        Ok(Box::new(Ring { lead, by, members, passes, took: Took::default() }))
    }
}

fn grant(executor: &str, by: By, members: usize) -> Result<(), ProbeError> {
    crate::servers::raise_open_files();
    let count = members as u64;
    // Two ends a link, and while they are handed out one more.
    let files = if by == By::Channel { 0 } else { 2 };
    let need = match executor {
        "processes" => Need::processes(count, 0),
        "threads" | "sequential" => Need { files, ..Need::threads(count) },
        _ => Need { files, ..Need::futures(count) },
    };
    need.refusal().map_or(Ok(()), |reason| Err(ProbeError::Unsupported(reason)))
}

/// What the token travels by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Channel,
    Pipe,
    Socket,
}

impl By {
    fn of(parameters: &Parameters) -> Self {
        match parameters.text("by") {
            "pipe" => Self::Pipe,
            "socket" => Self::Socket,
            _ => Self::Channel,
        }
    }
}

/// What goes round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    /// Passes that are left; at 0 it only travels on to the end of its lap.
    left: u64,
    x: u64,
}

impl Token {
    /// Two numbers, smaller than any pipe: written and read whole.
    const BYTES: usize = 16;

    fn new(passes: u64) -> Self {
        Self { left: passes, x: 0 }
    }

    /// What each member does with it.
    #[inline]
    fn pass(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            self.x = self.x.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        }
    }

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.left.to_le_bytes());
        bytes[8..].copy_from_slice(&self.x.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("half of 16 bytes"));
        Self { left: number(&bytes[..8]), x: number(&bytes[8..]) }
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; Self::BYTES];
        from.read_exact(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    fn write(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.to_bytes())
    }
}

/// What a sample took, by its two halves.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    ring: Duration,
    /// The same number of sends and receives in one thread.
    alone: Duration,
}

/// The member that the token starts from and comes back to.
trait Lead {
    /// Sends the token round so many times, then sends and receives as often alone as it changed
    /// hands: the token when it came back, and how long both took.
    fn run(&mut self, token: Token, laps: u64) -> Result<(Token, Took), TaskError>;

    /// Threads and processes that take part.
    fn actual(&self) -> (usize, usize);

    fn construct(&self) -> &'static str;

    fn transport(&self) -> &'static str;

    /// What the other members' processes have used so far.
    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        Ok([0; 4])
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError>;
}

struct Ring {
    lead: Box<dyn Lead>,
    by: By,
    members: usize,
    passes: u64,
    took: Took,
}

impl Ring {
    fn laps(&self) -> u64 {
        self.passes.div_ceil(self.members as u64)
    }
}

impl Experiment for Ring {
    fn sample(&mut self) -> Result<Answer, TaskError> {
        let (token, took) = self.lead.run(Token::new(self.passes), self.laps())?;
        self.took = took;
        let made = self.passes - token.left.min(self.passes);
        Ok(Answer::new().count("passes", made).count("token", token.x))
    }

    fn counters(&self) -> Vec<(&'static str, f64)> {
        let hands = (self.laps() * self.members as u64) as f64;
        let [pass, io] = [self.took.ring, self.took.alone].map(|t| t.as_nanos() as f64 / hands);
        vec![
            ("nanoseconds-per-pass", pass),
            ("nanoseconds-of-io", io),
            ("nanoseconds-per-switch", pass - io),
        ]
    }

    fn others_usage(&mut self) -> Result<[u64; 4], TaskError> {
        self.lead.others_usage()
    }

    fn actual(&self) -> (usize, usize) {
        self.lead.actual()
    }

    fn tasks(&self) -> usize {
        self.passes as usize
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        let transport = match self.by {
            By::Channel => self.lead.transport(),
            By::Pipe => "a pipe between neighbours",
            By::Socket => "a Unix socket pair between neighbours",
        };
        let construct = ("construct", self.lead.construct().to_owned());
        vec![construct, ("transport", transport.to_owned())]
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        self.lead.stop()
    }
}

/// A neighbour that is no longer there.
fn broken(error: impl std::fmt::Display) -> TaskError {
    TaskError(format!("the ring is broken: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parameters(by: &str) -> Parameters {
        let changes = [("passes", "1000"), ("by", by)];
        let changes = changes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        DEFINITION.parameters("quick", &changes).expect("known")
    }

    /// The end was computed by Python 3 from the definition:
    /// `for _ in range(1000): x = (x * 6364136223846793005 + 1442695040888963407) % 2**64`.
    #[test]
    fn the_token_comes_back_as_python_says_however_it_went() {
        for executor in ["sequential", "threads", "async", "async:current-thread"] {
            for by in ["channel", "pipe", "socket"] {
                for workers in [1, 2, 7] {
                    let parameters = parameters(by);
                    let helper = Path::new("/nonexistent");
                    let context = ProbeContext {
                        parameters: &parameters,
                        seed: 1,
                        executor,
                        workers,
                        helper,
                    };
                    let mut ring = Brigade::start(&context).expect("started");
                    for _ in 0..2 {
                        let answer = ring.sample().expect("a sample").to_json().to_string();
                        let expected = TOKEN_1000;
                        assert_eq!(answer, expected, "{executor} by {by} x {workers}");
                    }
                    let names: Vec<_> = ring.counters().into_iter().map(|(name, _)| name).collect();
                    assert_eq!(
                        names,
                        ["nanoseconds-per-pass", "nanoseconds-of-io", "nanoseconds-per-switch"]
                    );
                    ring.stop().expect("stopped");
                }
            }
        }
    }

    const TOKEN_1000: &str = r#"{"passes":1000,"token":"902429759771004424"}"#;

    #[test]
    fn a_token_reads_back_from_its_bytes() {
        let token = Token { left: 1 << 60, x: u64::MAX - 1 };
        assert_eq!(Token::read(&mut &token.to_bytes()[..]).expect("whole"), token);
    }

    #[test]
    fn a_channel_does_not_reach_another_process() {
        let reason = Brigade::unsupported("processes", &parameters("channel")).expect("a reason");
        assert!(reason.contains("-p by=pipe"), "{reason}");
        assert_eq!(Brigade::unsupported("processes", &parameters("pipe")), None);
    }
}
