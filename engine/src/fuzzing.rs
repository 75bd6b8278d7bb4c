//! Doors for the fuzz targets into rooms that the public face does not reach with arbitrary bytes. Only with the feature `fuzzing`.
//!
//! Each takes bytes from outside and must end with a value or an error: never with a panic or an allocation that the bytes do not justify.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::clock::SystemClock;
use crate::error::Result;
use crate::event::path::Path;
use crate::event::scan;
use crate::event::shape::assemble;
use crate::id::SegmentId;
use crate::index::Index as _;
use crate::limits::BLOCK_DOCUMENTS;
use crate::matcher::{Matcher, TextMatcher};
use crate::segment::Segment;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::cache::{Cache, Caches};
use crate::segment::dictionary::reader::Dictionary;
use crate::storage::View;

const CACHE_BYTES: usize = 1 << 20;
/// The most documents or values that are looked at: the input is small, what it claims may be large.
const LOOKS_MAX: u32 = 256;

/// Takes an event apart, without the white space around it, and puts it together again; `None` when it is no event.
#[must_use]
pub fn taken_apart_and_put_together(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let (mut shape, mut leaves, mut again) = (Vec::new(), Vec::new(), Vec::new());
    scan::scan(text.as_bytes(), &mut shape, &mut leaves).ok()?;
    assemble(&shape, leaves.iter().map(|leaf| leaf.of(text.as_bytes())), &mut again);
    Some(again)
}

/// Opens a segment file and asks it everything.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unsupported`].
pub fn segment(bytes: &[u8]) -> Result<()> {
    let segment = Segment::open(View::new(bytes.to_vec()), "fuzzed", Arc::new(Caches::new(CACHE_BYTES)))?;
    let budget = Budget::unlimited(Arc::new(SystemClock::new()));
    let documents: Vec<u32> = (0..segment.extent().documents.min(LOOKS_MAX)).collect();
    let all: RoaringBitmap = documents.iter().copied().collect();
    for dimension in segment.dimensions() {
        segment.for_each_term(&dimension.name, "", &budget, &mut |_, postings| postings.to_bitmap().map(drop))?;
    }
    segment.fetch(&documents, &budget, &mut Vec::new())?;
    segment.keys(&mut documents.iter().copied(), &mut Vec::new())?;
    let path = Path::of_keys(["a"]);
    segment.path_documents(&path, &Matcher::any(), &all, &budget)?;
    segment.for_each_value(&path, &all, &budget, &mut |_, _| Ok(()))?;
    segment.text_documents(&TextMatcher::new("a")?, &all, &budget)?;
    Ok(())
}

/// Reads a dictionary and checks all of it.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`].
pub fn dictionary(bytes: &[u8]) -> Result<()> {
    let cache = Cache::new(CACHE_BYTES);
    let dictionary = Dictionary::read(bytes, SegmentId(1), &cache)?;
    for ordinal in 0..dictionary.len().min(LOOKS_MAX) {
        dictionary.get(ordinal, &mut Vec::new())?;
    }
    dictionary.check()
}

/// Reads a chunk and its values.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`].
pub fn chunk(encoding: u8, raw: &[u8], plain: &[u8]) -> Result<()> {
    let chunk = Chunk::read(Encoding::from_byte(encoding)?, raw, plain, BLOCK_DOCUMENTS)?;
    let mut value = Vec::new();
    for index in 0..chunk.len().min(LOOKS_MAX as usize) {
        value.clear();
        chunk.value(index, &mut value);
        chunk.code(index);
    }
    Ok(())
}
