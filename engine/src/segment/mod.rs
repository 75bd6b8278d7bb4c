//! The segment: an immutable, indexed file of shredded events. One file of code for each part of the format.
//!
//! [`writer`] makes a file from shreds; [`Segment`] opens one and answers as an [`crate::index::Index`]. Every byte is described in
//! `FORMAT.md`.

pub(crate) mod bitmap;
pub(crate) mod block;
pub(crate) mod chunk;
pub(crate) mod component;
pub(crate) mod dictionary;
pub(crate) mod event_ids;
pub(crate) mod fetch;
pub(crate) mod fixed;
pub(crate) mod footer;
pub(crate) mod groups;
mod index;
pub(crate) mod layout;
pub(crate) mod meta;
pub(crate) mod opened;
pub(crate) mod opened_block;
pub(crate) mod plan_columns;
pub(crate) mod planes;
pub(crate) mod postings;
pub(crate) mod received;
pub(crate) mod search;
pub(crate) mod segment_file;
pub(crate) mod segment_file_writer;
pub(crate) mod sequences;
pub(crate) mod timestamps;
pub(crate) mod typed;
pub(crate) mod values;
pub(crate) mod verify;
pub(crate) mod writer;

pub(crate) use opened::Segment;
