//! [`TermWalk`]: terms read one after the other, for who reads nearly all of them once.
//!
//! It keeps the few pages that it used last, so that groups may be visited in another order than theirs, and leaves the shared cache to
//! the questions.

use std::ops::Range;

use crate::error::Result;
use crate::segment::dictionary::page::Page;
use crate::segment::dictionary::reader::Dictionary;

/// How many pages a walk keeps; each is at most about 64 KiB, mostly 16.
const PAGES: usize = 8;

/// Reads terms by their ordinals.
#[derive(Debug)]
pub(crate) struct TermWalk<'a> {
    dictionary: Dictionary<'a>,
    /// The one used last in front.
    pages: Vec<(Range<u32>, Page)>,
    coded: Vec<u8>,
    index: usize,
}

impl<'a> TermWalk<'a> {
    pub(crate) fn new(dictionary: Dictionary<'a>) -> TermWalk<'a> {
        TermWalk { dictionary, pages: Vec::new(), coded: Vec::new(), index: 0 }
    }

    /// Goes to a term.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] for an ordinal that is not there and for a damaged page.
    pub(crate) fn load(&mut self, ordinal: u32) -> Result<()> {
        if !self.pages.first().is_some_and(|(ordinals, _)| ordinals.contains(&ordinal)) {
            self.turn_to(ordinal)?;
        }
        let start = self.pages.first().map_or(0, |(ordinals, _)| ordinals.start);
        self.index = ordinal.saturating_sub(start) as usize;
        Ok(())
    }

    fn turn_to(&mut self, ordinal: u32) -> Result<()> {
        if let Some(at) = self.pages.iter().position(|(ordinals, _)| ordinals.contains(&ordinal)) {
            self.pages.get_mut(..=at).unwrap_or_default().rotate_right(1);
            return Ok(());
        }
        let mut page = if self.pages.len() < PAGES { Page::default() } else { self.pages.pop().map(|(_, page)| page).unwrap_or_default() };
        let ordinals = self.dictionary.unfold_page_of(ordinal, &mut self.coded, &mut page)?;
        self.pages.insert(0, (ordinals, page));
        Ok(())
    }

    /// The term that was gone to; empty before the first.
    #[inline]
    pub(crate) fn term(&self) -> &[u8] {
        self.pages.first().map_or(&[], |(_, page)| page.term(self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SegmentId;
    use crate::segment::cache::Cache;
    use crate::segment::dictionary::writer::DictionaryWriter;

    #[test]
    fn any_order_gives_the_right_terms_and_leaves_the_cache_alone() {
        let (mut writer, mut bytes) = (DictionaryWriter::default(), Vec::new());
        let terms: Vec<Vec<u8>> = (0..30_000u32).map(|i| format!("term-{i:06}").into_bytes()).collect();
        for term in &terms {
            writer.push(term).unwrap();
        }
        writer.finish(&mut bytes).unwrap();
        let cache = Cache::new(1 << 20);
        let mut walk = TermWalk::new(Dictionary::read(&bytes, SegmentId(1), &cache).unwrap());
        assert_eq!(walk.term(), b"");
        for i in (0..30_000u32).map(|i| if i % 3 == 0 { i } else { i.wrapping_mul(7_919) % 30_000 }) {
            walk.load(i).unwrap();
            assert_eq!(walk.term(), terms[i as usize]);
        }
        assert!(walk.load(30_000).is_err());
        assert_eq!(cache.memory_bytes(), 0);
    }
}
