//! What the tests stand on: logs on a disk in memory (`trail_sim`), events, and a second opinion about their meaning.

pub(crate) mod answers;
pub(crate) mod events;
pub(crate) mod filters;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod oracle;
pub(crate) mod schema;
