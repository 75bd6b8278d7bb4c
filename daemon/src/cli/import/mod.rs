//! `traild import`: files, folders and standard input into a server or straight into a data directory.
//!
//! From the bottom up: [`scan`](self) finds where a value ends, [`window`](self) holds what is read of an input, [`form`](self) tells
//! lines from documents, [`lines`](self) and [`splitter`](self) cut them into events, [`pieces`] is both of them, [`source`] opens
//! files and unpacks them, [`batch`] gathers what is sent at once, [`server`] and [`directory`] store it, [`report`] counts,
//! [`pipeline`] runs it all in bounded memory, [`command`] is what a user sees.

pub mod batch;
pub mod command;
pub mod directory;
mod form;
mod lines;
pub mod piece;
pub mod pieces;
pub mod pipeline;
pub mod report;
mod scan;
pub mod server;
pub mod source;
mod splitter;
mod window;

pub use scan::Fault;
