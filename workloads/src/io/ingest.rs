//! `ingest`: sources downloaded from a server that works on a few at a time.

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
    name: "ingest",
    version: 1,
    kind: Kind::Io,
    shape: Shape::Map,
    summary: "download sources from a server that serves only a few at a time",
    about: "Several sources ingested at once: exports of a database, files of a partner's server, \
            an API with a quota. Each task downloads one source whole and digests it. The server, a \
            process of its own on this machine, works on `capacity` sources at a time; more \
            requests wait there in order of arrival. Source i takes it floor(m / 2) + below(i, m) \
            nanoseconds of stream 1 (half to one and a half times the mean m), in which the body \
            arrives in eight pieces. Two workers halve the time of one, and that is all, for a \
            server that serves two: the third and the sixty-fourth only move the queue from this \
            side of the connection to the other. This is the workload on which nothing done here \
            helps, and every executor meets the same wall, drawn in the chart: the sum of the \
            delays divided by the capacity, or the longest of them. A curve that bends at a number \
            that is not the machine's number of cores says: look at the other side. Expect \
            executors to differ in what their waiting costs, in memory and in processor time, and \
            not in speed. `-p capacity=` moves the wall.",
    task: "download one source whole and digest it",
    answer: "`sources`: sources received; `bytes`: the sum of their lengths; `digest`: SHA-256 over \
             the hexadecimal SHA-256 digests of the bodies in order of source, each with a newline. \
             Body i is the first `bytes` bytes of the words bits(i w), bits(i w + 1), ... of stream \
             2, little-endian, w = ceil(bytes / 8)",
    input: None,
    parameters: &[
        Parameter {
            name: "sources",
            about: "how many sources to download",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000 },
            default: "500",
        },
        Parameter {
            name: "delay",
            about: "the mean time that the server takes over a source",
            unit: "",
            kind: ParameterKind::Duration { min: Duration::ZERO, max: Duration::from_secs(60) },
            default: "20ms",
        },
        Parameter {
            name: "bytes",
            about: "the length of a source",
            unit: "bytes",
            // At least one: the last piece of a source is what ends its delay.
            kind: ParameterKind::Integer { min: 1, max: 16 << 20 },
            default: "65536",
        },
        Parameter {
            name: "capacity",
            about: "how many sources the server works on at a time",
            unit: "sources",
            kind: ParameterKind::Integer { min: 1, max: 100_000 },
            default: "2",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("sources", "64"), ("delay", "5ms")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("sources", "10000")] },
    ],
    // As in `fetch`: a worker has one request in flight.
    grows: Some("sources"),
    length: None,
    max_chunk: Some(1),
    simulated: false,
};

/// See [`Workload::DEFINITION`].
#[derive(Debug)]
pub struct Ingest {
    sources: usize,
    client: Client,
    digests: Digests,
    server: Server,
}

impl Workload for Ingest {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let parameters = context.parameters;
        let sources = parameters.size("sources");
        let server = Server::of(
            context,
            &Spec {
                seed: context.seed,
                delay: parameters.duration("delay"),
                bytes: parameters.size("bytes"),
                capacity: NonZeroUsize::new(parameters.size("capacity"))
                    .expect("the least capacity is 1"),
            },
        )?;
        let client = Client::new(server.address());
        Ok(Self { sources, client, digests: Digests::new(context.storage, sources)?, server })
    }

    fn handover(&self) -> Handover {
        self.server.handover()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        http::card()
    }

    fn bound(parameters: &Parameters, seed: u64) -> Option<Bound> {
        let capacity = parameters.integer("capacity");
        let delays = Delays::new(seed, parameters.duration("delay"));
        let floor_ns = delays.makespan_ns(parameters.integer("sources"), capacity);
        Some(Bound { floor_ns, reason: format!("the server's capacity: {capacity} at a time") })
    }
}

impl Map for Ingest {
    type Phase = ();
    type Local = Connection;
    type Partial = Totals;

    const WAITS: bool = true;

    fn local(&self) -> Result<Connection, TaskError> {
        Ok(Connection::default())
    }

    fn first(&self) {}

    fn tasks(&self, (): &()) -> usize {
        self.sources
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
        let answer = Answer::new().count("sources", merged.count).count("bytes", merged.bytes);
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
    format!("/source/{task}")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::servers::testing::{self, answer_async};
    use crate::testing::answer;

    const SEED: u64 = 7;

    fn parameters() -> Parameters {
        let small = [("sources", "20"), ("delay", "1ms"), ("bytes", "3001"), ("capacity", "3")];
        let small = small.map(|(name, value)| (name.to_owned(), value.to_owned()));
        DEFINITION.parameters("quick", &small).expect("within limits")
    }

    fn server() -> testing::Local {
        testing::server(&Spec {
            seed: SEED,
            delay: Duration::from_millis(1),
            bytes: 3001,
            capacity: NonZeroUsize::new(3).expect("not zero"),
        })
    }

    /// Prepared as in a worker process: the server is in this one.
    fn ingest(server: &testing::Local) -> Ingest {
        server.prepare::<Ingest>(&parameters(), SEED).expect("a server to talk to")
    }

    /// From `workloads/tests/reference.py`, which follows the formulas in Python.
    const REFERENCE: &str = r#"{"sources":20,"bytes":60020,"digest":"35bf117b605cfb467479c2dab68a5a74ca752c65c91aaf3cda6d08e1d221f5ce"}"#;

    #[test]
    fn blocking_and_async_give_the_answer_that_python_computes() {
        let server = server();
        let ingest = ingest(&server);
        assert_eq!(answer(&ingest, 1).to_string(), REFERENCE);
        assert_eq!(answer_async(&ingest, 8).to_string(), REFERENCE);
    }

    #[test]
    fn the_server_never_works_on_more_than_its_capacity() {
        let server = server();
        answer_async(&ingest(&server), 20);
        let stats = server.stats();
        assert_eq!((stats.requests, stats.most_busy), (20, 3), "{stats:?}");
    }

    /// A floor holds however slow the machine is, so time may be asserted here.
    #[test]
    fn no_run_beats_the_bound() {
        let bound = Ingest::bound(&parameters(), SEED).expect("a bound");
        assert_eq!(bound.reason, "the server's capacity: 3 at a time");
        let server = server();
        let ingest = ingest(&server);
        let start = Instant::now();
        answer_async(&ingest, 20);
        assert!(start.elapsed().as_nanos() >= u128::from(bound.floor_ns));
    }
}
