//! The native HTTP API over real sockets, against the library's own server on a free port.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking; helpers of tests too")]

mod answers;
mod auth;
mod client;
mod damage;
mod described;
mod ingest;
mod limits;
mod opening;
mod reading;
mod schema;
mod segments;
mod server;
