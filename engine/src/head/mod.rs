//! [`Head`]: the mutable index of what no segment holds yet.
//!
//! It keeps events shredded, with the terms of every document, and answers the same questions as a segment. Its documents are in
//! sequence order. When it is full it is frozen, and a segment is written from it.

mod documents;
mod index;
mod state;

pub(crate) use index::HeadIndex;
pub(crate) use state::{DimensionState, Entries, Head, State};
