//! The documents of each term of one keyword dimension.
//!
//! Half of all terms are in one document: that number stands in the directory itself. The others are written in the smallest of
//! three forms: differences, where documents come in bursts; the form of Elias and Fano, where they are scattered; a roaring
//! bitmap, where they are many. Lists of more than 16,384 documents are bitmaps always, which are faster to read than to
//! count out. Directory entries are packed in one width, so a term is found by its number. Terms that always come together, as a resource's full
//! name and its last part do, have one list.

use std::ops::Range;

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use crate::codec::bits::{Packed, pack, width_of};
use crate::codec::checksum::hash64;
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::index::Postings;
use crate::segment::postings::{bitmap, elias_fano};

/// The tag of an entry that is a document; without it, it is a place in the data.
const TAG_ONE: u64 = 1;

const KIND_DIFFERENCES: u8 = 0;
const KIND_BITMAP: u8 = 1;
const KIND_ELIAS_FANO: u8 = 2;

/// The kind stands below the number of documents.
const KIND_BITS: u32 = 2;

/// The most documents that are not written as a bitmap.
const LIST_MAX: usize = 16_384;

/// Builds the component.
#[derive(Debug, Default)]
pub(crate) struct PostingsWriter {
    entries: Vec<u64>,
    data: Vec<u8>,
    differences: Vec<u8>,
    /// Of every list half of its hash, and where it is in the data.
    known: HashTable<(u32, u32)>,
}

impl PostingsWriter {
    /// Adds the next term: its documents, strictly ascending.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when they do not ascend.
    pub(crate) fn push(&mut self, documents: &[u32]) -> Result<()> {
        if !documents.is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid("the documents of a term do not ascend"));
        }
        if let [document] = documents {
            self.entries.push(u64::from(*document) << 1 | TAG_ONE);
            return Ok(());
        }
        let start = self.data.len();
        self.put_list(documents)?;
        let place = self.shared(start);
        self.entries.push((place as u64) << 1);
        Ok(())
    }

    /// The place of a list that is the last in the data, or of an earlier one that is the same; then the last is taken out again.
    fn shared(&mut self, start: usize) -> usize {
        let Some((own, place)) = self.data.get(start..).zip(u32::try_from(start).ok()) else { return start };
        // A list says by itself where it ends.
        let is_same = |at: u32| self.data.get(at as usize..at as usize + own.len()) == Some(own);
        let (hash, spread) = (hash64(own) as u32, |hash: u32| u64::from(hash) << 32 | u64::from(hash));
        match self.known.find(spread(hash), |(other, at)| *other == hash && is_same(*at)) {
            Some((_, at)) => {
                self.data.truncate(start);
                *at as usize
            }
            None => {
                self.known.insert_unique(spread(hash), (hash, place), |(hash, _)| spread(*hash));
                start
            }
        }
    }

    fn put_list(&mut self, documents: &[u32]) -> Result<()> {
        if documents.len() <= LIST_MAX {
            self.put_differences(documents);
            let least = self.differences.len().min(elias_fano::encoded_len(documents));
            if least <= bitmap_bytes_min(documents) || least <= bitmap_of(documents)?.serialized_size() {
                self.put_scattered(documents, least);
                return Ok(());
            }
        }
        let bitmap = bitmap_of(documents)?;
        self.put_count(documents, KIND_BITMAP);
        self.data.put_varint(bitmap.serialized_size() as u64);
        bitmap.serialize_into(&mut self.data).map_err(|e| Error::io("cannot serialise a bitmap", e))
    }

    fn put_differences(&mut self, documents: &[u32]) {
        self.differences.clear();
        let mut least = 0;
        for document in documents {
            self.differences.put_varint(u64::from(*document - least));
            least = document.saturating_add(1);
        }
    }

    /// Appends the form that has `least` bytes; of two, the one that is faster to read.
    fn put_scattered(&mut self, documents: &[u32], least: usize) {
        if elias_fano::encoded_len(documents) == least {
            self.put_count(documents, KIND_ELIAS_FANO);
            elias_fano::encode(documents, &mut self.data);
        } else {
            self.put_count(documents, KIND_DIFFERENCES);
            self.data.put_bytes(&self.differences);
        }
    }

    fn put_count(&mut self, documents: &[u32], kind: u8) {
        self.data.put_varint((documents.len() as u64) << KIND_BITS | u64::from(kind));
    }

    /// How many terms were added.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends the component.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        let width = self.entries.iter().copied().max().map_or(0, width_of).max(1);
        out.put_u32(self.entries.len() as u32);
        out.put_u32(width);
        out.put_u64(self.data.len() as u64);
        pack(self.entries.into_iter(), width, out);
        out.put_bytes(&self.data);
    }
}

