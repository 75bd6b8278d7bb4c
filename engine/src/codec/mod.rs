//! Bytes to numbers and back: checked little-endian reads, varints, bit packing, checksums, compression.
//!
//! Everything that is read here may be damaged: every read is checked, and says what was expected.

pub(crate) mod bits;
pub(crate) mod checksum;
pub(crate) mod compress;
pub(crate) mod read;
pub(crate) mod same;
pub(crate) mod write;
