//! The HTTP server: pages that take their time, and sources behind a finite capacity.
//!
//! | path | answer |
//! |---|---|
//! | `/page/I` | body I, whole, after delay I; any number at once |
//! | `/source/I` | waits for a place in order of arrival, then body I in pieces spread over delay I |
//! | `/stats` | what went on so far, as JSON |

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pages::{Bodies, Delays};
use super::spec::Spec;
use super::timer::{Alarm, Timer};

/// Connections that the kernel may complete before we accept them. Ten thousand clients may come
/// in one burst; one that finds the queue full tries again after a whole second, which would be
/// taken for the executor's slowness. The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 65_535;

/// In how many pieces a source is streamed.
const PIECES: u32 = 8;

/// A server in this process; dropping it ends it.
#[derive(Debug)]
pub(super) struct Running {
    runtime: Option<Runtime>,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look at its counters"))]
    state: Arc<State>,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Running {
    /// What `/stats` would say.
    #[cfg(test)]
    pub(super) fn stats(&self) -> Stats {
        self.state.stats()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts to serve on a free port of 127.0.0.1.
pub(super) fn start(spec: &Spec) -> io::Result<Running> {
    let state = Arc::new(State::new(spec)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_io()
        .build()?;
    let listener = runtime.block_on(async { listen() })?;
    let address = listener.local_addr()?;
    runtime.spawn(accept(listener, Arc::clone(&state)));
    Ok(Running { runtime: Some(runtime), state, address })
}

/// Half of the processors, at least two. Where requests come fast, one was measured to cost the
/// server half to two thirds of the processor time that it costs an async client, so a client that
/// has the other half cannot outrun it; more threads would only take processors from the client,
/// which is what is being measured.
fn threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (processors / 2).max(2)
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                state.connections.fetch_add(1, Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
            Err(error) => {
                // Out of descriptors, or the client is gone again. Others' connections may end
                // meanwhile; trying again at once would only burn the processor.
                eprintln!("manyhands server: cannot accept a connection: {error}");
                let _ = state.timer.at(Instant::now() + Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    // A small answer must not wait for the client's acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request.uri().path()).await) }
    });
    // The only errors are clients that went away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// What all connections share.
#[derive(Debug)]
struct State {
    delays: Delays,
    bodies: Bodies,
    timer: Timer,
    /// Fair: places are given in order of arrival.
    places: Arc<Semaphore>,
    // Counters for `/stats` and tests; nothing else is ordered by them, so they are relaxed.
    connections: AtomicUsize,
    requests: AtomicUsize,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

impl State {
    fn new(spec: &Spec) -> io::Result<Self> {
        let places = spec.capacity.get().min(Semaphore::MAX_PERMITS);
        Ok(Self {
            delays: Delays::new(spec.seed, spec.delay),
            bodies: Bodies::new(spec.seed, spec.bytes),
            timer: Timer::start()?,
            places: Arc::new(Semaphore::new(places)),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
        })
    }

    async fn answer(self: &Arc<Self>, path: &str) -> Response<Reply> {
        let number = |i: &str| i.parse::<u64>().ok();
        if let Some(i) = path.strip_prefix("/page/").and_then(number) {
            return Response::new(self.page(i).await);
        }
        if let Some(i) = path.strip_prefix("/source/").and_then(number) {
            return Response::new(self.source(i).await);
        }
        if path == "/stats" {
            let stats = serde_json::to_vec(&self.stats()).expect("numbers under text keys");
            return Response::new(Reply::whole(stats));
        }
        let mut response = Response::new(Reply::whole("there are /page/I, /source/I, /stats\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    async fn page(self: &Arc<Self>, i: u64) -> Reply {
        let end = Instant::now() + self.delays.of(i);
        let _busy = Busy::on(self);
        let body = self.bodies.of(i);
        if end > Instant::now() {
            // An error would mean that the server is being dropped.
            let _ = self.timer.at(end).await;
        }
        Reply::whole(body)
    }

    async fn source(self: &Arc<Self>, i: u64) -> Reply {
        let places = Arc::clone(&self.places);
        let permit = places.acquire_owned().await.expect("the semaphore is never closed");
        let place = Place { _busy: Busy::on(self), _permit: permit };
        Reply::Source(Box::new(Source::new(self, i, place)))
    }

    fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.load(Relaxed),
            requests: self.requests.load(Relaxed),
            busy: self.busy.load(Relaxed),
            most_busy: self.most_busy.load(Relaxed),
        }
    }
}

/// What went on so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Stats {
    /// Connections accepted.
    pub(crate) connections: usize,
    /// Pages and sources that were begun.
    pub(crate) requests: usize,
    /// Those being worked on now.
    pub(crate) busy: usize,
    /// The most that were ever worked on at once.
    pub(crate) most_busy: usize,
}

/// One request being worked on: a page in its delay, a source that has a place.
struct Busy(Arc<State>);

impl Busy {
    fn on(state: &Arc<State>) -> Self {
        state.requests.fetch_add(1, Relaxed);
        let busy = state.busy.fetch_add(1, Relaxed) + 1;
        state.most_busy.fetch_max(busy, Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// A place among the few that the server works on. Dropped in this order: a source is no longer
/// counted when the next one gets its place.
struct Place {
    _busy: Busy,
    _permit: OwnedSemaphorePermit,
}

/// The body of an answer.
enum Reply {
    Whole(Bytes),
    Source(Box<Source>),
}

impl Reply {
    fn whole(body: impl Into<Bytes>) -> Self {
        Self::Whole(body.into())
    }
}

/// A source on its way: piece k of n leaves when (k + 1) / n of the delay is over.
struct Source {
    state: Arc<State>,
    body: Bytes,
    sent: u32,
    start: Instant,
    delay: Duration,
    alarm: Alarm,
    /// Given back with the last piece, or when the client hangs up.
    place: Option<Place>,
}

impl Source {
    fn new(state: &Arc<State>, i: u64, place: Place) -> Self {
        let (start, delay) = (Instant::now(), state.delays.of(i));
        let alarm = state.timer.at(start + delay / PIECES);
        let body = Bytes::from(state.bodies.of(i));
        Self { state: Arc::clone(state), body, sent: 0, start, delay, alarm, place: Some(place) }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.sent == PIECES {
            return Poll::Ready(None);
        }
        // An error would mean that the server is being dropped.
        let _ = ready!(Pin::new(&mut self.alarm).poll(cx));
        let edge = |k: u32| self.body.len() * k as usize / PIECES as usize;
        let piece = self.body.slice(edge(self.sent)..edge(self.sent + 1));
        self.sent += 1;
        if self.sent == PIECES {
            self.place = None;
        } else {
            self.alarm = self.state.timer.at(self.due(self.sent + 1));
        }
        Poll::Ready(Some(piece))
    }

    /// When the first `pieces` have left; for all of them the whole delay, without rounding.
    fn due(&self, pieces: u32) -> Instant {
        self.start + self.delay * pieces / PIECES
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Reply::Whole(body) if body.is_empty() => None,
            Reply::Whole(body) => Some(std::mem::take(body)),
            Reply::Source(source) => ready!(source.poll_piece(cx)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Reply::Whole(body) if body.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Reply::Whole(body) => body.len() as u64,
            Reply::Source(source) => source.body.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::*;

    fn server(capacity: usize) -> Running {
        let capacity = NonZeroUsize::new(capacity).expect("not zero");
        start(&Spec { seed: 1, delay: Duration::from_millis(1), bytes: 50, capacity })
            .expect("a server")
    }

    /// The whole answer to a request on a connection of its own.
    fn get(server: &Running, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn pages_and_sources_have_the_same_body_and_a_length() {
        let server = server(1);
        let body = |answer: String| {
            let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.contains("content-length: 50"), "{head}");
            body.to_owned()
        };
        assert_eq!(body(get(&server, "/page/3")), body(get(&server, "/source/3")));
    }

    #[test]
    fn counters_are_shown_and_unknown_paths_are_not_found() {
        let server = server(1);
        for path in ["/missing", "/page/", "/page/x", "/page/-1"] {
            let answer = get(&server, path);
            assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        }
        get(&server, "/page/0");
        let stats = get(&server, "/stats");
        let expected = r#"{"connections":6,"requests":1,"busy":0,"most_busy":1}"#;
        assert_eq!(stats.split_once("\r\n\r\n").expect("a body").1, expected);
    }

    #[test]
    fn a_client_that_hangs_up_gives_its_place_back() {
        let server = server(1);
        let stream = TcpStream::connect(server.address).expect("connected");
        write!(&stream, "GET /source/1 HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
        stream.shutdown(Shutdown::Both).expect("hung up");
        drop(stream);
        // Would wait for the place for ever.
        assert!(get(&server, "/source/2").starts_with("HTTP/1.1 200 "));
    }
}