fn bitmap_of(documents: &[u32]) -> Result<RoaringBitmap> {
    let mut bitmap =
        RoaringBitmap::from_sorted_iter(documents.iter().copied()).map_err(|_| Error::invalid("the documents of a term do not ascend"))?;
    bitmap.optimize();
    Ok(bitmap)
}

/// A varint of at most four bytes at the low end of a word, and its length; `None` for a longer one.
#[inline]
fn short_varint(word: u32) -> Option<(u32, usize)> {
    let ends = !word & 0x8080_8080;
    // The bits up to the highest of the last byte.
    let kept = word & (ends ^ ends.wrapping_sub(1));
    let value = kept & 0x7f | (kept >> 1) & 0x3f80 | (kept >> 2) & 0x1f_c000 | (kept >> 3) & 0xfe0_0000;
    (ends != 0).then_some((value, ends.trailing_zeros() as usize / 8 + 1))
}

/// What a bitmap takes at least: seldom does one have to be built to know that differences are smaller.
fn bitmap_bytes_min(documents: &[u32]) -> usize {
    let runs = 1 + documents.iter().zip(documents.iter().skip(1)).filter(|(a, b)| *a + 1 != **b).count();
    15 + (documents.len() * 2).min(runs * 4).min(8_192) - 4
}

/// The postings of a dimension, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostingsReader<'a> {
    documents: u32,
    directory: Packed<'a>,
    data: &'a [u8],
}

