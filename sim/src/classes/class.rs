//! [`Class`]: a row of the matrix, with its counts.

use crate::classes::{failed_call, failed_sync, full_disk, power_cut};
use crate::runner::Run;

/// A row of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Its number.
    pub number: u32,
    /// What happens.
    pub name: &'static str,
    /// Plans and runs its cases.
    pub run: fn(&Run),
}

const fn class(number: u32, name: &'static str, run: fn(&Run)) -> Class {
    Class { number, name, run }
}

/// All of them.
pub const ALL: [Class; 4] = [
    class(1, "power cut", power_cut::run),
    class(6, "sync that fails", failed_sync::run),
    class(7, "call that fails", failed_call::run),
    class(8, "full disk, then room", full_disk::run),
];
