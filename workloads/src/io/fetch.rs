//! `fetch`: many small pages from a server that takes its time over each.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

use manyhands_contract::{
    Answer, Bound, Context, Definition, Handover, InputError, Kind, Map, Parameter, ParameterKind,
    Parameters, Preset, Region, Shape, Step, TaskError, Workload,
};

use super::downloads::{Digests, Totals};
use super::http::{self, Client, Connection};
use crate::servers::{Delays, Server, Spec};

static DEFINITION: Definition = Definition {
    name: "fetch",
    version: 1,
    kind: Kind::Io,
    shape: Shape::Map,
    summary: "get many web pages, each of which takes the server a while",
    about: "Calls of a web API, a scraper's list of pages: many small requests, nearly all of whose \
            time is waiting. Each task gets one page over HTTP and digests it; connections are kept \
            and used again. The server is a process of its own on this machine and works on any \
            number of pages at once: page i takes it floor(m / 2) + below(i, m) nanoseconds of \
            stream 1 (half to one and a half times the mean m), the same under every executor. \
            With w requests in flight the waits overlap, so expect close to w times the speed of \
            sequential under *every* executor, whatever the number of cores, until one of two \
            limits: the slowest page, which nobody can beat, or the processors, because sending, \
            receiving and digesting a page costs this machine about a tenth of a millisecond, the \
            server's half included. What differs is the price of a request in flight: a process, a \
            thread with its stack, or a future of a few kilobytes; each with its connection. So threads serve well into the \
            hundreds, and async comes into its own beyond, where it keeps ten thousand requests in \
            flight on as few threads as there are cores. Executors that block use ureq with one \
            connection to each worker (and buffers of 16 KiB), async executors share one reqwest \
            client. Names and TLS play no part, and distance is the delay.",
    task: "GET one page and digest its body",
    answer: "`responses`: pages received; `bytes`: the sum of their lengths; `digest`: SHA-256 over \
             the hexadecimal SHA-256 digests of the bodies in order of page, each with a newline. \
             Body i is the first `bytes` bytes of the words bits(i w), bits(i w + 1), ... of stream \
             2, little-endian, w = ceil(bytes / 8)",
    input: None,
    parameters: &[
        Parameter {
            name: "requests",
            about: "how many pages to get",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000 },
            default: "500",
        },
        Parameter {
            name: "delay",
            about: "the mean time that the server takes over a page",
            unit: "",
            kind: ParameterKind::Duration { min: Duration::ZERO, max: Duration::from_secs(60) },
            default: "20ms",
        },
        Parameter {
            name: "bytes",
            about: "the length of a page",
            unit: "bytes",
            kind: ParameterKind::Integer { min: 0, max: 16 << 20 },
            default: "4096",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("requests", "64"), ("delay", "5ms")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("requests", "10000")] },
    ],
    // A chunk is one worker's, one page after the other: chunks of pages would bring the number
    // of requests in flight below the number of workers at the end.
    grows: Some("requests"),
    length: None,
    max_chunk: Some(1),
    simulated: false,
};

/// See [`Workload::DEFINITION`].
#[derive(Debug)]
pub struct Fetch {
    requests: usize,
    client: Client,
    digests: Digests,
    server: Server,
}

impl Workload for Fetch {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let parameters = context.parameters;
        let requests = parameters.size("requests");
        let server = Server::of(
            context,
            &Spec {
                seed: context.seed,
                delay: parameters.duration("delay"),
                bytes: parameters.size("bytes"),
                // Limits sources only, and there are none here.
                capacity: NonZeroUsize::MIN,
            },
        )?;
        let client = Client::new(server.address());
        Ok(Self { requests, client, digests: Digests::new(context.storage, requests)?, server })
    }

    fn handover(&self) -> Handover {
        self.server.handover()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        http::card()
    }

    fn bound(parameters: &Parameters, seed: u64) -> Option<Bound> {
        let delays = Delays::new(seed, parameters.duration("delay"));
        let floor_ns = delays.longest_ns(parameters.integer("requests"));
        Some(Bound { floor_ns, reason: "the server's slowest page".to_owned() })
    }
}

