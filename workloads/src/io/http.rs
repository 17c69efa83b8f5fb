//! The two HTTP clients that the I/O workloads share: one that blocks a thread for each request in
//! flight, one that does not.

use std::error::Error;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use manyhands_contract::TaskError;
use sha2::{Digest, Sha256};

/// The size of the pieces in which the blocking client reads a body, and of its buffers for either
/// direction. Its own default, 128 KiB for each, would show up as the threads' memory.
const PIECE: usize = 16 * 1024;

/// How long an unused connection is kept: longer than any run.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// What the fairness card says: which of the two was used is the executor's choice.
pub fn card() -> Vec<(&'static str, String)> {
    vec![("client (blocking)", "ureq".to_owned()), ("client (async)", "reqwest".to_owned())]
}

/// A body that was received: digested as it came and not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

/// Gets pages of one server.
///
/// Neither client has a time-out: requests that wait for their turn at a busy server wait as long
/// as it takes, and it is the harness that ends a cell that hangs. Neither looks for a proxy, which
/// would be sent what is meant for this machine alone.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    /// One for all futures, as its documentation recommends, with a connection for each request
    /// in flight. Made when first used, and so never by executors that block.
    shared: OnceLock<reqwest::Client>,
}

/// A blocking worker's own client with its one connection; an async worker's stays empty.
#[derive(Debug, Default)]
pub struct Connection {
    agent: Option<ureq::Agent>,
    piece: Vec<u8>,
}

impl Client {
    /// A client of the server at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, shared: OnceLock::new() }
    }

    /// Gets a page, blocking the thread.
    pub fn get(&self, own: &mut Connection, path: &str) -> Result<Body, TaskError> {
        let url = self.url(path);
        let agent = own.agent.get_or_insert_with(blocking);
        let mut response = agent.get(&url).call().map_err(|error| failed(&url, &error))?;
        expect_ok(&url, response.status().as_u16())?;
        own.piece.resize(PIECE, 0);
        // Read to its end, which gives the connection back to the agent.
        digest(response.body_mut().as_reader(), &mut own.piece)
            .map_err(|error| failed(&url, &error))
    }

    /// Gets a page, letting others run meanwhile.
    pub async fn get_async(&self, path: &str) -> Result<Body, TaskError> {
        let url = self.url(path);
        let client = self.shared()?;
        let failed = |error: reqwest::Error| failed(&url, &error);
        let mut response = client.get(&url).send().await.map_err(failed)?;
        expect_ok(&url, response.status().as_u16())?;
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            hasher.update(&piece);
            bytes += piece.len() as u64;
        }
        Ok(Body { bytes, digest: hasher.finalize().into() })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn shared(&self) -> Result<&reqwest::Client, TaskError> {
        if let Some(client) = self.shared.get() {
            return Ok(client);
        }
        let made = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(usize::MAX)
            // Without an idle time-out no task is spawned to watch for it.
            .pool_idle_timeout(None)
            .build()
            .map_err(|error| TaskError(format!("cannot make an HTTP client: {error}")))?;
        // Another future may have been faster; then its client is the one.
        Ok(self.shared.get_or_init(|| made))
    }
}

fn blocking() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        // Statuses are compared by us, for both clients alike.
        .http_status_as_error(false)
        .input_buffer_size(PIECE)
        .output_buffer_size(PIECE)
        .max_idle_age(KEEP)
        .build();
    config.into()
}

fn digest(mut body: impl Read, piece: &mut [u8]) -> io::Result<Body> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    loop {
        match body.read(piece)? {
            0 => return Ok(Body { bytes, digest: hasher.finalize().into() }),
            read => {
                hasher.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn expect_ok(url: &str, status: u16) -> Result<(), TaskError> {
    if status == 200 {
        return Ok(());
    }
    Err(TaskError(format!("cannot get {url}: the server answered with status {status}, not 200")))
}

/// The innermost reason is the one that says something: the layers around it say that a request
/// failed, which the beginning of our line says already.
fn failed(url: &str, error: &(dyn Error + 'static)) -> TaskError {
    let causes = std::iter::successors(Some(error), |error| cause(*error));
    let root = causes.last().unwrap_or(error);
    TaskError(format!("cannot get {url}: {root}{}", remedy(root)))
}

/// What an error came from. Errors wrapped by `io::Error` and by ureq are printed as if they were
/// the wrapper's own, so `source` skips them.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(ureq::Error::Io(inner)) = error.downcast_ref() {
        return Some(inner);
    }
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(inner);
    }
    error.source()
}

fn remedy(root: &(dyn Error + 'static)) -> &'static str {
    let Some(error) = root.downcast_ref::<io::Error>() else { return "" };
    if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) {
        return "; each request in flight is an open file: use fewer workers, or raise the limit \
                (ulimit -Hn)";
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "; is the server still running?",
        io::ErrorKind::AddrNotAvailable => {
            "; each request in flight needs a local port: use fewer workers, or wait a minute \
             until the ports of earlier runs are free again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::servers::{Spec, testing};

    const SPEC: Spec =
        Spec { seed: 1, delay: Duration::ZERO, bytes: 100_000, capacity: NonZeroUsize::MIN };

    fn run<F: Future>(future: F) -> F::Output {
        testing::runtime().block_on(future)
    }

    #[test]
    fn both_clients_get_the_same_and_keep_their_connection() {
        let server = testing::server(&SPEC);
        let client = Client::new(server.address);
        let mut own = Connection::default();
        for i in 0..5 {
            let blocking = client.get(&mut own, &format!("/page/{i}")).expect("a page");
            assert_eq!(blocking.bytes, 100_000);
        }
        let runtime = testing::runtime();
        for i in 0..5 {
            let path = format!("/page/{i}");
            let body = runtime.block_on(client.get_async(&path)).expect("a page");
            assert_eq!(Ok(body), client.get(&mut own, &path));
        }
        assert_eq!(server.stats().connections, 2);
    }

    #[test]
    fn connections_of_a_runtime_that_ended_are_replaced() {
        let server = testing::server(&SPEC);
        let client = Client::new(server.address);
        let first = run(client.get_async("/page/0"));
        assert!(first.is_ok());
        assert_eq!(run(client.get_async("/page/0")), first);
    }

    #[test]
    fn another_status_than_200_is_an_error_that_names_url_and_status() {
        let server = testing::server(&SPEC);
        let client = Client::new(server.address);
        let expected = TaskError(format!(
            "cannot get http://{}/missing: the server answered with status 404, not 200",
            server.address
        ));
        assert_eq!(client.get(&mut Connection::default(), "/missing"), Err(expected.clone()));
        assert_eq!(run(client.get_async("/missing")), Err(expected));
    }

    #[test]
    fn a_refused_connection_is_an_error_that_says_so() {
        let address = testing::nobody();
        let client = Client::new(address);
        // Its number in brackets is another one on every system.
        let refused = io::Error::from(rustix::io::Errno::CONNREFUSED);
        let expected = TaskError(format!(
            "cannot get http://{address}/page/1: {refused}; is the server still running?"
        ));
        assert_eq!(client.get(&mut Connection::default(), "/page/1"), Err(expected.clone()));
        assert_eq!(run(client.get_async("/page/1")), Err(expected));
    }
}
