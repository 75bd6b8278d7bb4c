//! Keys of unique dimensions whose index leads to blocks.
//!
//! In such a segment every string at the dimension's paths is a key of its document. So the values of those columns are compared, in the
//! blocks that the index names: UUIDs as they are packed, without a look at anything else of the block. Only where one is equal, the shapes of
//! the documents say whose it is.

use std::borrow::Cow;
use std::ops::Range;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::event::unescape::unescape;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::{ColumnEntry, Layout};
use crate::segment::block::typed::parse_uuid;
use crate::segment::read::gaps::pass_over;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};

/// A key that is looked for in a block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) block: u32,
    /// The key, decoded.
    pub(super) value: Vec<u8>,
    /// Who asks.
    pub(super) tag: usize,
}

/// The columns that hold the keys of a dimension, and for each shape the places in them of its values.
#[derive(Debug)]
pub(crate) struct KeyColumns {
    pub(crate) columns: Vec<u32>,
    pub(crate) of_shapes: Vec<Vec<usize>>,
}

impl KeyColumns {
    /// Those that pass.
    pub(crate) fn new(layout: &Layout, is_one: impl Fn(&ColumnEntry) -> bool) -> KeyColumns {
        let columns: Vec<u32> = (0u32..).zip(&layout.columns).filter(|(_, entry)| is_one(entry)).map(|(number, _)| number).collect();
        let place = |column: &u32| columns.binary_search(column).ok();
        let of_shapes = layout.shapes.iter().map(|shape| shape.columns.iter().filter_map(place).collect()).collect();
        KeyColumns { columns, of_shapes }
    }

    /// The strings at any of these paths.
    pub(crate) fn strings(layout: &Layout, paths: &[Path]) -> KeyColumns {
        KeyColumns::new(layout, |entry| entry.path.class == Class::String && paths.iter().any(|p| p.names(&entry.path.path.steps)))
    }

    fn slots(&self, shape: u32) -> Result<&[usize]> {
        self.of_shapes.get(shape as usize).map(Vec::as_slice).ok_or_else(|| Error::corrupt("no such shape"))
    }
}

/// The documents that have the keys looked for, each with the tag of who asks. Damaged blocks are noted in the budget.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`]; what the budget gives.
pub(super) fn find(segment: &Segment, paths: &[Path], mut wanted: Vec<Wanted>, budget: &Budget) -> Result<Vec<(u32, usize)>> {
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let (columns, directory) = (KeyColumns::strings(segment.layout()?, paths), segment.block_directory()?);
    for wanted in wanted.chunk_by(|a, b| a.block == b.block) {
        budget.block()?;
        let (number, before) = (wanted.first().map_or(0, |wanted| wanted.block as usize), found.len());
        let opened = OpenedBlock::open(segment, &directory, number, Reuse::Likely);
        if let Err(error) = opened.and_then(|mut block| find_in(segment, &mut block, &columns, wanted, &mut found)) {
            found.truncate(before);
            pass_over(segment, directory.documents(number), segment.locate(error), budget)?;
        }
    }
    Ok(found)
}

/// The documents within a range that have a key.
pub(super) fn with_keys(segment: &Segment, paths: &[Path], within: &Range<u32>, budget: &Budget) -> Result<RoaringBitmap> {
    let (columns, directory) = (KeyColumns::strings(segment.layout()?, paths), segment.block_directory()?);
    let mut found = RoaringBitmap::new();
    if columns.of_shapes.iter().all(|slots| !slots.is_empty()) {
        found.insert_range(within.clone());
        return Ok(found);
    }
    for number in 0..directory.blocks() {
        let documents = directory.documents(number);
        if documents.end <= within.start || documents.start >= within.end {
            continue;
        }
        budget.block()?;
        let shapes = OpenedBlock::open(segment, &directory, number, Reuse::Likely).and_then(|block| block.shapes());
        let shapes = match shapes {
            Ok(shapes) => shapes,
            Err(error) => {
                pass_over(segment, documents, segment.locate(error), budget)?;
                continue;
            }
        };
        for (document, shape) in documents.zip(shapes) {
            if within.contains(&document) && !columns.slots(shape)?.is_empty() {
                found.insert(document);
            }
        }
    }
    Ok(found)
}

/// The keys looked for in one block, in order.
struct Keys<'a> {
    texts: &'a [Wanted],
    uuids: Vec<((u128, bool), usize)>,
}

