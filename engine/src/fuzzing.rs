//! Doors for the fuzz targets into rooms that the public face does not reach with arbitrary bytes. Only with the feature `fuzzing`.
//!
//! Each takes bytes from outside and must end with a value or an error: never with a panic or an allocation that the bytes do not justify.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::clock::SystemClock;
use crate::codec::bits::pack;
use crate::codec::checksum::crc32;
use crate::codec::write::Write as _;
use crate::error::Result;
use crate::event::extract::Extractor;
use crate::event::outline::ColumnPath;
use crate::event::path::{Path, Step};
use crate::event::scan::{self, Class};
use crate::event::schema::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Pick, Source, Take};
use crate::event::shape::assemble;
use crate::id::SegmentId;
use crate::index::Index as _;
use crate::journal::{Codec, Payload, read_anything};
use crate::lifecycle::live::catalog::Catalog;
use crate::limits::BLOCK_DOCUMENTS;
use crate::matcher::{Matcher, TextMatcher};
use crate::segment::Segment;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::{self, ColumnEntry, Layout, ShapeEntry};
use crate::segment::block::predicted::{encode as predict, expand};
use crate::segment::block::predictions::Predictions;
use crate::segment::block::units::{Block, BlockDirectory, Verified, for_each_shared, places_of_shared};
use crate::segment::cache::{Cache, Caches};
use crate::segment::dictionary::reader::Dictionary;
use crate::segment::documents::event_ids::EventIds;
use crate::segment::documents::received::Received;
use crate::segment::documents::sequences::Sequences;
use crate::segment::documents::timestamps::Timestamps;
use crate::segment::file::footer;
use crate::segment::file::source;
use crate::segment::meta::{Meta, read_dimensions};
use crate::segment::postings::lists::PostingsReader;
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
    let segment = Segment::open(source::Source::View(View::new(bytes.to_vec())), "fuzzed", Arc::new(Caches::new(CACHE_BYTES)))?;
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

/// How many kinds of bytes [`component`] knows.
pub const COMPONENTS: u8 = 14;

/// Reads bytes as a part of a file, as if its checksum were right, and looks at everything in it.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unsupported`].
pub fn component(kind: u8, bytes: &[u8]) -> Result<()> {
    // Of parts that do not say themselves how many documents there are, the first byte does.
    let documents = bytes.first().map_or(1, |byte| if *byte < 128 { u32::from(*byte).max(1) } else { u32::from(*byte) * 331 });
    let rest = bytes.get(1..).unwrap_or_default();
    match kind % COMPONENTS {
        0 => Meta::read(bytes).map(drop),
        1 => read_dimensions(bytes).map(drop),
        2 => timestamps(bytes),
        3 => sequences(bytes),
        4 => received(rest, documents),
        5 => postings(rest, documents),
        6 => event_ids(rest, documents),
        7 => BlockDirectory::read(rest, documents).map(drop),
        8 => {
            let (columns, shapes) = rest.split_at(rest.len().min(documents as usize));
            layout::read(columns, shapes).map(drop)
        }
        9 => places_of_shared(bytes).map(drop),
        10 => footer::read(&source::Source::View(View::new(bytes.to_vec()))).map(drop),
        11 => read_anything(bytes),
        12 => Catalog::decode(bytes).map(drop),
        _ => dictionary(bytes),
    }
}

/// Reads bytes as a block of documents with shapes and some units, as if its checksum were right. The first bytes are the number of documents less one,
/// the number of units, and where each unit ends.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`].
pub fn block(bytes: &[u8]) -> Result<()> {
    let [documents, units, rest @ ..] = bytes else { return Ok(()) };
    let (documents, units) = (u32::from(*documents) + 1, usize::from(*units % 16));
    let (ends, bytes) = rest.split_at(rest.len().min(units));
    let mut directory = Vec::new();
    [1, ends.len() as u32, 8].into_iter().for_each(|number| directory.put_u32(number));
    directory.put_u64(0);
    directory.put_u32(bytes.len() as u32);
    directory.put_u32(crc32(bytes));
    pack(ends.iter().map(|end| u64::from(*end)), 8, &mut directory);
    let directory = BlockDirectory::read(&directory, documents)?;
    let block = Block::open(bytes, &directory, 0, &Verified::new(1))?;
    let mut raw = Vec::new();
    let shapes = block.unit(0, &mut raw).and_then(|_| block.shapes(&raw));
    for unit in 1..=units as u32 {
        raw.clear();
        let (unfolded, plain) = (block.unit(unit, &mut raw), block.plain(unit));
        if let (Ok(unfolded), Ok(plain)) = (unfolded, plain) {
            if unfolded != plain {
                return Err(crate::error::Error::invalid("a unit has two plain parts"));
            }
            for_each_shared(&raw, |_, chunk| Chunk::read(Encoding::Strings, chunk, plain, documents as usize).map(drop))?;
        }
    }
    shapes.map(drop)
}

