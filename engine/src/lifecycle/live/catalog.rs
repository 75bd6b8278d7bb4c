//! [`Catalog`]: the atomically replaced list of live segments.
//!
//! A segment exists when the catalog names it. The catalog is written whole to a second file, synced, renamed over the first, and the
//! directory is synced; a crash leaves the old one or the new one.

use std::io;

use crate::codec::checksum::{check_crc32, crc32};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Day, SegmentId, Sequence, Timestamp};
use crate::mutants;
use crate::segment::meta::Meta;
use crate::storage::Storage;

/// The name of the catalog.
pub(crate) const CATALOG: &str = "catalog";
const NEXT_CATALOG: &str = "catalog.next";
const MAGIC: &[u8; 8] = b"TRAILCAT";
const VERSION: u16 = 1;
const ENTRY_BYTES: usize = 88;
const FLAG_SEALED: u8 = 1;

/// One live segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogEntry {
    pub(crate) id: SegmentId,
    pub(crate) day: Day,
    pub(crate) first_sequence: Sequence,
    pub(crate) documents: u32,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    pub(crate) received_min: Timestamp,
    pub(crate) received_max: Timestamp,
    pub(crate) event_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) crc32: u32,
    /// Whether it is final: never merged again.
    pub(crate) sealed: bool,
}

impl CatalogEntry {
    /// The entry of a segment that is not final, from what the segment says of itself, and the length and checksum of its file.
    pub(crate) fn of(id: SegmentId, meta: &Meta, file_bytes: u64, crc32: u32) -> CatalogEntry {
        CatalogEntry {
            id,
            day: meta.day,
            first_sequence: meta.first_sequence,
            documents: meta.documents,
            time_min: meta.time_min,
            time_max: meta.time_max,
            received_min: meta.received_min,
            received_max: meta.received_max,
            event_bytes: meta.event_bytes,
            file_bytes,
            crc32,
            sealed: false,
        }
    }

    /// The first sequence after it.
    pub(crate) fn end_sequence(&self) -> Sequence {
        self.first_sequence.plus(u64::from(self.documents))
    }

    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        segment_name(self.id)
    }
}

/// The name of a segment's file.
pub(crate) fn segment_name(id: SegmentId) -> String {
    format!("segment-{id}")
}

/// The live segments, and what must not be forgotten about those that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Catalog {
    /// The id of the next segment.
    pub(crate) next_segment: SegmentId,
    /// Every sequence below was flushed to a segment, which may have expired since.
    pub(crate) flushed_to: Sequence,
    /// The time that retention may trust: see `retention`.
    pub(crate) trusted_time: Timestamp,
    /// The id of the newest journal file: it, or a later one, must be there. 0 when none need be.
    pub(crate) newest_journal: u64,
    /// In the order of their sequences.
    pub(crate) segments: Vec<CatalogEntry>,
}

impl Catalog {
    /// The catalog of a new log.
    pub(crate) fn new(now: Timestamp) -> Catalog {
        Catalog { next_segment: SegmentId(1), flushed_to: Sequence::FIRST, trusted_time: now, newest_journal: 0, segments: Vec::new() }
    }

