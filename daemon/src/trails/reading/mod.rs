//! The log as trails read it: once for all that are near, cut into batches.

pub mod gather;
pub mod source;
