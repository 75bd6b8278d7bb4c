//! [`Class`]: a row of the matrix, with its counts.

use crate::classes::{clock_jump, expiry, failed_call, failed_sync, format, full_disk, open_damage, power_cut, wrong_byte, wrong_page};
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
pub const ALL: [Class; 10] = [
    class(1, "power cut", power_cut::run),
    class(6, "sync that fails", failed_sync::run),
    class(7, "call that fails", failed_call::run),
    class(8, "full disk, then room", full_disk::run),
    class(9, "wrong byte", wrong_byte::run),
    class(10, "wrong page or file", wrong_page::run),
    class(10, "rot while it is open", open_damage::run),
    class(12, "clock that jumps", clock_jump::run),
    class(13, "day that is dropped", expiry::run),
    class(24, "format of another version", format::run),
];
