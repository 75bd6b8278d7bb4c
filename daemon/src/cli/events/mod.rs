//! Commands that show events, and how events are shown: their [`fields`] as a table, or line by line.

pub mod fields;
pub mod search;
pub mod tail;
mod writer;
