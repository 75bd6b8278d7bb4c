//! One page of terms: front-coded as it is written, unfolded as it is held in memory.
//!
//! Written: for each term the length of what it shares with the one before, the length of the rest, the rest. Unfolded: all terms
//! one after the other with their ends, so that any of them is found at once. A page is closed by its unfolded
//! length, so that a shared prefix cannot blow it up.

use std::ops::Range;

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::LEAF_BYTES_MAX;
use crate::shred::texts::Texts;

/// A page is closed before its terms are longer than this together, unless it is a single term.
pub(crate) const PAGE_BYTES: usize = 16 << 10;

/// The longest term: a value that is longer is not shredded.
pub(crate) const TERM_BYTES_MAX: usize = LEAF_BYTES_MAX;

/// The most terms of a page: empty ones take no room in it, but some here.
pub(crate) const PAGE_TERMS_MAX: usize = 4_096;

/// The longest front-coded page: terms and two lengths of at most 3 bytes for each.
pub(crate) const PAGE_CODED_MAX: usize = TERM_BYTES_MAX + PAGE_TERMS_MAX * 6;

/// How many bytes two terms share at their start.
pub(crate) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Appends a term in front-coded form.
pub(crate) fn put_term(previous: &[u8], term: &[u8], out: &mut Vec<u8>) {
    let shared = shared_len(previous, term);
    out.put_varint(shared as u64);
    out.put_varint((term.len() - shared) as u64);
    out.put_bytes(term.get(shared..).unwrap_or_default());
}

/// An unfolded page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Page {
    /// Replaces the content by `count` terms in front-coded form.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`]; the page then holds some of them.
    pub(crate) fn unfold(&mut self, coded: &[u8], count: usize) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        self.ends.reserve(count.min(PAGE_TERMS_MAX));
        let mut reader = Reader::new(coded);
        let mut last = 0..0;
        for _ in 0..count {
            last = self.unfold_term(&mut reader, last)?;
            self.ends.push(last.end as u32);
        }
        reader.finish()
    }

    fn unfold_term(&mut self, reader: &mut Reader<'_>, last: Range<usize>) -> Result<Range<usize>> {
        let shared = reader.length(last.len())?;
        let rest = reader.length(TERM_BYTES_MAX - shared.min(TERM_BYTES_MAX))?;
        let start = self.bytes.len();
        let end = start + shared + rest;
        if end > PAGE_BYTES && start > 0 {
            let at = reader.position() as u64;
            return Err(Error::corrupt("a page of terms is too long").at(at).expected(format_args!("at most {PAGE_BYTES}"), end));
        }
        // The range is that of the term before, so it lies within the bytes.
        self.bytes.extend_from_within(last.start..last.start + shared);
        self.bytes.put_bytes(reader.bytes(rest)?);
        Ok(start..end)
    }

    /// How many terms there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A term; empty past the end.
    #[inline]
    pub(crate) fn term(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(u32::MAX),
            None => 0,
        };
        let end = self.ends.get(index).copied().unwrap_or(0);
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Some of its terms, to be searched as one.
    pub(crate) fn texts(&self, indexes: Range<usize>) -> Texts<'_> {
        let start = indexes.start.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        Texts { start, ends: self.ends.get(indexes).unwrap_or_default(), bytes: &self.bytes }
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + size_of::<Page>()
    }

    /// Gives back what it does not use; for pages that stay.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_unfolded_or_refused(coded: Vec<u8>, count in 0usize..9) {
            let mut page = Page::default();
            if page.unfold(&coded, count).is_ok() {
                prop_assert_eq!(page.len(), count);
            }
            (0..10).for_each(|i| assert!(page.term(i).len() <= TERM_BYTES_MAX));
        }
    }

    #[test]
    fn a_shared_prefix_cannot_blow_up_a_page() {
        let mut coded = Vec::new();
        put_term(b"", &[7; 10_000], &mut coded);
        (0..100).for_each(|_| put_term(&[7; 10_000], &[7; 10_000], &mut coded));
        assert!(Page::default().unfold(&coded, 101).is_err());
    }
}
