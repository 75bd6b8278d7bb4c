//! [`Class`]: a row of the matrix, with its counts.

use crate::classes::power_cut;
use crate::runner::{Run, Scale};

/// A row of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Its number.
    pub number: u32,
    /// What happens.
    pub name: &'static str,
    /// How many cases there are to be.
    pub target: fn(Scale) -> u64,
    /// Runs the cases.
    pub run: fn(&Run),
}

/// All of them.
pub const ALL: [Class; 1] =
    [Class { number: 1, name: "power cut", target: |scale| if scale.long { 2_000_000 } else { 20_000 }, run: power_cut::run }];
