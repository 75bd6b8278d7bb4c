//! The segment: an immutable, indexed file of shredded events. A room for each part of the format.
//!
//! [`mod@write`] makes a file from shreds, [`mod@merge`] one from several; [`Segment`] opens one and answers as an [`crate::index::Index`]. Below them lie the parts of the
//! format, which know nothing of one another but for [`mod@file`], which all of them use. Every byte is described in `FORMAT.md`.

pub(crate) mod block;
pub(crate) mod cache;
pub(crate) mod dictionary;
pub(crate) mod documents;
pub(crate) mod file;
pub(crate) mod merge;
pub(crate) mod meta;
pub(crate) mod postings;
pub(crate) mod read;
pub(crate) mod resident;
pub(crate) mod write;

pub(crate) use read::opened::Segment;
