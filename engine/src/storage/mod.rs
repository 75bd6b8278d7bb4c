//! [`Storage`]: the only door to the disk, narrow enough for a simulated disk to walk through it.
//!
//! A data directory is flat: the catalog, journal files, segment files, a lock. What the medium is assumed to do is written in
//! `DESIGN.md`. Names are given by the engine, never by a client.

mod by_calls;
mod file;
mod mapped;
mod read_only;
mod seam;

pub(crate) use by_calls::ByCalls;
pub use file::FileStorage;
pub(crate) use mapped::mapped_bytes;
pub use read_only::ReadOnlyBytes;
pub(crate) use seam::WeakView;
pub use seam::{File, Storage, View};