impl Map for Fetch {
    type Phase = ();
    type Local = Connection;
    type Partial = Totals;

    const WAITS: bool = true;

    fn local(&self) -> Result<Connection, TaskError> {
        Ok(Connection::default())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.requests
    }

    fn empty(&self, (): &()) -> Totals {
        Totals::default()
    }

    fn run(
        &self,
        own: &mut Connection,
        (): &(),
        task: usize,
        into: &mut Totals,
    ) -> Result<(), TaskError> {
        let body = self.client.get(own, &path(task))?;
        self.digests.put(task, &body, into);
        Ok(())
    }

    async fn run_async(
        &self,
        _own: &mut Connection,
        (): &(),
        task: usize,
        into: &mut Totals,
    ) -> Result<(), TaskError> {
        let body = self.client.get_async(&path(task)).await?;
        self.digests.put(task, &body, into);
        Ok(())
    }

    fn merge(&self, left: &mut Totals, right: Totals) {
        left.add(right);
    }

    fn next(&self, (): (), merged: Totals) -> Result<Step<()>, TaskError> {
        let answer = Answer::new().count("responses", merged.count).count("bytes", merged.bytes);
        Ok(Step::Done(answer.text("digest", self.digests.digest())))
    }

    fn reset(&self) -> Result<(), TaskError> {
        self.digests.clear();
        Ok(())
    }

    fn writes(&self, (): &(), tasks: Range<usize>) -> Vec<Region> {
        vec![self.digests.region(tasks)]
    }
}

fn path(task: usize) -> String {
    format!("/page/{task}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::testing::{self, answer_async};
    use crate::testing::answer;

    const SEED: u64 = 7;

    fn parameters() -> Parameters {
        let small = [("requests", "20"), ("delay", "1ms"), ("bytes", "1001")];
        let small = small.map(|(name, value)| (name.to_owned(), value.to_owned()));
        DEFINITION.parameters("quick", &small).expect("within limits")
    }

    /// Prepared as in a worker process: the server is in this one.
    fn fetch(server: &testing::Local) -> Fetch {
        server.prepare::<Fetch>(&parameters(), SEED).expect("a server to talk to")
    }

    fn server(delay: Duration) -> testing::Local {
        testing::server(&Spec { seed: SEED, delay, bytes: 1001, capacity: NonZeroUsize::MIN })
    }

    const SHORT: Duration = Duration::from_millis(1);

    /// From `workloads/tests/reference.py`, which follows the formulas in Python.
    const REFERENCE: &str = r#"{"responses":20,"bytes":20020,"digest":"720272267953016051fd54dff65a393abb1a3998143dd29e3b09058a91e5faf5"}"#;

    #[test]
    fn blocking_and_async_give_the_answer_that_python_computes() {
        let server = server(SHORT);
        let fetch = fetch(&server);
        assert_eq!(answer(&fetch, 1).to_string(), REFERENCE);
        assert_eq!(answer_async(&fetch, 8).to_string(), REFERENCE);
    }

    #[test]
    fn as_many_pages_are_served_at_once_as_are_in_flight() {
        // Long enough for the second request to come while the first is being worked on, also on
        // a machine that has other things to do.
        let server = server(Duration::from_millis(100));
        answer_async(&fetch(&server), 8);
        assert!((2..=8).contains(&server.stats().most_busy), "{:?}", server.stats());
    }

    #[test]
    fn a_task_that_fails_says_on_which_page() {
        let server = testing::Local::at(testing::nobody());
        let error = fetch(&server).run(&mut Connection::default(), &(), 3, &mut Totals::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/page/3: Connection refused"), "{error}");
    }

    #[test]
    fn every_preset_has_a_bound_that_no_page_exceeds() {
        for (preset, mean_ns) in [("quick", 5_000_000), ("standard", 20_000_000)] {
            let parameters = DEFINITION.parameters(preset, &[]).expect("a preset");
            let floor_ns = Fetch::bound(&parameters, SEED).expect("a bound").floor_ns;
            assert!((mean_ns..mean_ns * 3 / 2).contains(&floor_ns), "{preset}: {floor_ns}");
        }
    }
}
