//! The frame of a segment file: header, component table, trailer.
//!
//! Nothing lies between the parts but zeros up to the next multiple of 8, so every byte of the file belongs to a checksum or
//! is known to be zero. The table is at the end, because lengths are known only after writing.

use crate::codec::checksum::{check_crc32, crc32};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SegmentId;
use crate::mutants;
use crate::segment::file::component::{ENTRY_BYTES, Entry};
use crate::segment::file::source::Source;

/// The length of the header.
pub(crate) const HEADER_BYTES: usize = 32;

/// The length of the trailer.
pub(crate) const TRAILER_BYTES: usize = 32;

/// Where components start: at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;

/// The most entries of a table: two for each dimension and a few more, with room for kinds to come.
pub(crate) const ENTRIES_MAX: usize = 4_096;

const HEADER_MAGIC: &[u8; 8] = b"TRAILSEG";
const TRAILER_MAGIC: &[u8; 8] = b"TRAILEND";
const FORMAT_VERSION: u16 = 1;

/// The bytes before a checksum of the header, and of the trailer.
const HEADER_CHECKED: usize = 28;
const TRAILER_CHECKED: usize = 20;

/// The zeros that follow something that ends at `position`.
pub(crate) fn padding(position: u64) -> usize {
    (position.wrapping_neg() % ALIGNMENT) as usize
}

/// The header of a segment.
pub(crate) fn header(id: SegmentId) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.put_bytes(HEADER_MAGIC);
    out.put_u16(FORMAT_VERSION);
    out.put_u16(0);
    out.put_u32(0);
    out.put_u64(id.0);
    out.put_u32(0);
    out.put_u32(crc32(&out));
    out
}

/// The table and the trailer of a file whose table starts at `offset`.
pub(crate) fn table_and_trailer(entries: &[Entry], offset: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_BYTES + TRAILER_BYTES);
    entries.iter().for_each(|entry| entry.put(&mut out));
    let (length, checksum) = (out.len() as u32, crc32(&out));
    let mut trailer = Vec::with_capacity(TRAILER_BYTES);
    trailer.put_u64(offset);
    trailer.put_u32(length);
    trailer.put_u32(checksum);
    trailer.put_u16(FORMAT_VERSION);
    trailer.put_u16(0);
    trailer.put_u32(crc32(&trailer));
    trailer.put_bytes(TRAILER_MAGIC);
    out.put_bytes(&trailer);
    out
}

/// Reads header, trailer and table of a file; what they say is checked against each other and the file's length.
///
/// # Errors
/// [`ErrorKind::Corrupt`], or [`ErrorKind::Unsupported`] for another format version. Offsets are those of the file. What reading it says.
pub(crate) fn read(file: &Source) -> Result<(SegmentId, Vec<Entry>)> {
    let id = read_header(file).map_err(|e| e.in_component("header"))?;
    let trailer = read_trailer(file).map_err(|e| e.in_component("trailer"))?;
    let entries = read_table(file, &trailer).map_err(|e| e.in_component("component table"))?;
    check_places(file, &entries, trailer.offset)?;
    Ok((id, entries))
}

fn check_version(version: u16, at: usize) -> Result<()> {
    match version {
        FORMAT_VERSION => Ok(()),
        other => {
            Err(Error::new(ErrorKind::Unsupported, "unknown version of the segment format").at(at as u64).expected(FORMAT_VERSION, other))
        }
    }
}

fn check_magic(found: &[u8], wanted: &[u8; 8], at: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::corrupt("no segment file").at(at as u64).expected(wanted.escape_ascii(), found.escape_ascii()))
}

fn check_zero(value: u32, at: usize) -> Result<()> {
    match value {
        0 => Ok(()),
        other => Err(Error::corrupt("a reserved field is not zero").at(at as u64).expected(0, other)),
    }
}

fn read_header(file: &Source) -> Result<SegmentId> {
    let bytes = file.read(0..file.len().min(HEADER_BYTES as u64))?;
    let bytes = Reader::new(&bytes).bytes(HEADER_BYTES)?;
    let mut reader = Reader::new(bytes);
    check_magic(reader.bytes(8)?, HEADER_MAGIC, 0)?;
    let (version, flags, reserved, id, more) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u64()?, reader.u32()?);
    // Of whatever version, header and trailer have their checksums where they have them now: a wrong byte in the version is damage.
    check_crc32(bytes.get(..HEADER_CHECKED).unwrap_or_default(), reader.u32()?).map_err(|e| e.at(0))?;
    check_version(version, 8)?;
    check_zero(u32::from(flags), 10)?;
    check_zero(reserved, 12)?;
    check_zero(more, 24)?;
    Ok(SegmentId(id))
}

