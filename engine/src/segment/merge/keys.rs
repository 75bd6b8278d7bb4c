//! The keys of one unique dimension: the index of all inputs under new document numbers.
//!
//! An index knows the first bits of a hash, and one of more entries needs more of them. So the values at the dimension's paths are hashed
//! again, from their columns; the input's index says which of them are keys. Where it leads to blocks, all of them are; and where all inputs' do,
//! so does the merged one.

use std::sync::Arc;

use crate::codec::bits::width_of;
use crate::codec::checksum::hash64;
use crate::error::{Error, ErrorKind, Result};
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::event::unescape::unescape;
use crate::matcher::Matcher;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::ColumnEntry;
use crate::segment::dictionary::walk::TermWalk;
use crate::segment::documents::event_ids::{Places, encode_sorted, written_bits};
use crate::segment::merge::blocks::RELEASE_BLOCKS;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::order::Order;
use crate::segment::read::keys::KeyColumns;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};
use crate::shred::whole::hashes_of_matching;

/// Appends the index of a unique dimension.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the input, also when the values do not hold its keys; what `breathe` gives.
pub(super) fn merge_keys(
    inputs: &[Arc<Segment>],
    (ordinal, paths): (u16, &[Path]),
    order: &Order,
    breathe: &mut Breath<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let (mut count, mut places) = (0, Places::Blocks);
    for input in inputs {
        let index = input.unique_index(ordinal)?;
        count += index.len() as usize;
        if index.places() == Places::Documents {
            places = Places::Documents;
        }
    }
    let mut keys = Keys::new(count, order.documents())?;
    for (number, input) in inputs.iter().enumerate() {
        let mut known = Known::read(input, ordinal)?;
        known.find(input, paths, order.moved(number), &mut keys, breathe).map_err(|e| input.locate(e))?;
    }
    keys.encode(places, out);
    Ok(())
}

/// The keys of the merged segment: of each the bits of its hash that are written, and below them its document. 8 bytes a key.
struct Keys {
    keys: Vec<u64>,
    document_bits: u32,
    hash_bits: u32,
}

impl Keys {
    fn new(count: usize, documents: u32) -> Result<Keys> {
        let (document_bits, hash_bits) = (width_of(u64::from(documents)), written_bits(count));
        if document_bits + hash_bits > 64 {
            return Err(Error::new(ErrorKind::Limit, "the segments have too many unique keys together"));
        }
        Ok(Keys { keys: Vec::with_capacity(count), document_bits, hash_bits })
    }

    #[inline]
    fn push(&mut self, hash: u64, document: u32) {
        self.keys.push(hash >> (64 - self.hash_bits) << self.document_bits | u64::from(document));
    }

    fn encode(mut self, places: Places, out: &mut Vec<u8>) {
        self.keys.sort_unstable();
        let (document_bits, hash_bits) = (self.document_bits, self.hash_bits);
        let mask = (1u64 << document_bits) - 1;
        let entry = |key: &u64| (key >> document_bits << (64 - hash_bits), (key & mask) as u32);
        encode_sorted(self.keys.iter().map(entry), places, out);
    }
}

/// What an input's index knows, by document.
struct Known {
    /// The known bits of the key of each document, with bit 0 set; 0 for a document without one, or whose key is found.
    first: Vec<u64>,
    /// Further keys of documents that have several, in the order of documents.
    further: Vec<(u32, u64)>,
    /// Which bits of a hash are known.
    mask: u64,
    /// How many keys there are.
    count: usize,
    /// With blocks nothing is known of single documents: every value is a key.
    places: Places,
}

const TAKEN: u64 = 0;

impl Known {
    fn read(input: &Segment, ordinal: u16) -> Result<Known> {
        let index = input.unique_index(ordinal)?;
        let mask = u64::MAX.checked_shl(64 - index.known_bits()).unwrap_or(0);
        let places = index.places();
        let mut known = Known { first: Vec::new(), further: Vec::new(), mask, count: index.len() as usize, places };
        if places == Places::Blocks {
            return Ok(known);
        }
        known.first.resize(input.meta().documents as usize, TAKEN);
        let read = index.for_each_known(|hash, document| match known.first.get_mut(document as usize) {
            Some(slot) if *slot == TAKEN => *slot = hash | 1,
            _ => known.further.push((document, hash | 1)),
        });
        read.map_err(|e| input.locate(e))?;
        known.further.sort_unstable();
        Ok(known)
    }