/// Reads predictions of columns of codes, and what one of them leaves of a column in a block. The first bytes are the number of documents, the length of
/// the component, and each document's shape.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`]; [`crate::ErrorKind::Invalid`] when what was expanded does not come back after it was predicted again.
pub fn predicted(bytes: &[u8]) -> Result<()> {
    let [documents, length, rest @ ..] = bytes else { return Ok(()) };
    let (shapes, rest) = rest.split_at(rest.len().min(usize::from(*documents)));
    let (component, raw) = rest.split_at(rest.len().min(usize::from(*length)));
    let predictions = Predictions::read(component, &columns_of_codes())?;
    let shapes: Vec<u32> = shapes.iter().map(|shape| u32::from(*shape)).collect();
    let codes: Vec<u32> = (0..shapes.len() as u32 * 2).map(|at| at * 5 % CODES).collect();
    for (prediction, map) in predictions.iter() {
        let (mut parents, mut once, mut again, mut stored) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let of = |parent: u32| map.get(parent as usize).copied().unwrap_or(u32::MAX);
        prediction.parents(&shapes, &codes, &mut parents)?;
        expand(raw, &parents, of, &mut once)?;
        let chunk = Chunk::read(Encoding::Codes, &once, &[], parents.len())?;
        predict(&chunk.codes(), &parents, of, &mut stored);
        expand(&stored, &parents, of, &mut again)?;
        if once != again {
            return Err(crate::error::Error::invalid("predicted codes do not come back"));
        }
    }
    Ok(())
}

/// How many codes each column of [`columns_of_codes`] has.
const CODES: u32 = 8;

/// Three columns of codes, each alone in its unit, and shapes that have none, one or two values of each.
fn columns_of_codes() -> Layout {
    let path = |name: &str| ColumnPath { path: Path::of_keys([name]), class: Class::String };
    let column = |(unit, name): (u32, &&str)| ColumnEntry {
        path: path(name),
        encoding: Encoding::Codes,
        has_escapes: false,
        unit,
        terms: (unit * CODES, CODES),
    };
    let shapes: [&[u32]; 4] = [&[0, 1, 2], &[1, 2], &[0, 0, 1, 1, 2], &[]];
    let shapes = shapes.into_iter().map(|columns| ShapeEntry { text: Box::default(), columns: columns.into() });
    Layout::with_units((1..).zip(&["a", "b", "c"]).map(column).collect(), shapes.collect())
}

fn timestamps(bytes: &[u8]) -> Result<()> {
    let times = Timestamps::read(bytes)?;
    (0..times.len().min(LOOKS_MAX)).for_each(|document| _ = times.get(document));
    times.lower_bound(7);
    times.for_range(0..times.len().min(LOOKS_MAX), |_, _| ());
    times.check()
}

fn sequences(bytes: &[u8]) -> Result<()> {
    let sequences = Sequences::read(bytes)?;
    for at in 0..sequences.len().min(LOOKS_MAX) {
        _ = sequences.find(sequences.get(at));
    }
    sequences.for_range(0..sequences.len().min(LOOKS_MAX), |_, _| ());
    sequences.check()
}

fn received(bytes: &[u8], documents: u32) -> Result<()> {
    let received = Received::read(bytes)?;
    (0..documents.min(LOOKS_MAX)).for_each(|offset| _ = received.at(offset));
    received.check(documents)
}

fn postings(bytes: &[u8], documents: u32) -> Result<()> {
    let postings = PostingsReader::read(bytes, documents)?;
    for ordinal in 0..postings.len().min(LOOKS_MAX) {
        let (mut count, mut set) = (0, RoaringBitmap::new());
        let walked = postings.for_each(ordinal, |_| count += 1);
        let added = postings.add_to(ordinal, 0..documents, &mut set);
        if walked.is_ok() && added.is_ok() && postings.count(ordinal)? != count {
            return Err(crate::error::Error::invalid("a list has another length than it says"));
        }
    }
    postings.check()
}

fn event_ids(bytes: &[u8], documents: u32) -> Result<()> {
    let ids = EventIds::read(bytes, documents)?;
    ids.candidates(0x1234_5678_9abc_def0, &mut Vec::new())?;
    ids.all().take(LOOKS_MAX as usize).try_for_each(|place| place.map(drop))?;
    ids.check()
}