struct Trailer {
    offset: u64,
    length: usize,
    crc32: u32,
}

fn read_trailer(file: &Source) -> Result<Trailer> {
    let too_short = || Error::corrupt("the file is too short").expected(format_args!("{} bytes", HEADER_BYTES + TRAILER_BYTES), file.len());
    let length = usize::try_from(file.len()).map_err(|_| Error::corrupt("the file is longer than memory can be"))?;
    let start = length.checked_sub(TRAILER_BYTES).filter(|start| *start >= HEADER_BYTES).ok_or_else(too_short)?;
    let bytes = file.read(start as u64..file.len())?;
    let bytes = &*bytes;
    check_magic(bytes.get(TRAILER_BYTES - 8..).unwrap_or_default(), TRAILER_MAGIC, start + TRAILER_BYTES - 8)?;
    let mut reader = Reader::new(bytes);
    let (offset, length, checksum, version, reserved) = (reader.u64()?, reader.u32()?, reader.u32()?, reader.u16()?, reader.u16()?);
    check_crc32(bytes.get(..TRAILER_CHECKED).unwrap_or_default(), reader.u32()?).map_err(|e| e.at(start as u64))?;
    check_version(version, start + 16)?;
    check_zero(u32::from(reserved), start + 18)?;
    if offset.checked_add(u64::from(length)) != Some(start as u64) {
        let found = format!("{offset} and {length} more");
        return Err(Error::corrupt("the component table does not end at the trailer").at(start as u64).expected(start, found));
    }
    Ok(Trailer { offset, length: length as usize, crc32: checksum })
}

fn read_table(file: &Source, trailer: &Trailer) -> Result<Vec<Entry>> {
    // It ends at the trailer, as `read_trailer` checked, so it is within the file.
    let bytes = file.read(trailer.offset..trailer.offset.saturating_add(trailer.length as u64))?;
    let bytes = &*bytes;
    if !mutants::is("component_table_crc_unchecked") {
        check_crc32(bytes, trailer.crc32).map_err(|e| e.at(trailer.offset))?;
    }
    let count = bytes.len() / ENTRY_BYTES;
    if bytes.len() % ENTRY_BYTES != 0 || count > ENTRIES_MAX {
        let wanted = format!("at most {ENTRIES_MAX} times {ENTRY_BYTES}");
        return Err(Error::corrupt("the component table has a wrong length").at(trailer.offset).expected(wanted, bytes.len()));
    }
    let mut reader = Reader::new(bytes);
    (0..count).map(|_| Entry::read(&mut reader)).collect()
}

/// Components follow each other without gaps but for padding, up to the table; no kind and ordinal come twice.
fn check_places(file: &Source, entries: &[Entry], table: u64) -> Result<()> {
    let mut position = HEADER_BYTES as u64;
    for (index, entry) in entries.iter().enumerate() {
        check_start(file, position, entry.offset).map_err(|e| e.in_component(entry.label()))?;
        let end = entry.offset.checked_add(entry.length).filter(|end| *end <= table);
        position = end.ok_or_else(|| {
            Error::corrupt("a component reaches past the table")
                .in_component(entry.label())
                .at(entry.offset)
                .expected(format_args!("at most {} bytes", table.saturating_sub(entry.offset)), entry.length)
        })?;
        if entries.iter().take(index).any(|other| (other.code, other.ordinal) == (entry.code, entry.ordinal)) {
            return Err(Error::corrupt("a component comes twice").in_component(entry.label()).at(entry.offset));
        }
    }
    check_start(file, position, table).map_err(|e| e.in_component("component table"))
}

fn check_start(file: &Source, end: u64, start: u64) -> Result<()> {
    let wanted = end + padding(end) as u64;
    if start != wanted {
        return Err(Error::corrupt("a part of the file is not where it must be").at(start).expected(wanted, start));
    }
    match file.read(end..start)?.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(Error::corrupt("padding is not zero").at(end)),
    }
}
