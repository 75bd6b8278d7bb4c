//! [`Dictionary`]: from term to ordinal and back.
//!
//! The caller knows which ordinals belong to which group and asks within such a range: terms ascend in it. The directory says which
//! one page can hold a term; that page comes from the cache. Walks over a range unfold pages into one of their own and
//! leave the cache as it is.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::checksum::check_crc32;
use crate::codec::compress::decompress;
use crate::codec::read::Reader;
use crate::error::{Error, Result};
use crate::id::SegmentId;
use crate::mutants;
use crate::segment::cache::Cache;
use crate::segment::dictionary::page::{PAGE_CODED_MAX, PAGE_TERMS_MAX, Page};
use crate::segment::dictionary::writer::{ENTRY_BYTES, FOOTER_BYTES, FOOTER_CHECKED};
use crate::segment::file::fixed::{partition, u32_at, u64_at};
use crate::shred::texts::Texts;

/// The terms of a segment, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dictionary<'a> {
    pages: &'a [u8],
    directory: &'a [u8],
    separators: &'a [u8],
    /// Directory, separators, and the footer up to its checksum.
    checked: &'a [u8],
    checksum: u32,
    page_count: usize,
    term_count: u32,
    segment: SegmentId,
    cache: &'a Cache<Page>,
}

impl<'a> Dictionary<'a> {
    /// Takes the bytes of the component; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8], segment: SegmentId, cache: &'a Cache<Page>) -> Result<Dictionary<'a>> {
        let footer_start = bytes.len().saturating_sub(FOOTER_BYTES);
        let mut footer = Reader::new(bytes.get(footer_start..).unwrap_or_default());
        let (directory_start, pages, terms) = (footer.u64()?, footer.u32()?, footer.u32()?);
        let (separators, zero, checksum) = (footer.u32()?, footer.u64()?, footer.u32()?);
        if zero != 0 {
            return Err(Error::corrupt("a reserved field is not zero").at(footer_start as u64 + 20).expected(0, zero));
        }
        let mut reader = Reader::new(bytes);
        let start = usize::try_from(directory_start).unwrap_or(usize::MAX);
        let dictionary = Dictionary {
            pages: reader.bytes(start)?,
            directory: reader.bytes(pages as usize * ENTRY_BYTES)?,
            separators: reader.bytes(separators as usize)?,
            checked: bytes.get(start..footer_start + FOOTER_CHECKED).unwrap_or_default(),
            checksum,
            page_count: pages as usize,
            term_count: terms,
            segment,
            cache,
        };
        reader.bytes(FOOTER_BYTES)?;
        reader.finish()?;
        Ok(dictionary)
    }

    /// How many terms there are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn len(&self) -> u32 {
        self.term_count
    }

    /// The ordinal of a term in a group's range.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when the range is past the end.
    pub(crate) fn find_in(&self, range: Range<u32>, term: &[u8]) -> Result<Option<u32>> {
        self.search(range, term).map(|(ordinal, found)| found.then_some(ordinal))
    }

    /// The first ordinal of a group's range whose term is not below `term`; the range's end when all are.
    ///
    /// # Errors
    /// As [`Dictionary::find_in`].
    pub(crate) fn lower_bound_in(&self, range: Range<u32>, term: &[u8]) -> Result<u32> {
        self.search(range, term).map(|(ordinal, _)| ordinal)
    }

    /// The ordinals of a group's range whose terms start with `prefix`.
    ///
    /// # Errors
    /// As [`Dictionary::find_in`].
    pub(crate) fn prefix_in(&self, range: Range<u32>, prefix: &[u8]) -> Result<Range<u32>> {
        let start = self.lower_bound_in(range.clone(), prefix)?;
        let kept = prefix.iter().rposition(|byte| *byte != u8::MAX);
        let Some((last, rest)) = kept.and_then(|kept| prefix.get(..=kept)).and_then(<[u8]>::split_last) else {
            return Ok(start..range.end);
        };
        let mut successor = rest.to_vec();
        successor.push(last.saturating_add(1));
        Ok(start..self.lower_bound_in(start..range.end, &successor)?)
    }

    /// Calls `visit` with a term.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such ordinal.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn with<T>(&self, ordinal: u32, visit: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.cursor().with(ordinal, visit)
    }

    /// Replaces `term` by the term of an ordinal.
    ///
    /// # Errors
    /// As [`Dictionary::with`].
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn get(&self, ordinal: u32, term: &mut Vec<u8>) -> Result<()> {
        term.clear();
        self.with(ordinal, |found| term.extend_from_slice(found))
    }

    /// A reader of many terms that holds on to the last page.
    pub(crate) fn cursor(&self) -> TermCursor<'a> {
        TermCursor { dictionary: *self, rows: Vec::new() }
    }

    /// Calls `visit` with each ordinal of a range and its term, until it fails. Leaves the cache as it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`]; what `visit` gives.
    pub(crate) fn for_each(&self, range: Range<u32>, mut visit: impl FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        self.for_each_page(range, |ordinals, first, page| {
            ordinals.zip(first..).try_for_each(|(ordinal, index)| visit(ordinal, page.term(index)))
        })
    }

    /// Calls `visit` with the first ordinal of each part of a range that lies in one page, and the terms of the part. Leaves the cache
    /// as it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn for_each_texts(&self, range: Range<u32>, mut visit: impl FnMut(u32, Texts<'_>)) -> Result<()> {
        self.for_each_page(range, |ordinals, first, page| {
            visit(ordinals.start, page.texts(first..first + ordinals.len()));
            Ok(())
        })
    }

    /// Calls `visit` with the ordinals of a range that are in one page, the index of the first of them in the page, and the page.
    fn for_each_page(&self, range: Range<u32>, mut visit: impl FnMut(Range<u32>, usize, &Page) -> Result<()>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let (first, last) = self.pages_of(&range)?;
        let mut own = Unfolder::default();
        for number in first..=last {
            let place = self.place(number)?;
            let held = self.cache.get(self.segment, number as u64);
            let page = match &held {
                Some(page) => page.as_ref(),
                None => own.unfold(&place)?,
            };
            let wanted = range.start.max(place.ordinals.start)..range.end.min(place.ordinals.end);
            let index = wanted.start.saturating_sub(place.ordinals.start) as usize;
            visit(wanted, index, page)?;
        }
        Ok(())
    }

    /// Compares the checksums of the directory and of all pages, and unfolds them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        check_crc32(self.checked, self.checksum).map_err(|e| e.at(self.pages.len() as u64))?;
        let (mut own, mut next) = (Unfolder::default(), 0);
        for number in 0..self.page_count {
            let place = self.place(number)?;
            if place.ordinals.start != next {
                return Err(Error::corrupt("a page of terms begins with another ordinal")
                    .at(place.offset)
                    .expected(next, place.ordinals.start));
            }
            next = place.ordinals.end;
            own.unfold(&place)?;
        }
        match next == self.term_count {
            true => Ok(()),
            false => Err(Error::corrupt("the pages hold another number of terms").expected(self.term_count, next)),
        }
    }

    /// Unfolds the page that holds a term, without the cache; returns the ordinals of its terms.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such ordinal.
    pub(super) fn unfold_page_of(&self, ordinal: u32, coded: &mut Vec<u8>, page: &mut Page) -> Result<Range<u32>> {
        let (number, _) = self.pages_of(&(ordinal..ordinal.saturating_add(1)))?;
        let place = self.place(number)?;
        unfold_page(&place, coded, page)?;
        Ok(place.ordinals)
    }

    fn search(&self, range: Range<u32>, term: &[u8]) -> Result<(u32, bool)> {
        if range.is_empty() {
            return Ok((range.start, false));
        }
        let (first, last) = self.pages_of(&range)?;
        // Pages after the first of the range begin inside of the group, so their separators ascend.
        let number = first + partition(last - first, |i| self.separator(first + 1 + i) <= term);
        let (ordinals, page) = self.page(number)?;
        let start = range.start.max(ordinals.start);
        let end = range.end.min(ordinals.end).max(start);
        let skip = (start - ordinals.start) as usize;
        let index = partition((end - start) as usize, |i| page.term(skip + i) < term);
        let found = index < (end - start) as usize && page.term(skip + index) == term;
        Ok((start + index as u32, found))
    }

    /// The first and the last page of a range that is not empty.
    fn pages_of(&self, range: &Range<u32>) -> Result<(usize, usize)> {
        let first = self.page_of(range.start);
        let last = if range.len() == 1 { first } else { self.page_of(range.end.saturating_sub(1)) };
        match (first, last) {
            (Some(first), Some(last)) if range.end <= self.term_count && first <= last => Ok((first, last)),
            _ => {
                Err(Error::corrupt("there are no such terms")
                    .expected(format_args!("below {}", self.term_count), format_args!("{range:?}")))
            }
        }
    }

    fn page_of(&self, ordinal: u32) -> Option<usize> {
        partition(self.page_count, |number| self.first_ordinal(number) <= ordinal).checked_sub(1)
    }

    fn page(&self, number: usize) -> Result<(Range<u32>, Arc<Page>)> {
        let place = self.place(number)?;
        let page = self.cache.get_or(self.segment, number as u64, || {
            let mut own = Unfolder::default();
            own.unfold(&place)?;
            own.page.shrink();
            Ok(own.page)
        })?;
        Ok((place.ordinals, page))
    }

    fn first_ordinal(&self, number: usize) -> u32 {
        if number < self.page_count { u32_at(self.directory, number * ENTRY_BYTES + 8) } else { self.term_count }
    }

    fn separator(&self, number: usize) -> &'a [u8] {
        let start = u32_at(self.directory, number * ENTRY_BYTES + 20) as usize;
        let next = number + 1;
        let end = if next < self.page_count { u32_at(self.directory, next * ENTRY_BYTES + 20) as usize } else { self.separators.len() };
        self.separators.get(start..end).unwrap_or_default()
    }

    fn place(&self, number: usize) -> Result<Place<'a>> {
        let (at, next) = (number * ENTRY_BYTES, (number + 1) * ENTRY_BYTES);
        let offset = u64_at(self.directory, at);
        let end = if number + 1 < self.page_count { u64_at(self.directory, next) } else { self.pages.len() as u64 };
        let ordinals = self.first_ordinal(number)..self.first_ordinal(number + 1);
        let coded_len = u32_at(self.directory, at + 12) as usize;
        let bytes = usize::try_from(offset).ok().zip(usize::try_from(end).ok()).and_then(|(start, end)| self.pages.get(start..end));
        match bytes {
            Some(bytes) if coded_len <= PAGE_CODED_MAX && !ordinals.is_empty() && ordinals.len() <= PAGE_TERMS_MAX => {
                Ok(Place { bytes, offset, coded_len, checksum: u32_at(self.directory, at + 16), ordinals })
            }
            _ => {
                Err(Error::corrupt(format!("page {number} of the terms cannot be where the directory says"))
                    .at((self.pages.len() + at) as u64))
            }
        }
    }
}

