//! What every program that measures a running server needs: to start and stop it, to talk HTTP to it with nothing in between, and to
//! read from the kernel what it used.
//!
//! Limits: Linux (`/proc`), HTTP/1.1 without TLS.

mod answer;
mod clock;
mod connection;
mod disk;
mod failure;
mod number;
mod process;
mod server;

pub use answer::{Answer, Answers};
pub use clock::{epoch_seconds, now};
pub use connection::{Connection, target};
pub use disk::{Disk, disk};
pub use failure::{Failure, Result};
pub use number::{grouped, mebibytes};
pub use process::Process;
pub use server::Server;
