//! [`Piece`]: what readers of an input give out, and [`Place`]: where it stood.

use super::scan::Fault;

/// Where something is in the (decompressed) input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The byte, from 0.
    pub byte: u64,
}

impl Place {
    /// The first byte of an input.
    pub const START: Place = Place { line: 1, byte: 0 };
}

/// What comes next in the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// What should be one event; it has not been validated.
    Element {
        /// Its bytes as they came.
        bytes: &'a [u8],
        /// Its first byte.
        place: Place,
    },
    /// A stretch that is no event.
    Broken {
        /// Its first byte.
        place: Place,
        /// Where reading goes on.
        until: Place,
        /// What is wrong.
        fault: Fault,
    },
}
