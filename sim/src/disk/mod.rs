//! [`Disk`]: a directory in memory that forgets what was not synced, fails when it is told to, and can be cut off at any moment.
//!
//! **Problem.** What a loss of power leaves of a directory depends on what was synced and on luck; a real disk shows one outcome in a
//! thousand, and not when one looks.
//!
//! **Mechanism.** Every change is an [`Operation`]. The disk applies it to what processes see at once, and notes it on the [`Medium`]: what is
//! durable, and what is pending behind it. A sync moves the pending changes of one file to the durable side, a sync of the directory those of
//! names. A crash is any part of the pending changes, whole or torn into sectors ([`cut`]), applied to what was durable. The operations of
//! a run can be recorded and played again to any length, which makes a crash at every moment cheap. [`Fault`]s make chosen calls fail.
//!
//! **Limits.** Directories are flat; a name belongs to one file. A rename is atomic: after a crash the file has the old name or the new.
//! A file system may keep more promises than this disk does; none that the engine is built for keeps fewer.

mod calls;
pub mod cut;
mod fault;
mod image;
mod medium;
mod operation;
mod simulated;
mod state;
mod turns;

pub use fault::{CHANGES, Failure, Fault, Kind};
pub use image::{Fill, Image};
pub use medium::Medium;
pub use operation::{Inode, Lost, Operation};
pub use simulated::Disk;
