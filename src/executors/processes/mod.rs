//! Worker processes: over socket pairs (`processes`, `processes:fork`) or one shared mapping
//! (`processes:shm`).
//!
//! All three share their start and their end. The coordinator holds one end of a socket pair per
//! worker; a worker ends when it reads the end of file there, and the kernel kills it should the
//! coordinator die without closing anything. The coordinator in turn notices a worker's death at
//! once, because only the worker holds the other end.
//!
//! | file | what is in it |
//! |---|---|
//! | `sys` | what std has no safe words for: descriptors across an exec, fork, poll, wait |
//! | `frames` | the messages |
//! | `crew` | the coordinator's side of its processes: start, exchange, death, end |
//! | `dispatch`, `pace` | who gets how many chunks, and what becomes of the results |
//! | `serve` | the worker's side |
//! | `spawn`, `fork` | the two executors over sockets |
//! | `shm` | the executor over shared memory |
//! | `worker` | `PROGRAM __manyhands worker ...` |

mod crew;
mod dispatch;
mod fork;
mod frames;
mod pace;
mod serve;
mod shm;
mod spawn;
mod sys;
mod worker;

pub(super) use fork::Fork;
pub(super) use shm::Shm;
pub(super) use spawn::Spawn;
pub use worker::worker_main;
