//! The servers that the I/O workloads talk to.
//!
//! A server runs in a process of its own, so that its work is not counted as the executor's. It is
//! started by the workload as `HELPER __manyhands serve seed=... ...`, listens on a free port of
//! 127.0.0.1, writes its address as one line to standard output, and ends when its standard input
//! closes: a starter that dies, however it dies, takes its server with it.

mod http;
mod limits;
mod pages;
mod process;
mod spec;
mod timer;

pub use limits::raise_open_files;
pub use pages::{Bodies, Delays};
pub use process::Server;
pub use spec::Spec;

use std::io::{self, Read, Write};
use std::process::ExitCode;

/// What a program does that was started as `HELPER __manyhands serve ARGS...`: serves until its
/// standard input closes.
///
/// Not `PR_SET_PDEATHSIG`: that fires when the *thread* that started the server ends, which need
/// not be the main one.
pub fn serve_main(args: &[String]) -> ExitCode {
    raise_open_files();
    match serve(args, io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("manyhands server: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &[String], mut stdin: impl Read, mut stdout: impl Write) -> Result<(), String> {
    let spec = Spec::from_args(args)?;
    let server = http::start(&spec).map_err(|error| format!("cannot serve: {error}"))?;
    let told = writeln!(stdout, "{}", server.address).and_then(|()| stdout.flush());
    told.map_err(|error| format!("cannot tell the address: {error}"))?;
    drop(stdout);
    // The other end never writes: this returns when it is closed.
    io::copy(&mut stdin, &mut io::sink()).map(drop).map_err(|error| format!("cannot wait: {error}"))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_server_tells_its_address_and_ends_when_its_input_closes() {
        let (input, keep) = io::pipe().expect("a pipe");
        let (mut told, output) = io::pipe().expect("a pipe");
        let args = ["seed=1", "delay-ns=0", "bytes=1", "capacity=1"].map(str::to_owned);
        let serving = std::thread::spawn(move || serve(&args, input, output));
        let mut address = String::new();
        // Ends with the output's end, which `serve` drops when it has told.
        told.read_to_string(&mut address).expect("an address");
        let address = address.trim().to_owned();
        TcpStream::connect(&address).expect("it listens");
        drop(keep);
        assert_eq!(serving.join().expect("no panic"), Ok(()));
    }

    #[test]
    fn wrong_arguments_are_refused_before_anything_is_served() {
        let refused = serve(&["seed=1".to_owned()], io::empty(), io::sink());
        assert_eq!(refused, Err("delay-ns=N is missing".to_owned()));
    }
}
