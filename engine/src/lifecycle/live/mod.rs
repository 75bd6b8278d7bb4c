//! A log as it is at this moment, and what its threads have in common.
//!
//! [`shared`] is what every thread holds: the [`parts`] that can be asked, the [`catalog`] that says what is live, the [`queue`] of what
//! waits for the writer, the [`reserve`] of space, the clock that [`retention`] trusts, what is due and [`holding`] for somebody, the [`problems`] that an operator should know, and the memory of a
//! [`spare`] head.

pub(crate) mod catalog;
pub(crate) mod holding;
pub(crate) mod parts;
pub(crate) mod problems;
pub(crate) mod queue;
pub(crate) mod reserve;
pub(crate) mod retention;
pub(crate) mod shared;
pub(crate) mod spare;
