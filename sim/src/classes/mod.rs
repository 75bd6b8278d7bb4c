//! The rows of the fault matrix that run in process, one file each.

mod class;
mod failed_call;
mod failed_sync;
mod full_disk;
mod power_cut;

pub use class::{ALL, Class};
