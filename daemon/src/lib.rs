//! `traild` as a library: the server, the command line, and what they share.
//!
//! The program itself is one line: `main.rs` calls [`cli::run()`]. Everything is here, so that tests reach it without a process.
//! What events are, how they are kept and how they are asked is the engine's; this package brings HTTP, keys, settings, vendors
//! and people to it.
//!
//! Rooms, from top to bottom; imports only run down:
//!
//! | room | what it does |
//! |---|---|
//! | [`cli`] | one file a command; the client commands talk to a server by HTTP alone |
//! | [`server`] | sockets, timeouts, keys, the order of the checks before a handler, the orderly end |
//! | [`api`] | the native HTTP API: one table of routes, from which router and OpenAPI document are made |
//! | [`trails`] | what the log delivers to other places |
//! | [`backend`] | the only place where async meets the engine: bounded threads, bounded queues |
//! | [`config`], [`keys`], [`metrics`], [`nearest`], `mutants` | the ground that all of them stand on |
//! | [`dialect`] | data: which kinds of events there are, and where each of them keeps what is indexed |
//!
//! # What it is not
//! But for its trails it holds no state of its own: what survives a restart is in the data directory and in the operator's configuration. It does
//! not speak TLS on its listening side, and does not read its configuration again while it runs.

pub mod api;
pub mod backend;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod keys;
pub mod metrics;
mod mutants;
pub mod nearest;
pub mod server;
pub mod trails;