    /// Reads the catalog of a directory; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Unsupported`], or what the operating system says.
    pub(crate) fn load(storage: &dyn Storage) -> Result<Option<Catalog>> {
        let file = match storage.open(CATALOG) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| Error::io("cannot open the catalog", e).in_file(CATALOG))?,
        };
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(usize::MAX).min(CATALOG_BYTES_MAX)];
            file.read_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|e| Error::io("cannot read the catalog", e).in_file(CATALOG))?;
        Catalog::decode(&bytes).map(Some).map_err(|e| e.in_file(CATALOG))
    }

    /// Replaces the catalog of a directory.
    ///
    /// # Errors
    /// What the operating system says; then either the old or the new catalog is there after a crash.
    pub(crate) fn store(&self, storage: &dyn Storage) -> Result<()> {
        let write = || -> io::Result<()> {
            let file = storage.create(NEXT_CATALOG)?;
            file.write_at(&self.encode(), 0)?;
            if !mutants::is("catalog_sync_left_out") {
                file.sync()?;
            }
            storage.rename(NEXT_CATALOG, CATALOG)?;
            if mutants::is("catalog_directory_sync_left_out") { Ok(()) } else { storage.sync_directory() }
        };
        write().map_err(|e| Error::io("cannot replace the catalog", e).in_file(CATALOG))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(56 + self.segments.len() * ENTRY_BYTES);
        out.put_bytes(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(0);
        out.put_u32(self.segments.len() as u32);
        out.put_u64(self.next_segment.0);
        out.put_u64(self.flushed_to.0);
        out.put_i64(self.trusted_time.0);
        out.put_u64(self.newest_journal);
        for entry in &self.segments {
            out.put_u64(entry.id.0);
            out.put_u64(entry.first_sequence.0);
            out.put_u32(entry.documents);
            out.put_u32(entry.day.0 as u32);
            for time in [entry.time_min, entry.time_max, entry.received_min, entry.received_max] {
                out.put_i64(time.0);
            }
            out.put_u64(entry.event_bytes);
            out.put_u64(entry.file_bytes);
            out.put_u32(entry.crc32);
            out.put_u8(if entry.sealed { FLAG_SEALED } else { 0 });
            out.put_bytes(&[0; 11]);
        }
        let crc = crc32(&out);
        out.put_u32(crc);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Catalog> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(|| Error::corrupt("the catalog is too short").at(0))?;
        let mut reader = Reader::new(body);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::corrupt("this is no catalog").at(0));
        }
        // Of whatever version, it ends with its checksum: a wrong byte in the version is damage, which a repair mends.
        if !mutants::is("catalog_crc_unchecked") {
            check_crc32(body, u32::from_le_bytes(*crc)).map_err(|e| e.at(body.len() as u64))?;
        }
        let version = reader.u16()?;
        if version != VERSION {
            let message = "the catalog is of a version that this build does not know";
            return Err(Error::new(ErrorKind::Unsupported, message).at(8).expected(VERSION, version));
        }
        reader.u16()?;
        let count = reader.u32()? as usize;
        let mut catalog = Catalog {
            next_segment: SegmentId(reader.u64()?),
            flushed_to: Sequence(reader.u64()?),
            trusted_time: Timestamp(reader.i64()?),
            newest_journal: reader.u64()?,
            segments: Vec::with_capacity(count.min(body.len() / ENTRY_BYTES)),
        };
        for _ in 0..count {
            catalog.segments.push(read_entry(&mut reader)?);
        }
        reader.finish()?;
        Ok(catalog)
    }
}

/// A catalog of a million segments; there are never so many.
const CATALOG_BYTES_MAX: usize = 88 << 20;

fn read_entry(reader: &mut Reader<'_>) -> Result<CatalogEntry> {
    let entry = CatalogEntry {
        id: SegmentId(reader.u64()?),
        first_sequence: Sequence(reader.u64()?),
        documents: reader.u32()?,
        day: Day(reader.u32()? as i32),
        time_min: Timestamp(reader.i64()?),
        time_max: Timestamp(reader.i64()?),
        received_min: Timestamp(reader.i64()?),
        received_max: Timestamp(reader.i64()?),
        event_bytes: reader.u64()?,
        file_bytes: reader.u64()?,
        crc32: reader.u32()?,
        sealed: reader.u8()? & FLAG_SEALED != 0,
    };
    reader.bytes(11)?;
    Ok(entry)
}

/// An entry for tests.
#[cfg(test)]
pub(crate) fn tests_entry() -> CatalogEntry {
    CatalogEntry {
        id: SegmentId(7),
        day: Day(-1),
        first_sequence: Sequence(5),
        documents: 9,
        time_min: Timestamp::MIN,
        time_max: Timestamp::MAX,
        received_min: Timestamp(1),
        received_max: Timestamp(2),
        event_bytes: 3,
        file_bytes: 4,
        crc32: 0xdead_beef,
        sealed: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_any_changed_byte_is_found() {
        let entry = tests_entry();
        let mut catalog = Catalog { newest_journal: 3, ..Catalog::new(Timestamp(99)) };
        catalog.segments = vec![entry, CatalogEntry { sealed: false, ..entry }];
        let bytes = catalog.encode();
        assert_eq!(bytes.len(), 48 + 2 * ENTRY_BYTES + 4);
        assert_eq!(Catalog::decode(&bytes).unwrap(), catalog);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // A wrong version is damage too, as long as the rest does not say the same.
            assert_eq!(Catalog::decode(&changed).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
            assert!(Catalog::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn an_intact_catalog_of_another_version_is_refused_by_name() {
        let bytes = Catalog::new(Timestamp(99)).encode();
        let (body, _) = bytes.split_last_chunk::<4>().unwrap();
        let mut body = body.to_vec();
        body[8] += 1;
        let crc = crate::codec::checksum::crc32(&body);
        body.extend_from_slice(&crc.to_le_bytes());
        assert_eq!(Catalog::decode(&body).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