impl Keys<'_> {
    fn of(texts: &[Wanted]) -> Keys<'_> {
        let mut uuids: Vec<((u128, bool), usize)> =
            texts.iter().filter_map(|wanted| Some((parse_uuid(&wanted.value)?, wanted.tag))).collect();
        uuids.sort_unstable();
        Keys { texts, uuids }
    }

    fn with_text(&self, value: &[u8]) -> impl Iterator<Item = usize> {
        let start = self.texts.partition_point(|wanted| wanted.value.as_slice() < value);
        self.texts.iter().skip(start).take_while(move |wanted| wanted.value == value).map(|wanted| wanted.tag)
    }

    fn with_uuid(&self, uuid: (u128, bool)) -> impl Iterator<Item = usize> {
        let start = self.uuids.partition_point(|(wanted, _)| *wanted < uuid);
        self.uuids.iter().skip(start).take_while(move |(wanted, _)| *wanted == uuid).map(|(_, tag)| *tag)
    }
}

fn find_in(
    segment: &Segment,
    block: &mut OpenedBlock<'_>,
    columns: &KeyColumns,
    wanted: &[Wanted],
    found: &mut Vec<(u32, usize)>,
) -> Result<()> {
    block.unfold(columns.columns.iter().copied())?;
    let (keys, layout, mut equal) = (Keys::of(wanted), segment.layout()?, Vec::with_capacity(columns.columns.len()));
    for column in &columns.columns {
        let entry = layout.column(*column)?;
        equal.push(match block.chunk(*column)? {
            Some(chunk) => equal_values(segment, entry, &chunk, &keys)?,
            None if entry.encoding == Encoding::Constant => constant_value(segment, entry, &keys)?,
            None => Equal::Some(Vec::new()),
        });
    }
    if equal.iter().all(Equal::is_none) {
        return Ok(());
    }
    let mut next = vec![0u32; equal.len()];
    for (document, shape) in block.documents().zip(block.shapes()?) {
        for slot in columns.slots(shape)? {
            if let (Some(next), Some(equal)) = (next.get_mut(*slot), equal.get_mut(*slot)) {
                equal.take(*next, |tag| found.push((document, tag)));
                *next += 1;
            }
        }
    }
    Ok(())
}

/// Which values of a column are looked for.
enum Equal {
    /// Every one, by these.
    All(Vec<usize>),
    /// Index and tag, the last index first.
    Some(Vec<(u32, usize)>),
}

impl Equal {
    fn is_none(&self) -> bool {
        matches!(self, Equal::All(tags) if tags.is_empty()) || matches!(self, Equal::Some(values) if values.is_empty())
    }

    /// Calls `visit` with the tags of the next value.
    fn take(&mut self, index: u32, mut visit: impl FnMut(usize)) {
        match self {
            Equal::All(tags) => tags.iter().copied().for_each(visit),
            Equal::Some(values) => {
                while let Some((_, tag)) = values.pop_if(|(at, _)| *at == index) {
                    visit(tag);
                }
            }
        }
    }
}

fn constant_value(segment: &Segment, entry: &ColumnEntry, keys: &Keys<'_>) -> Result<Equal> {
    let mut terms = segment.dictionary()?.cursor();
    terms.with(entry.terms.0, |term| Equal::All(keys.with_text(&decoded(entry, term)).collect()))
}

fn equal_values(segment: &Segment, entry: &ColumnEntry, chunk: &Chunk<'_>, keys: &Keys<'_>) -> Result<Equal> {
    let mut equal = Vec::new();
    let (mut terms, mut value) = (segment.dictionary()?.cursor(), Vec::new());
    for index in 0..chunk.len() {
        match chunk {
            Chunk::Uuids(uuids, upper) => {
                let uuid = uuids.get(index).map(|uuid| (uuid, *upper));
                equal.extend(uuid.into_iter().flat_map(|uuid| keys.with_uuid(uuid)).map(|tag| (index as u32, tag)));
            }
            _ => {
                value.clear();
                match chunk.code(index) {
                    Some(code) if code < entry.terms.1 => {
                        terms.with(entry.terms.0.saturating_add(code), |term| value.extend_from_slice(term))?;
                    }
                    Some(_) => return Err(Error::corrupt("a code is not in the dictionary")),
                    None => chunk.value(index, &mut value),
                }
                equal.extend(keys.with_text(&decoded(entry, &value)).map(|tag| (index as u32, tag)));
            }
        }
    }
    equal.reverse();
    Ok(Equal::Some(equal))
}

fn decoded<'a>(entry: &ColumnEntry, value: &'a [u8]) -> Cow<'a, [u8]> {
    if !entry.has_escapes {
        return value.into();
    }
    match unescape(value) {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    }
}