/// Unfolds a batch of the journal, which is behind a checksum, but must not trust it; where the events are in the text.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unsupported`].
pub fn payload(codec: u8, raw_bytes: usize, events: usize, stored: &[u8]) -> Result<(Vec<std::ops::Range<usize>>, Vec<u8>)> {
    let mut out = Vec::new();
    let ranges = Payload::decode(stored, Codec::from_number(codec)?, raw_bytes, events, &mut out)?;
    Ok((ranges, out))
}

/// What becomes of lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// The events, as they come back from the journal.
    pub events: Vec<Vec<u8>>,
    /// The event time of each.
    pub times: Vec<Option<i64>>,
    /// The terms of each: dimension and text.
    pub terms: Vec<Vec<(u16, Vec<u8>)>>,
    /// The lines that are refused, and why.
    pub refused: Vec<(usize, &'static str)>,
}

/// Every kind of source that a schema knows, at one-letter paths. One mapping fills each dimension.
#[must_use]
pub fn schema() -> DimensionSchema {
    let path = |text: &str| text.split('.').map(|key| if key == "*" { Step::Any } else { Step::Key(key.to_owned()) }).collect();
    let source = |text: &str, take| Source { path: Path { steps: path(text) }, take, replace: Vec::new() };
    let value = |text: &str| source(text, Take::Value);
    let replaced = |source, pairs: &[(&str, &str)]| Source {
        replace: pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        ..source
    };
    let mappings = [
        ("user", Pick::All, vec![value("a"), value("b.c")]),
        ("name", Pick::All, vec![value("d")]),
        ("first", Pick::First, vec![value("e"), value("f.g")]),
        ("key", Pick::All, vec![source("k", Take::Keys)]),
        ("part", Pick::All, vec![replaced(source("s", Take::Split(vec![',', ' '])), &[("x", "y"), ("z", "")])]),
        ("last", Pick::First, vec![source("r", Take::AfterLast('/')), replaced(value("r"), &[("*", "other")])]),
        ("fixed", Pick::All, vec![source("c", Take::Constant("yes".into()))]),
        ("any", Pick::All, vec![value("w.*")]),
        ("token", Pick::All, vec![value("u"), value("a")]),
    ];
    let kind_of = |name: &str| if name == "token" { DimensionKind::Unique } else { DimensionKind::Keyword };
    let named = mappings.iter().map(|(name, ..)| Dimension { name: (*name).into(), kind: kind_of(name) });
    let id = Dimension { name: "event_id".into(), kind: DimensionKind::Unique };
    DimensionSchema {
        dimensions: std::iter::once(id).chain(named).collect(),
        kinds: vec![EventKind {
            name: "any".into(),
            recognise: vec![],
            event_id: vec![Path::of_keys(["id"]), Path::of_keys(["i", "d"])],
            event_time: vec![Path::of_keys(["t"])],
            mappings: mappings.into_iter().map(|(name, pick, sources)| Mapping { dimension: name.into(), pick, sources }).collect(),
        }],
    }
}

/// Takes lines in as events, as requests do, with extractors that have seen other events before or not, and reads them back
/// from a journal's payload. What is taken from where is said by [`schema`].
#[derive(Debug)]
pub struct Intake(Extractor);

impl Default for Intake {
    fn default() -> Intake {
        Intake(Extractor::new(schema()))
    }
}

impl Intake {
    /// Takes lines in.
    ///
    /// # Errors
    /// For more than a batch may have; when what was written cannot be read.
    pub fn take<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> Result<Taken> {
        let (batch, rejections) = self.0.prepare(&mut lines.into_iter())?;
        let refused = rejections.iter().map(|rejection| (rejection.index, rejection.code)).collect();
        let mut taken = Taken { events: Vec::new(), times: Vec::new(), terms: Vec::new(), refused };
        if batch.is_empty() {
            return Ok(taken);
        }
        let stored = Payload::of_batch(&batch, Vec::new())?;
        let mut text = Vec::new();
        let ranges = Payload::decode(stored.stored(), stored.codec(), stored.raw_bytes() as usize, stored.events() as usize, &mut text)?;
        taken.events = ranges.into_iter().map(|range| text.get(range).unwrap_or_default().to_vec()).collect();
        taken.times = batch.events.iter().map(|event| event.time.map(|time| time.0)).collect();
        let term = |number: &u32| batch.term(*number).map(|(term, text)| (term.dimension, text.to_vec()));
        let terms = batch.events.iter().map(|event| {
            let mut terms: Vec<_> = batch.terms_of(event).iter().filter_map(term).collect();
            terms.sort();
            terms
        });
        taken.terms = terms.collect();
        self.0.recycle(batch);
        Ok(taken)
    }
}
