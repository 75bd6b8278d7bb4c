//! An open segment, and how it answers as an [`crate::index::Index`].
//!
//! [`opened`] holds the components; [`index`] is the face to queries, which goes down to [`search`] for values within columns (and
//! [`remembered`], what is remembered of that), [`keys`] for those of unique dimensions, [`fetch`] for whole events, [`gaps`] for what damage
//! takes from them, [`values`] for single ones and [`terms`] for those of dimensions; [`verify`] reads every byte again. [`rows`] puts events
//! together, from blocks that were opened ([`opened_block`]) or from a [`few`] values.

pub(crate) mod fetch;
pub(crate) mod few;
pub(crate) mod gaps;
mod index;
pub(crate) mod keys;
pub(crate) mod opened;
pub(crate) mod opened_block;
pub(crate) mod remembered;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod terms;
pub(crate) mod values;
pub(crate) mod verify;
