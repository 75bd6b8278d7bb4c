//! Segments of one day that follow each other become one.
//!
//! [`tiers`] chooses which, [`compaction`] does it, [`pace`] and [`steady`] keep it out of the way of everything else.

pub(crate) mod compaction;
pub(crate) mod pace;
pub(crate) mod steady;
pub(crate) mod tiers;