    /// Whether a document has the key; each of its keys is found once.
    #[inline]
    fn take(&mut self, document: u32, hash: u64) -> bool {
        if self.places == Places::Blocks {
            return true;
        }
        let wanted = hash & self.mask | 1;
        let Some(slot) = self.first.get_mut(document as usize) else { return false };
        if *slot == wanted {
            *slot = TAKEN;
            return true;
        }
        if self.further.is_empty() {
            return false;
        }
        let start = self.further.partition_point(|(d, _)| *d < document);
        let own = self.further.get_mut(start..).unwrap_or_default().iter_mut().take_while(|(d, _)| *d == document);
        own.map(|(_, key)| key).find(|key| **key == wanted).map(|key| *key = TAKEN).is_some()
    }

    fn find(&mut self, input: &Segment, paths: &[Path], moved: &[u32], keys: &mut Keys, breathe: &mut Breath<'_>) -> Result<()> {
        let (layout, directory) = (input.layout()?, input.block_directory()?);
        let holders = holders(input, paths, self.places)?;
        let mut found = 0;
        let mut terms = TermWalk::new(input.dictionary()?);
        for number in 0..directory.blocks() {
            breathe()?;
            if number % RELEASE_BLOCKS == 0 {
                input.release();
            }
            let mut block = OpenedBlock::open(input, &directory, number, Reuse::Unlikely)?;
            let (shapes, start) = (block.shapes()?, block.documents().start);
            block.unfold(holders.columns.iter().copied())?;
            let mut chunks = Vec::with_capacity(holders.columns.len());
            for column in &holders.columns {
                chunks.push(Column { entry: layout.column(*column)?, chunk: block.chunk(*column)?, next: 0 });
            }
            for (document, shape) in (start..).zip(shapes) {
                let slots = holders.of_shapes.get(shape as usize).ok_or_else(|| Error::corrupt("no such shape"))?;
                for slot in slots {
                    let Some(column) = chunks.get_mut(*slot) else { continue };
                    column.next_hashes(&mut terms, paths, |hash| {
                        if self.take(document, hash) {
                            keys.push(hash, moved.get(document as usize).copied().unwrap_or(0));
                            found += 1;
                        }
                    })?;
                }
            }
        }
        if found == self.count {
            return Ok(());
        }
        Err(Error::corrupt("the documents have other keys than the unique index").expected(self.count, found))
    }
}

/// The columns that may hold keys.
fn holders(input: &Segment, paths: &[Path], places: Places) -> Result<KeyColumns> {
    let may_hold = |entry: &ColumnEntry| entry.path.class == Class::Whole || paths.iter().any(|p| p.names(&entry.path.path.steps));
    Ok(match places {
        Places::Documents => KeyColumns::new(input.layout()?, may_hold),
        Places::Blocks => KeyColumns::strings(input.layout()?, paths),
    })
}

/// A column of an open block, read from its first value to its last.
struct Column<'a> {
    entry: &'a ColumnEntry,
    chunk: Option<Chunk<'a>>,
    next: usize,
}

impl Column<'_> {
    /// Calls `visit` with the hashes of the next value: more than one only in an event that is kept whole.
    fn next_hashes(&mut self, terms: &mut TermWalk<'_>, paths: &[Path], mut visit: impl FnMut(u64)) -> Result<()> {
        let index = self.next;
        self.next += 1;
        let code = match &self.chunk {
            None if self.entry.encoding == Encoding::Constant => Some(0),
            None => return Err(Error::corrupt("a column has too few values")),
            Some(chunk) if index >= chunk.len() => return Err(Error::corrupt("a column has too few values")),
            Some(chunk) => chunk.code(index),
        };
        match (code, &self.chunk) {
            (Some(code), _) => {
                terms.load(self.entry.terms.0.saturating_add(code))?;
                self.hash(terms.term(), paths, &mut visit);
            }
            (None, Some(chunk)) => {
                let mut value = Vec::with_capacity(40);
                chunk.value(index, &mut value);
                self.hash(&value, paths, &mut visit);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn hash(&self, value: &[u8], paths: &[Path], visit: &mut impl FnMut(u64)) {
        match self.entry.path.class {
            Class::Whole => hashes_of_matching(value, paths, &Matcher::any()).into_iter().for_each(visit),
            Class::String if self.entry.has_escapes => visit(hash64(unescape(value).as_bytes())),
            _ => visit(hash64(value)),
        }
    }
}
