//! What happens to events over time: committed, flushed, merged, sealed, expired, and recovered after a crash.

pub(crate) mod catalog;
pub(crate) mod commit;
pub(crate) mod compaction;
pub(crate) mod duplicates;
pub(crate) mod flush;
pub(crate) mod maintenance;
pub(crate) mod pace;
pub(crate) mod parts;
pub(crate) mod problems;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod retention;
pub(crate) mod seal;
pub(crate) mod shared;
pub(crate) mod spare;
pub(crate) mod statistics;
pub(crate) mod steady;
pub(crate) mod strays;
pub(crate) mod tiers;
pub(crate) mod verify;
