//! CRC-32 as in Ethernet and zlib (ISO-HDLC, polynomial 0x04C11DB7 reflected), by the `crc32fast` crate; not Castagnoli.

use crate::error::{Error, Result};

/// The checksum of some bytes.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The checksum of bytes that come piece by piece.
#[derive(Default)]
pub(crate) struct Running(crc32fast::Hasher);

impl Running {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that was taken.
    pub(crate) fn end(self) -> u32 {
        self.0.finalize()
    }
}

/// Compares a stored checksum with that of the bytes.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] with both values.
pub(crate) fn check_crc32(bytes: &[u8], stored: u32) -> Result<()> {
    compare_crc32(crc32(bytes), stored)
}

/// Compares a stored checksum with the one that the bytes have.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] with both values.
pub(crate) fn compare_crc32(computed: u32, stored: u32) -> Result<()> {
    if computed == stored {
        return Ok(());
    }
    Err(Error::corrupt("checksum differs").expected(format_args!("crc32 {stored:08x}"), format_args!("{computed:08x}")))
}

/// The 64-bit hash that is written to disk (xxh3, seed 0); stable across machines and versions.
pub(crate) fn hash64(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
