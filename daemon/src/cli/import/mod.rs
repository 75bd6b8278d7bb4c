//! `traild import`: files, folders and standard input into a server or straight into a data directory.
//!
//! From the bottom up: [`scan`](self) finds where a value ends, [`splitter`] cuts a stream into events, [`source`] opens files and unpacks
//! them, [`batch`] gathers what is sent at once, [`server`] and [`directory`] store it, [`report`] counts, [`pipeline`] runs it
//! all in bounded memory, [`command`] is what a user sees.

pub mod batch;
pub mod command;
pub mod directory;
pub mod pipeline;
pub mod report;
mod scan;
pub mod server;
pub mod source;
pub mod splitter;

pub use scan::Fault;
