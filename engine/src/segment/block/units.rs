//! Blocks: the shredded values of consecutive documents, in units that are compressed apart.
//!
//! Unit 0 holds the shape of every document; every other unit holds the chunk of one large column, or the chunks of several small ones.
//! The directory gives the place of every unit in every block, so that neither a scan of one column nor the fetching of one event
//! reads more than it needs. A block's checksum is compared when the block is first touched.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::bits::{Packed, pack, width_of};
use crate::codec::checksum::{check_crc32, crc32};
use crate::codec::compress::{compress, decompress};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, CHUNK_BYTES_MAX, COLUMNS_MAX, SEGMENT_DOCUMENTS_MAX};
use crate::mutants;
use crate::segment::block::planes::{self, Planes};

/// Raw parts shorter than this are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 32;

/// The zstd level of units: higher ones gain nothing, the columns have done the work.
const LEVEL: i32 = 3;

/// Builds one block after the other, and the directory.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    block: Vec<u8>,
    ends: Vec<u32>,
    /// For every block: its length, checksum, and where its units end.
    blocks: Vec<(u32, u32, Vec<u32>)>,
}

impl BlockWriter {
    /// Appends the next unit of the current block.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for a unit longer than [`CHUNK_BYTES_MAX`], or a block of 4 GiB.
    pub(crate) fn unit(&mut self, raw: &[u8], plain: &[u8]) -> Result<()> {
        if raw.len() > CHUNK_BYTES_MAX {
            let length = raw.len();
            return Err(Error::invalid("a unit of a block is too long").expected(format_args!("at most {CHUNK_BYTES_MAX}"), length));
        }
        if !raw.is_empty() || !plain.is_empty() {
            self.block.put_varint(raw.len() as u64);
            let mut packed = Vec::new();
            let worth = raw.len() >= COMPRESS_FROM_BYTES && compress(raw, LEVEL, &mut packed)? < raw.len();
            let stored = if worth { &packed } else { raw };
            self.block.put_varint((stored.len() as u64) << 1 | u64::from(worth));
            self.block.put_bytes(stored);
            self.block.put_bytes(plain);
        }
        let end = u32::try_from(self.block.len()).map_err(|_| Error::invalid("a block is longer than 4 GiB"))?;
        self.ends.push(end);
        Ok(())
    }

    /// Ends the block; returns its bytes, which are to be written before the next unit.
    pub(crate) fn end_block(&mut self) -> Vec<u8> {
        let block = std::mem::take(&mut self.block);
        self.blocks.push((block.len() as u32, crc32(&block), std::mem::take(&mut self.ends)));
        block
    }

    /// Appends the component `BlockDirectory`: `blocks: u32`, `units: u32`, `width: u32`; for each block `offset: u64`, `length: u32`,
    /// `crc32: u32`; then the packed ends of the units, block by block.
    pub(crate) fn directory(&self, out: &mut Vec<u8>) {
        let units = self.blocks.first().map_or(0, |(_, _, ends)| ends.len());
        let longest = self.blocks.iter().map(|(length, _, _)| *length).max().unwrap_or(0);
        let width = width_of(u64::from(longest));
        out.put_u32(self.blocks.len() as u32);
        out.put_u32(units as u32);
        out.put_u32(width);
        let mut offset = 0;
        for (length, crc, _) in &self.blocks {
            out.put_u64(offset);
            out.put_u32(*length);
            out.put_u32(*crc);
            offset += u64::from(*length);
        }
        pack(self.blocks.iter().flat_map(|(_, _, ends)| ends.iter().map(|e| u64::from(*e))), width, out);
    }
}

/// Appends the raw part of unit 0.
pub(crate) fn encode_shape_numbers(shapes: &[u64], raw: &mut Vec<u8>) {
    planes::encode(shapes, raw);
}

