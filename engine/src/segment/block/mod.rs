//! The values of documents: which columns a segment has, and how their values lie in blocks.
//!
//! [`layout`] lists shapes and columns, [`chunk`] is one column within one block, [`typed`], [`planes`], [`uuids`] and [`strings`] are its forms for
//! numbers, for text of one width and for any text, [`units`] puts chunks together into what is compressed apart. [`predicted`] is a chunk
//! of which another column knows the most, [`predictions`] says which columns those are. [`single`] reads one value of a chunk.

pub(crate) mod chunk;
pub(crate) mod layout;
pub(crate) mod planes;
pub(crate) mod predicted;
pub(crate) mod predictions;
pub(crate) mod single;
pub(crate) mod strings;
pub(crate) mod typed;
pub(crate) mod units;
pub(crate) mod uuids;
