//! [`DictionaryWriter`]: terms in order, into compressed pages and a directory.
//!
//! The directory holds for each page no more of its first term than tells it from the last term before: enough to find the one
//! page that can hold a term, without unfolding any.

use crate::codec::checksum::crc32;
use crate::codec::compress::compress;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::COMPONENT_BYTES_MAX;
use crate::segment::dictionary::page::{PAGE_BYTES, PAGE_TERMS_MAX, TERM_BYTES_MAX, put_term, shared_len};

/// Higher levels gain little on front-coded text and take far longer.
const LEVEL: i32 = 6;

/// The length of a directory entry.
pub(crate) const ENTRY_BYTES: usize = 24;

/// The length of what stands at the very end.
pub(crate) const FOOTER_BYTES: usize = 32;

/// Where in the footer its own checksum is; what lies before is covered by it.
pub(crate) const FOOTER_CHECKED: usize = 28;

/// The most bytes of separators: their places are 32 bits wide, and [`COMPONENT_BYTES_MAX`] bounds what is held in memory.
const SEPARATOR_BYTES_MAX: usize = COMPONENT_BYTES_MAX;

/// Builds the component. Finished pages can be taken away while it is built.
#[derive(Debug, Default)]
pub(crate) struct DictionaryWriter {
    /// Finished pages that were not taken yet.
    pages: Vec<u8>,
    /// The length of those that were.
    taken: u64,
    directory: Vec<u8>,
    separators: Vec<u8>,
    page_count: u32,
    term_count: u32,
    /// The open page: its terms front-coded, their number, their length unfolded, where its first differs.
    coded: Vec<u8>,
    open_terms: usize,
    open_bytes: usize,
    open_separator: usize,
    last: Vec<u8>,
}

impl DictionaryWriter {
    /// Adds the next term and returns its ordinal. Terms ascend within their group; groups follow one another.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for a term of more than 64 KiB, the 2^32nd term, or 1 GiB of separators; what compression gives.
    pub(crate) fn push(&mut self, term: &[u8]) -> Result<u32> {
        if term.len() > TERM_BYTES_MAX || self.term_count == u32::MAX || self.separators.len() > SEPARATOR_BYTES_MAX {
            return Err(Error::new(ErrorKind::Limit, "a term is too long or one too many")
                .expected(format_args!("at most {TERM_BYTES_MAX} bytes"), term.len()));
        }
        if self.open_terms > 0 && (self.open_bytes + term.len() > PAGE_BYTES || self.open_terms >= PAGE_TERMS_MAX) {
            self.close_page()?;
        }
        if self.open_terms == 0 {
            self.open_page(term);
        }
        put_term(if self.open_terms == 0 { b"" } else { &self.last }, term, &mut self.coded);
        self.last.clear();
        self.last.put_bytes(term);
        self.open_terms += 1;
        self.open_bytes += term.len();
        self.term_count += 1;
        Ok(self.term_count - 1)
    }

    /// How many terms were added: the ordinal of the next.
    pub(crate) fn len(&self) -> u32 {
        self.term_count
    }

    /// Moves the pages that are finished to the end of `out`, so that they need not be held.
    pub(crate) fn take_pages(&mut self, out: &mut Vec<u8>) {
        self.taken += self.pages.len() as u64;
        out.append(&mut self.pages);
    }

    /// Appends what was not taken yet: pages, directory, separators, footer.
    ///
    /// # Errors
    /// What compression gives.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.open_terms > 0 {
            self.close_page()?;
        }
        self.take_pages(out);
        let start = out.len();
        out.put_bytes(&self.directory);
        out.put_bytes(&self.separators);
        out.put_u64(self.taken);
        out.put_u32(self.page_count);
        out.put_u32(self.term_count);
        out.put_u32(self.separators.len() as u32);
        out.put_u64(0);
        let checksum = crc32(out.get(start..).unwrap_or_default());
        out.put_u32(checksum);
        Ok(())
    }

    /// The separator is the shortest start of the first term that is greater than the last term before. In front of a new group, whose
    /// terms begin anew, none is needed: nobody looks for a term across groups.
    fn open_page(&mut self, first: &[u8]) {
        self.open_separator = self.separators.len();
        if self.term_count > 0 && self.last.as_slice() < first {
            let needed = shared_len(&self.last, first) + 1;
            self.separators.put_bytes(first.get(..needed).unwrap_or(first));
        }
    }

    fn close_page(&mut self) -> Result<()> {
        let start = self.pages.len();
        compress(&self.coded, LEVEL, &mut self.pages)?;
        let stored = self.pages.get(start..).unwrap_or_default();
        self.directory.put_u64(self.taken + start as u64);
        self.directory.put_u32(self.term_count - self.open_terms as u32);
        self.directory.put_u32(self.coded.len() as u32);
        self.directory.put_u32(crc32(stored));
        self.directory.put_u32(self.open_separator as u32);
        self.page_count += 1;
        self.coded.clear();
        self.open_terms = 0;
        self.open_bytes = 0;
        Ok(())
    }
}