/// Appends the raw part of a shared unit: `columns: varint`; for each column that has values `difference of its place: varint`,
/// `length: varint`; then the chunks. `chunks` are (place in the unit, chunk).
pub(crate) fn encode_shared(chunks: &[(u32, Vec<u8>)], raw: &mut Vec<u8>) {
    if chunks.is_empty() {
        return;
    }
    raw.put_varint(chunks.len() as u64);
    let mut next = 0;
    for (place, chunk) in chunks {
        raw.put_varint(u64::from(place - next));
        raw.put_varint(chunk.len() as u64);
        next = place + 1;
    }
    chunks.iter().for_each(|(_, chunk)| raw.put_bytes(chunk));
}

/// Calls `visit` with the place and the chunk of each column that has one in a shared unit.
pub(crate) fn for_each_shared<'a>(raw: &'a [u8], mut visit: impl FnMut(u32, &'a [u8]) -> Result<()>) -> Result<()> {
    places_of_shared(raw)?.into_iter().try_for_each(|(place, bytes)| visit(place, raw.get(bytes).unwrap_or_default()))
}

/// The place of each column that has a chunk in a shared unit, and where in the unit that is; places ascend.
pub(crate) fn places_of_shared(raw: &[u8]) -> Result<Vec<(u32, Range<usize>)>> {
    if raw.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(raw);
    let count = reader.length(COLUMNS_MAX)?;
    let (mut places, mut next, mut end) = (Vec::with_capacity(count.min(raw.len())), 0u32, 0usize);
    for _ in 0..count {
        let place = reader.length(COLUMNS_MAX)?.saturating_add(next as usize).min(COLUMNS_MAX) as u32;
        let start = end;
        end = start.saturating_add(reader.length(raw.len())?);
        places.push((place, start..end));
        next = place + 1;
    }
    let first = reader.position();
    reader.bytes(end)?;
    for (_, bytes) in &mut places {
        *bytes = first + bytes.start..first + bytes.end;
    }
    Ok(places)
}

/// The directory of a segment's blocks.
#[derive(Debug)]
pub(crate) struct BlockDirectory<'a> {
    documents: u32,
    blocks: usize,
    units: usize,
    entries: &'a [u8],
    ends: Packed<'a>,
}

