//! What the tests stand on: a disk in memory, a clock that can be turned, events, and a second opinion about their meaning.

pub(crate) mod answers;
pub(crate) mod clock;
pub(crate) mod crash;
pub(crate) mod events;
pub(crate) mod filters;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod oracle;
pub(crate) mod random;
pub(crate) mod schema;
