//! The command line: one file a command, in rooms by what they do, and what commands share.
//!
//! [`run()`] reads a command line and ends the process with a code that means something ([`exit`]). Commands that ask a server
//! share [`asking`]; answers go through [`terminal`], which keeps hostile text off it.

pub mod answers;
pub mod archive;
pub mod asking;
pub mod events;
pub mod exit;
pub mod import;
pub mod local;
mod run;
pub mod terminal;
pub mod trails;

pub use run::{Cli, run};
