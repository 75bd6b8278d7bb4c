//! The command line: one file a command, and what commands share.
//!
//! [`run()`] reads a command line and ends the process with a code that means something ([`exit`]). Commands that ask a server
//! share [`connection`] and [`client`]; queries share [`selection`]; answers go through [`output`], [`table`] and [`text`],
//! which keep hostile text off the terminal.

pub mod client;
pub mod completions;
pub mod connection;
pub mod count;
mod events;
pub mod exit;
pub mod fields;
pub mod histogram;
pub mod import;
pub mod interrupt;
pub mod key;
pub mod output;
pub mod progress;
mod run;
pub mod search;
pub mod segments;
pub mod selection;
pub mod serve;
pub mod stats;
pub mod table;
pub mod tail;
pub mod terms;
pub mod text;
pub mod verify;

pub use run::{Cli, run};
