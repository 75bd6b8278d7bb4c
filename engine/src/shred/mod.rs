//! [`Shreds`]: events as shapes and columns, in memory.
//!
//! The head keeps its events in this form, and a segment is written from it: an event is parsed once in its life.

pub(crate) mod columns;
pub(crate) mod rows;
pub(crate) mod select;
pub(crate) mod term_rows;
pub(crate) mod texts;
pub(crate) mod whole;

pub(crate) use columns::Columns;
pub(crate) use rows::{KnownHere, Shreds};
pub(crate) use term_rows::TermRows;