/// What the directory says of a page.
struct Place<'a> {
    bytes: &'a [u8],
    offset: u64,
    coded_len: usize,
    checksum: u32,
    ordinals: Range<u32>,
}

/// A page of one's own and what it takes to fill it.
#[derive(Default)]
struct Unfolder {
    coded: Vec<u8>,
    page: Page,
}

impl Unfolder {
    fn unfold(&mut self, place: &Place<'_>) -> Result<&Page> {
        unfold_page(place, &mut self.coded, &mut self.page)?;
        Ok(&self.page)
    }
}

fn unfold_page(place: &Place<'_>, coded: &mut Vec<u8>, page: &mut Page) -> Result<()> {
    if !mutants::is("dictionary_page_crc_unchecked") {
        check_crc32(place.bytes, place.checksum).map_err(|e| e.at(place.offset))?;
    }
    coded.clear();
    decompress(place.bytes, place.coded_len, coded).map_err(|e| e.at(place.offset))?;
    page.unfold(coded, place.ordinals.len())
}

/// Reads terms one by one; of each row of ordinals that are near each other the last page is at hand.
#[derive(Debug)]
pub(crate) struct TermCursor<'a> {
    dictionary: Dictionary<'a>,
    rows: Vec<Option<(Range<u32>, Arc<Page>)>>,
}

impl TermCursor<'_> {
    /// Calls `visit` with a term.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) for an ordinal that is not there and for a damaged page.
    pub(crate) fn with<T>(&mut self, ordinal: u32, visit: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.with_of(0, ordinal, visit)
    }

    /// The same for one of several rows of ordinals that are read in turns, as those of columns are: each has its own page at hand.
    ///
    /// # Errors
    /// As [`TermCursor::with`].
    pub(crate) fn with_of<T>(&mut self, row: usize, ordinal: u32, visit: impl FnOnce(&[u8]) -> T) -> Result<T> {
        if row >= self.rows.len() {
            self.rows.resize(row + 1, None);
        }
        let Some(held) = self.rows.get_mut(row) else { return Err(Error::corrupt("there is no such row of terms")) };
        let (ordinals, page) = match held {
            Some(held) if held.0.contains(&ordinal) => held,
            _ => {
                let (number, _) = self.dictionary.pages_of(&(ordinal..ordinal.saturating_add(1)))?;
                held.insert(self.dictionary.page(number)?)
            }
        };
        Ok(visit(page.term((ordinal.saturating_sub(ordinals.start)) as usize)))
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
