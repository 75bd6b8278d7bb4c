//! The rows of the fault matrix that run in process, one file each.

mod class;
mod power_cut;

pub use class::{ALL, Class};
