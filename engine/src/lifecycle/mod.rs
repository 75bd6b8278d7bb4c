//! What happens to events over time: committed, flushed, merged, sealed, expired, recovered after a crash, and repaired after damage.

pub(crate) mod flush;
pub(crate) mod ingest;
pub(crate) mod live;
pub(crate) mod maintenance;
pub(crate) mod merging;
pub(crate) mod recovery;
pub(crate) mod repair;
pub(crate) mod seal;
pub(crate) mod statistics;
pub(crate) mod verify;
