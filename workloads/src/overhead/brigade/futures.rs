//! Members that are tasks of tokio, which await a channel, a pipe or a socket.

use std::io;
use std::os::unix::net::UnixStream as StdSocket;
use std::thread::available_parallelism;
use std::time::Instant;

use manyhands_contract::{ProbeError, TaskError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixStream, unix::pipe};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::{By, Lead, Token, Took, broken};
use crate::overhead::helpers::refused;

enum Sending {
    Channel(mpsc::Sender<Token>),
    Pipe(pipe::Sender),
    Socket(UnixStream),
}

enum Receiving {
    Channel(mpsc::Receiver<Token>),
    Pipe(pipe::Receiver),
    Socket(UnixStream),
}

impl Sending {
    async fn send(&mut self, token: Token) -> Result<(), TaskError> {
        match self {
            Self::Channel(channel) => channel.send(token).await.map_err(broken),
            Self::Pipe(pipe) => pipe.write_all(&token.to_bytes()).await.map_err(broken),
            Self::Socket(socket) => socket.write_all(&token.to_bytes()).await.map_err(broken),
        }
    }
}

impl Receiving {
    async fn receive(&mut self) -> Result<Token, TaskError> {
        let mut bytes = [0; Token::BYTES];
        match self {
            Self::Channel(channel) => {
                return channel.recv().await.ok_or_else(|| broken("a channel was closed"));
            }
            Self::Pipe(pipe) => pipe.read_exact(&mut bytes).await.map_err(broken)?,
            Self::Socket(socket) => socket.read_exact(&mut bytes).await.map_err(broken)?,
        };
        Ok(Token::from_bytes(bytes))
    }
}

/// A link; within a runtime, whose reactor will watch it.
fn link(by: By) -> io::Result<(Receiving, Sending)> {
    Ok(match by {
        By::Channel => {
            let (sender, receiver) = mpsc::channel(1);
            (Receiving::Channel(receiver), Sending::Channel(sender))
        }
        By::Pipe => {
            let (sender, receiver) = pipe::pipe()?;
            (Receiving::Pipe(receiver), Sending::Pipe(sender))
        }
        By::Socket => {
            let (reader, writer) = StdSocket::pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            let (reader, writer) = (UnixStream::from_std(reader)?, UnixStream::from_std(writer)?);
            (Receiving::Socket(reader), Sending::Socket(writer))
        }
    })
}

/// A member's two neighbours.
struct Place {
    from: Receiving,
    to: Sending,
}

impl Place {
    async fn lead(&mut self, mut token: Token, laps: u64) -> Result<Token, TaskError> {
        for _ in 0..laps {
            token.pass();
            self.to.send(token).await?;
            token = self.from.receive().await?;
        }
        Ok(token)
    }

    async fn follow(mut self) {
        while let Ok(mut token) = self.from.receive().await {
            token.pass();
            if self.to.send(token).await.is_err() {
                return;
            }
        }
    }
}

/// The lead's place in the ring, and its link to itself.
struct Places {
    ring: Place,
    alone: Place,
}

impl Places {
    async fn both(
        &mut self,
        members: usize,
        token: Token,
        laps: u64,
    ) -> Result<(Token, Took), TaskError> {
        let began = Instant::now();
        let back = self.ring.lead(token, laps).await?;
        let ring = began.elapsed();
        let began = Instant::now();
        self.alone.lead(token, laps * members as u64).await?;
        Ok((back, Took { ring, alone: began.elapsed() }))
    }
}

/// `async` and `async:current-thread`: the lead is a task as well, so that nobody is woken who is
/// outside of the runtime.
pub(super) struct Futures {
    runtime: Runtime,
    /// Lent to the task that leads; gone when it failed.
    places: Option<Places>,
    members: usize,
    threads: usize,
}

impl Futures {
    pub(super) fn multi_thread(by: By, members: usize) -> Result<Self, ProbeError> {
        let threads = members.min(available_parallelism().map_or(1, usize::from));
        Self::start(Builder::new_multi_thread().worker_threads(threads), threads, by, members)
    }

    pub(super) fn current_thread(by: By, members: usize) -> Result<Self, ProbeError> {
        Self::start(&mut Builder::new_current_thread(), 1, by, members)
    }

    fn start(
        builder: &mut Builder,
        threads: usize,
        by: By,
        members: usize,
    ) -> Result<Self, ProbeError> {
        let refused = |index, error| refused("future", index, members, &error);
        let runtime = builder.enable_io().build().map_err(|error| refused(0, error))?;
        let started = runtime.block_on(async {
            let (from, to) = link(by).map_err(|error| refused(0, error))?;
            let alone = Place { from, to };
            let (mut from, first) = link(by).map_err(|error| refused(0, error))?;
            for index in 1..members {
                let (next, to) = link(by).map_err(|error| refused(index, error))?;
                tokio::spawn(Place { from, to }.follow());
                from = next;
            }
            Ok(Places { ring: Place { from, to: first }, alone })
        });
        Ok(Self { runtime, places: Some(started?), members, threads })
    }
}

impl Lead for Futures {
    fn run(&mut self, token: Token, laps: u64) -> Result<(Token, Took), TaskError> {
        let mut places = self.places.take().ok_or_else(|| broken("an earlier sample failed"))?;
        let members = self.members;
        let lead = async move {
            let back = places.both(members, token, laps).await;
            (places, back)
        };
        let (places, back) =
            self.runtime.block_on(async { tokio::spawn(lead).await }).map_err(broken)?;
        self.places = Some(places);
        back
    }

    fn actual(&self) -> (usize, usize) {
        (self.threads, 1)
    }

    fn construct(&self) -> &'static str {
        "a tokio task a member"
    }

    fn transport(&self) -> &'static str {
        "a tokio::sync::mpsc channel of one place between neighbours"
    }

    fn stop(self: Box<Self>) -> Result<(), TaskError> {
        drop(self.places);
        drop(self.runtime); // drops its tasks, each at its await
        Ok(())
    }
}