impl<'a> BlockDirectory<'a> {
    /// Reads the component `BlockDirectory` of a segment with this many documents.
    pub(crate) fn read(bytes: &'a [u8], documents: u32) -> Result<BlockDirectory<'a>> {
        let mut reader = Reader::new(bytes);
        let (blocks, units, width) = (reader.u32()? as usize, reader.u32()? as usize, reader.u32()?);
        let expected = (documents.min(SEGMENT_DOCUMENTS_MAX) as usize).div_ceil(BLOCK_DOCUMENTS);
        if blocks != expected || units > COLUMNS_MAX + 1 {
            return Err(Error::corrupt("the number of blocks or units is wrong").expected(expected, blocks));
        }
        let entries = reader.bytes(blocks * ENTRY_BYTES)?;
        let ends = Packed::read(&mut reader, blocks * units, width)?;
        reader.finish()?;
        Ok(BlockDirectory { documents, blocks, units, entries, ends })
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The documents of a block.
    pub(crate) fn documents(&self, block: usize) -> Range<u32> {
        let start = (block * BLOCK_DOCUMENTS) as u32;
        start..(start + BLOCK_DOCUMENTS as u32).min(self.documents)
    }

    /// Where a block is in the component `Blocks`.
    pub(crate) fn place(&self, block: usize) -> Result<Range<u64>> {
        let (offset, length, _) = self.entry(block)?;
        Ok(offset..offset.saturating_add(u64::from(length)))
    }

    /// Offset, length and checksum of a block in the component `Blocks`.
    fn entry(&self, block: usize) -> Result<(u64, u32, u32)> {
        let mut reader = Reader::new(self.entries.get(block * ENTRY_BYTES..).unwrap_or_default());
        Ok((reader.u64()?, reader.u32()?, reader.u32()?))
    }

    /// The place of a unit in its block.
    fn unit(&self, block: usize, unit: usize) -> Range<usize> {
        if unit >= self.units {
            return 0..0;
        }
        let at = block * self.units + unit;
        let start = if unit == 0 { 0 } else { self.ends.get(at - 1) as usize };
        start..self.ends.get(at) as usize
    }
}

const ENTRY_BYTES: usize = 16;

/// Which blocks were compared with their checksums.
#[derive(Debug)]
pub(crate) struct Verified(Box<[AtomicU64]>);

impl Verified {
    pub(crate) fn new(blocks: usize) -> Verified {
        Verified((0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    fn is_set(&self, block: usize) -> bool {
        self.0.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    fn set(&self, block: usize) {
        if let Some(word) = self.0.get(block / 64) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }
}

/// A unit as it is stored.
struct UnitParts<'a> {
    /// The length of the raw part, unfolded.
    length: usize,
    compressed: bool,
    stored: &'a [u8],
    plain: &'a [u8],
}

/// One block, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    bytes: &'a [u8],
    directory: &'a BlockDirectory<'a>,
    number: usize,
}

impl<'a> Block<'a> {
    /// The block with this number; `blocks` is the component `Blocks`.
    pub(crate) fn open(blocks: &'a [u8], directory: &'a BlockDirectory<'a>, number: usize, verified: &Verified) -> Result<Block<'a>> {
        let (offset, length, _) = directory.entry(number)?;
        let locate = |e: Error| e.in_component(format!("block {number}")).at(offset);
        let start = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(length as usize)?));
        let bytes = start.and_then(|range| blocks.get(range)).ok_or_else(|| locate(Error::corrupt("a block is out of its component")))?;
        Block::of(bytes, directory, number, verified)
    }

    /// The block with this number from its own bytes: see [`BlockDirectory::place`].
    pub(crate) fn of(bytes: &'a [u8], directory: &'a BlockDirectory<'a>, number: usize, verified: &Verified) -> Result<Block<'a>> {
        let (offset, _, crc) = directory.entry(number)?;
        let locate = |e: Error| e.in_component(format!("block {number}")).at(offset);
        if !verified.is_set(number) && !mutants::is("block_crc_unchecked") {
            check_crc32(bytes, crc).map_err(locate)?;
            verified.set(number);
        }
        Ok(Block { bytes, directory, number })
    }

    pub(crate) fn documents(&self) -> Range<u32> {
        self.directory.documents(self.number)
    }

    /// Its number in the segment.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The plain part of a unit.
    pub(crate) fn plain(&self, unit: u32) -> Result<&'a [u8]> {
        let range = self.directory.unit(self.number, unit as usize);
        let parts = self.parts(range).map_err(|e| e.in_component(format!("unit {unit} of block {}", self.number)))?;
        Ok(parts.map_or(&[], |parts| parts.plain))
    }

    /// Unfolds a unit: its raw part is appended to `raw`, its plain part returned.
    pub(crate) fn unit(&self, unit: u32, raw: &mut Vec<u8>) -> Result<&'a [u8]> {
        let range = self.directory.unit(self.number, unit as usize);
        self.read_unit(range, raw).map_err(|e| e.in_component(format!("unit {unit} of block {}", self.number)))
    }

    fn read_unit(&self, range: Range<usize>, raw: &mut Vec<u8>) -> Result<&'a [u8]> {
        let Some(parts) = self.parts(range)? else { return Ok(&[]) };
        match parts.compressed {
            true => decompress(parts.stored, parts.length, raw)?,
            false if parts.stored.len() == parts.length => raw.extend_from_slice(parts.stored),
            false => return Err(Error::corrupt("the length of a unit is wrong").expected(parts.length, parts.stored.len())),
        }
        Ok(parts.plain)
    }

    /// The parts of a unit; `None` for an empty one.
    fn parts(&self, range: Range<usize>) -> Result<Option<UnitParts<'a>>> {
        if range.is_empty() {
            return Ok(None);
        }
        let bytes = self.bytes.get(range).ok_or_else(|| Error::corrupt("a unit is out of its block"))?;
        let mut reader = Reader::new(bytes);
        let length = reader.length(CHUNK_BYTES_MAX)?;
        let stored = reader.varint()?;
        let compressed = stored & 1 == 1;
        let stored = reader.bytes(usize::try_from(stored >> 1).unwrap_or(usize::MAX))?;
        Ok(Some(UnitParts { length, compressed, stored, plain: reader.bytes(reader.remaining())? }))
    }

