//! Merging: one segment in place of several that follow each other in the log, without parsing an event again.
//!
//! [`mod@write`] goes through the components one by one; each is made from those of the inputs by a walk over all of them at once:
//! [`order`] says where each document goes, [`united`] which columns and shapes there are, [`plan`], [`ways`] and [`terms`] what becomes of the
//! columns' encodings and terms, [`held`] which of them are a dimension's, [`recurring`] finds strings that became terms, [`predictions`] keeps what follows from what,
//! [`source`] and [`blocks`] move the values, [`lists`] and [`keys`] the indexes.
//!
//! What is held in memory: 5 bytes a document and 4 bytes a term of every input, one unfolded block of every input, at most 64 MiB of strings
//! that recur, and one component of the new segment at a time (at most 8 bytes a document), of which the blocks and the dictionary
//! are written as they come. Mapped pages of the inputs are given back after every few blocks.

pub(crate) mod blocks;
pub(crate) mod breath;
pub(crate) mod front;
pub(crate) mod held;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod order;
pub(crate) mod plan;
pub(crate) mod predictions;

pub(crate) mod recurring;
pub(crate) mod source;
pub(crate) mod terms;
pub(crate) mod united;
pub(crate) mod values;
pub(crate) mod ways;
pub(crate) mod write;
