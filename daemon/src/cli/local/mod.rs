//! Commands that need no server, or are one.

pub mod completions;
pub mod directory;
pub mod key;
pub mod repair;
pub mod serve;
pub mod verify;