    /// Appends the shape number of every document; `raw` is scratch.
    pub(crate) fn read_shapes(&self, raw: &mut Vec<u8>, shapes: &mut Vec<u32>) -> Result<()> {
        raw.clear();
        self.unit(0, raw)?;
        shapes.append(&mut self.shapes(raw)?);
        Ok(())
    }

    /// The shape number of every document, from the raw part of unit 0.
    pub(crate) fn shapes(&self, raw: &[u8]) -> Result<Vec<u32>> {
        let planes = Planes::read(&mut Reader::new(raw), self.documents().len())?;
        Ok(match planes.narrow() {
            Some((low, [])) => low.iter().map(|low| u32::from(*low)).collect(),
            Some((low, high)) => low.iter().zip(high).map(|(low, high)| u32::from(*low) | u32::from(*high) << 8).collect(),
            None => planes.to_vec().into_iter().map(|shape| u32::try_from(shape).unwrap_or(u32::MAX)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_back_and_damage_is_found() {
        let mut writer = BlockWriter::default();
        let (mut blocks, mut directory) = (Vec::new(), Vec::new());
        for block in 0..3u8 {
            let mut raw = Vec::new();
            encode_shape_numbers(&vec![u64::from(block); BLOCK_DOCUMENTS], &mut raw);
            writer.unit(&raw, b"").unwrap();
            writer.unit(b"", b"").unwrap();
            writer.unit(&[block; 100], &[7, block]).unwrap();
            blocks.extend(writer.end_block());
        }
        writer.directory(&mut directory);
        let documents = 3 * BLOCK_DOCUMENTS as u32;
        let read = BlockDirectory::read(&directory, documents).unwrap();
        assert!(BlockDirectory::read(&directory, documents + 1).is_err());
        let verified = Verified::new(3);
        for number in 0..3 {
            let block = Block::open(&blocks, &read, number, &verified).unwrap();
            let mut raw = Vec::new();
            block.unit(0, &mut raw).unwrap();
            assert_eq!(block.shapes(&raw).unwrap(), vec![number as u32; BLOCK_DOCUMENTS]);
            raw.clear();
            assert_eq!(block.unit(2, &mut raw).unwrap(), [7, number as u8]);
            assert_eq!(raw, [number as u8; 100]);
            raw.clear();
            assert!(block.unit(1, &mut raw).unwrap().is_empty() && raw.is_empty());
        }
        blocks[3] ^= 1;
        let error = Block::open(&blocks, &read, 0, &Verified::new(3)).unwrap_err();
        assert!(error.to_string().contains("block 0"), "{error}");
    }

    #[test]
    fn shared_units_find_their_chunks() {
        let mut raw = Vec::new();
        encode_shared(&[(0, vec![1, 2]), (5, vec![]), (9, vec![3])], &mut raw);
        let found: Vec<_> = places_of_shared(&raw).unwrap().into_iter().map(|(place, bytes)| (place, raw[bytes].to_vec())).collect();
        assert_eq!(found, [(0, vec![1, 2]), (5, vec![]), (9, vec![3])]);
        assert_eq!(places_of_shared(&[]).unwrap(), []);
        assert!(places_of_shared(&raw[..raw.len() - 1]).is_err());
    }
}
