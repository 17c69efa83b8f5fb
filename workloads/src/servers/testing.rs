//! Servers in the tests' own process, and a driver for the async forms of workloads.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use manyhands_contract::{
    Answer, Context, Handover, InputError, Map, Parameters, Step, Storage, TaskError, Workload,
};
use tokio::runtime::Runtime;

use super::http::{self, Running, Stats};
use super::spec::Spec;

/// A server that workloads find as worker processes find that of the first one: the program to
/// start one with is not known here.
pub(crate) struct Local {
    running: Option<Running>,
    pub(crate) address: SocketAddr,
}

/// Starts a server on threads of this process.
pub(crate) fn server(spec: &Spec) -> Local {
    let running = http::start(spec).expect("a server");
    Local { address: running.address, running: Some(running) }
}

/// An address where nobody listens: that of a listener that is gone.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

impl Local {
    /// What stands where no server is.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { running: None, address }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.running.as_ref().expect("a server").stats()
    }

    pub(crate) fn prepare<W: Workload>(
        &self,
        parameters: &Parameters,
        seed: u64,
    ) -> Result<W, InputError> {
        let handover = Handover::from([("server".to_owned(), self.address.to_string())]);
        W::prepare(&Context {
            parameters,
            seed,
            input: &[],
            storage: &Storage::private(),
            helper: "/nonexistent".as_ref(),
            handover: Some(&handover),
        })
    }
}

/// A runtime of one thread, this one.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The answer of a workload of one phase, by its async form, with `workers` tasks in flight.
pub(crate) fn answer_async<M: Map>(work: &M, workers: usize) -> Answer {
    let phase = work.first();
    work.reset().expect("reset");
    let queue = Queue { next: AtomicUsize::new(0), done: Mutex::default() };
    let mut pulling: Vec<_> =
        (0..workers).map(|_| Some(Box::pin(pull(work, &phase, &queue)))).collect();
    let all = poll_fn(|context| {
        for slot in &mut pulling {
            if let Some(future) = slot
                && let Poll::Ready(result) = pin!(future).poll(context)
            {
                result.unwrap_or_else(|error| panic!("{error}"));
                *slot = None;
            }
        }
        if pulling.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    });
    runtime().block_on(all);
    drop(pulling);
    let mut done = queue.done.into_inner().expect("no panic");
    done.sort_by_key(|(task, _)| *task);
    let mut merged = work.empty(&phase);
    done.into_iter().for_each(|(_, partial)| work.merge(&mut merged, partial));
    match work.next(phase, merged).expect("an answer") {
        Step::Done(answer) => answer,
        Step::Continue(_) => panic!("more than one phase"),
    }
}

struct Queue<P> {
    next: AtomicUsize,
    done: Mutex<Vec<(usize, P)>>,
}

async fn pull<M: Map>(
    work: &M,
    phase: &M::Phase,
    queue: &Queue<M::Partial>,
) -> Result<(), TaskError> {
    let mut local = work.local()?;
    loop {
        let task = queue.next.fetch_add(1, Relaxed);
        if task >= work.tasks(phase) {
            return Ok(());
        }
        let mut partial = work.empty(phase);
        work.run_async(&mut local, phase, task, &mut partial).await?;
        queue.done.lock().expect("no panic").push((task, partial));
    }
}
