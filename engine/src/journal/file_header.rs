//! [`FileHeader`]: the first 64 bytes of a journal file.
//!
//! A file gets its live name only after its header is synced, so a live file with a bad header is damage, never a crash.

use crate::codec::checksum::{check_crc32, crc32};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::mutants;

/// Where the first frame starts.
pub(super) const FILE_HEADER_BYTES: usize = 64;

/// The version of the file and of its frames.
pub(super) const VERSION: u8 = 1;

const MAGIC: &[u8; 8] = b"TRAILJNL";
const RESERVED: usize = 12;
const CRC_AT: usize = FILE_HEADER_BYTES - 4;

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Strictly increasing from file to file.
    pub(super) id: u64,
    /// The sequence of the first frame. Everything below was durable when the file was made.
    pub(super) first_sequence: Sequence,
    /// When the file was made.
    pub(super) created_at: Timestamp,
    /// The length that was reserved. A file that is shorter was cut by a close, and then has its mark, or it was damaged.
    pub(super) reserved: u64,
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FILE_HEADER_BYTES);
        out.put_bytes(MAGIC);
        out.put_u16(u16::from(VERSION));
        out.put_u16(0);
        out.put_u32(FILE_HEADER_BYTES as u32);
        out.put_u64(self.id);
        out.put_u64(self.first_sequence.0);
        out.put_i64(self.created_at.0);
        out.put_u64(self.reserved);
        out.put_bytes(&[0; RESERVED]);
        out.put_u32(crc32(&out));
        out
    }

    /// Reads the header of the file with an id.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], or [`ErrorKind::Unsupported`] for another version.
    pub(super) fn decode(bytes: &[u8], id: u64) -> Result<FileHeader> {
        let mut reader = Reader::new(bytes);
        let covered = reader.bytes(CRC_AT)?;
        if !mutants::is("file_header_crc_unchecked") {
            check_crc32(covered, reader.u32()?)?;
        }
        let mut reader = Reader::new(covered);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::corrupt("this is no journal"));
        }
        let version = reader.u16()?;
        if version != u16::from(VERSION) {
            return Err(Error::new(ErrorKind::Unsupported, "the journal is of another version").expected(VERSION, version));
        }
        reader.bytes(6)?;
        let found = reader.u64()?;
        if found != id {
            return Err(Error::corrupt("the journal has another id than its name").expected(id, found));
        }
        let (first_sequence, created_at) = (Sequence(reader.u64()?), Timestamp(reader.i64()?));
        Ok(FileHeader { id, first_sequence, created_at, reserved: reader.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_tells_every_flip() {
        let header = FileHeader { id: 7, first_sequence: Sequence(99), created_at: Timestamp(-5), reserved: 1 << 40 };
        let bytes = header.encode();
        assert_eq!(bytes.len(), FILE_HEADER_BYTES);
        assert_eq!(FileHeader::decode(&bytes, 7).unwrap(), header);
        assert_eq!(FileHeader::decode(&bytes, 8).unwrap_err().kind(), ErrorKind::Corrupt);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::decode(&bad, 7).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
        }
    }

    #[test]
    fn refuses_another_version_by_name() {
        let mut bytes = FileHeader { id: 7, first_sequence: Sequence(1), created_at: Timestamp(0), reserved: 0 }.encode();
        bytes[8] = 2;
        let crc = crc32(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes, 7).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