/// The stored form of a term's documents.
enum Stored<'a> {
    One(u32),
    Differences { count: u32, bytes: &'a [u8] },
    EliasFano { count: u32, bytes: &'a [u8] },
    Bitmap { count: u32, bytes: &'a [u8] },
}

impl<'a> PostingsReader<'a> {
    /// Takes the bytes of the component of a segment with this many documents; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8], documents: u32) -> Result<PostingsReader<'a>> {
        let mut reader = Reader::new(bytes);
        let (terms, width, length) = (reader.u32()?, reader.u32()?, reader.u64()?);
        if width == 0 {
            return Err(Error::corrupt("the entries of postings have no width").at(4).expected("1 or more", width));
        }
        let directory = Packed::read(&mut reader, terms as usize, width)?;
        let length = usize::try_from(length).map_err(|_| Error::corrupt("postings are too long").at(8))?;
        let data = reader.bytes(length)?;
        reader.finish()?;
        Ok(PostingsReader { documents, directory, data })
    }

    /// How many terms there are.
    pub(crate) fn len(&self) -> u32 {
        self.directory.len() as u32
    }

    /// How many documents a term has, without reading them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such term.
    pub(crate) fn count(&self, ordinal: u32) -> Result<u32> {
        self.stored(ordinal).map(|stored| match stored {
            Stored::One(_) => 1,
            Stored::Differences { count, .. } | Stored::EliasFano { count, .. } | Stored::Bitmap { count, .. } => count,
        })
    }

    /// The documents of a term, all below the number of documents; `scratch` holds them unless they are a bitmap.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such term.
    pub(crate) fn with<'s>(&self, ordinal: u32, scratch: &'s mut Vec<u32>) -> Result<Postings<'s>>
    where
        'a: 's,
    {
        scratch.clear();
        match self.stored(ordinal)? {
            Stored::One(document) => scratch.push(document),
            Stored::Differences { count, bytes } => {
                scratch.reserve(count as usize);
                self.for_each_of(count, bytes, |document| scratch.push(document))?;
            }
            Stored::EliasFano { count, bytes } => {
                scratch.reserve(count as usize);
                elias_fano::for_each(bytes, count, self.documents, |document| scratch.push(document))?;
            }
            Stored::Bitmap { count, bytes } => {
                let summary = bitmap::summary(bytes)?;
                self.check_bitmap(count, summary.count, Some(summary.max))?;
                return Ok(Postings::Roaring { bytes, count });
            }
        }
        Ok(Postings::Sorted(scratch))
    }

    /// Calls `visit` with each document of a term, ascending.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such term; `visit` may then have seen some of them.
    pub(crate) fn for_each(&self, ordinal: u32, mut visit: impl FnMut(u32)) -> Result<()> {
        match self.stored(ordinal)? {
            Stored::One(document) => visit(document),
            Stored::Differences { count, bytes } => self.for_each_of(count, bytes, visit)?,
            Stored::EliasFano { count, bytes } => elias_fano::for_each(bytes, count, self.documents, visit)?,
            Stored::Bitmap { count, bytes } => self.bitmap(count, bytes)?.iter().for_each(visit),
        }
        Ok(())
    }

    /// Adds the documents of a term that are within a range to a set.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such term; the set may then hold some of them.
    pub(crate) fn add_to(&self, ordinal: u32, within: Range<u32>, set: &mut RoaringBitmap) -> Result<()> {
        match self.stored(ordinal)? {
            Stored::One(document) => {
                if within.contains(&document) {
                    set.insert(document);
                }
                Ok(())
            }
            Stored::Differences { .. } | Stored::EliasFano { .. } => {
                let mut documents = Vec::new();
                self.with(ordinal, &mut documents)?;
                documents.retain(|document| within.contains(document));
                let found = RoaringBitmap::from_sorted_iter(documents).map_err(|_| Error::corrupt("documents do not ascend"))?;
                *set |= found;
                Ok(())
            }
            Stored::Bitmap { count, bytes } => {
                let mut found = self.bitmap(count, bytes)?;
                found.remove_range(..within.start);
                found.remove_range(within.end.max(within.start)..);
                *set |= found;
                Ok(())
            }
        }
    }

    /// Walks everything.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        (0..self.len())
            .filter(|ordinal| self.directory.get(*ordinal as usize) & TAG_ONE != 0)
            .try_for_each(|one| self.stored(one).map(|_| ()))?;
        self.first_uses()?.into_iter().try_for_each(|ordinal| match self.stored(ordinal)? {
            Stored::One(_) => Ok(()),
            Stored::Differences { count, bytes } => self.for_each_of(count, bytes, |_| ()),
            Stored::EliasFano { count, bytes } => elias_fano::for_each(bytes, count, self.documents, |_| ()),
            Stored::Bitmap { count, bytes } => self.bitmap(count, bytes).map(|_| ()),
        })
    }

    /// The terms that are the first with their lists. The lists stand in the data in the order of these; a later term has one of its own, or that
    /// of an earlier term. A damaged directory may name millions of terms that all lead to one list; reading that for each of them would never end.
    fn first_uses(&self) -> Result<Vec<u32>> {
        let (mut places, mut ordinals) = (Vec::new(), Vec::new());
        for ordinal in 0..self.len() {
            let entry = self.directory.get(ordinal as usize);
            let place = entry >> 1;
            if entry & TAG_ONE != 0 {
                continue;
            }
            if places.last().is_none_or(|last| *last < place) {
                places.push(place);
                ordinals.push(ordinal);
            } else if places.binary_search(&place).is_err() {
                return Err(Error::corrupt("a term has postings where none begin").expected("the place of a list", place));
            }
        }
        Ok(ordinals)
    }

    fn bitmap(&self, count: u32, bytes: &[u8]) -> Result<RoaringBitmap> {
        let found = RoaringBitmap::deserialize_from(bytes).map_err(|e| Error::corrupt("cannot read the bitmap of a term").because(e))?;
        self.check_bitmap(count, found.len(), found.max())?;
        Ok(found)
    }

    fn stored(&self, ordinal: u32) -> Result<Stored<'a>> {
        if ordinal >= self.len() {
            return Err(Error::corrupt("a term has no postings").expected(format_args!("below {}", self.len()), ordinal));
        }
        let entry = self.directory.get(ordinal as usize);
        if entry & TAG_ONE != 0 {
            return self.below_end(entry >> 1).map(Stored::One);
        }
        let place = entry >> 1;
        let rest = usize::try_from(place).ok().and_then(|place| self.data.get(place..)).ok_or_else(|| {
            Error::corrupt("the postings of a term are past the end").expected(format_args!("below {}", self.data.len()), place)
        })?;
        let mut reader = Reader::new(rest);
        let (count, kind) = self.read_count(&mut reader)?;
        match kind {
            KIND_DIFFERENCES if count as usize <= reader.remaining() => {
                Ok(Stored::Differences { count, bytes: reader.bytes(reader.remaining())? })
            }
            KIND_DIFFERENCES => Err(Error::corrupt("the postings of a term end too early").at(place)),
            KIND_ELIAS_FANO if count as usize <= reader.remaining().saturating_mul(8) => {
                Ok(Stored::EliasFano { count, bytes: reader.bytes(reader.remaining())? })
            }
            KIND_ELIAS_FANO => Err(Error::corrupt("the postings of a term end too early").at(place)),
            KIND_BITMAP => {
                let length = reader.length(reader.remaining())?;
                Ok(Stored::Bitmap { count, bytes: reader.bytes(length)? })
            }
            other => Err(Error::corrupt("unknown kind of postings").at(place).expected("0 to 2", other)),
        }
    }

    fn read_count(&self, reader: &mut Reader<'_>) -> Result<(u32, u8)> {
        let both = reader.varint()?;
        match u32::try_from(both >> KIND_BITS) {
            Ok(count) if count <= self.documents => Ok((count, (both & ((1 << KIND_BITS) - 1)) as u8)),
            _ => Err(Error::corrupt("a term has more documents than there are").expected(self.documents, both >> KIND_BITS)),
        }
    }

    #[inline]
    fn below_end(&self, document: u64) -> Result<u32> {
        match u32::try_from(document) {
            Ok(number) if number < self.documents => Ok(number),
            _ => Err(Error::corrupt("a document of a term is past the end").expected(format_args!("below {}", self.documents), document)),
        }
    }

    fn for_each_of(&self, count: u32, bytes: &[u8], mut visit: impl FnMut(u32)) -> Result<()> {
        let end = u64::from(self.documents);
        let (mut rest, mut least) = (bytes, 0u64);
        for _ in 0..count {
            // Differences of one byte and of two come in no order that a processor could guess: up to four bytes are read without
            // asking. A filtered ranking reads them by the million.
            let difference = match rest.first_chunk::<4>().and_then(|bytes| short_varint(u32::from_le_bytes(*bytes))) {
                Some((difference, length)) => {
                    rest = rest.get(length..).unwrap_or_default();
                    u64::from(difference)
                }
                None => {
                    let mut reader = Reader::new(rest);
                    let difference = reader.varint()?;
                    rest = rest.get(reader.position()..).unwrap_or_default();
                    difference
                }
            };
            let document = least.saturating_add(difference);
            if document >= end {
                return self.below_end(document).map(|_| ());
            }
            visit(document as u32);
            least = document + 1;
        }
        Ok(())
    }

    fn check_bitmap(&self, count: u32, found: u64, max: Option<u32>) -> Result<()> {
        if u64::from(count) != found {
            return Err(Error::corrupt("the bitmap of a term has another number of documents").expected(count, found));
        }
        max.map_or(Ok(()), |max| self.below_end(u64::from(max)).map(|_| ()))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
