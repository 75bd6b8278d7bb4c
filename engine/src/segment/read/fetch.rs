//! Fetching: documents back to the events they were.
//!
//! The documents asked for are visited block by block. In a block only the units are unfolded that hold columns of the documents' own
//! shapes; they stay in the cache. Where only few documents of a block are asked for, nobody will soon want its neighbours: then no more than
//! their own values is read, and what stays in a cache is their texts. Who checks or repairs a segment gets nothing from caches of texts.

use std::ops::Range;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::chunk::Chunk;
use crate::segment::block::units::BlockDirectory;
use crate::segment::cache::Cache;
use crate::segment::read::few::Few;
use crate::segment::read::gaps::pass_over;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};
use crate::segment::read::rows::{Chunks, Room, Rows};

/// So many documents of a block, or fewer, are read one by one.
const FEW_DOCUMENTS: usize = 8;

/// Appends the texts of documents to `texts`, in the order given.
pub(crate) fn fetch_texts(segment: &Segment, documents: &[u32], budget: &Budget, texts: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut found = Vec::with_capacity(documents.len());
    fetch_blocks(segment, documents, None, budget, &mut found, &mut |_, error| Err(error))?;
    texts.extend(found.into_iter().map(Option::unwrap_or_default));
    Ok(())
}

/// Appends the texts of documents to `texts`, in the order given: `None` for those of damaged blocks, which are noted in the budget.
pub(crate) fn fetch_readable(segment: &Segment, documents: &[u32], budget: &Budget, texts: &mut Vec<Option<Vec<u8>>>) -> Result<()> {
    let cache = Some(&segment.caches().texts);
    fetch_blocks(segment, documents, cache, budget, texts, &mut |documents, error| pass_over(segment, documents, error, budget))
}

/// The same, where a block that the system does not let be read is passed over too: `refused` gets the error.
pub(crate) fn fetch_given(
    segment: &Segment,
    documents: &[u32],
    budget: &Budget,
    texts: &mut Vec<Option<Vec<u8>>>,
    refused: &mut Option<Error>,
) -> Result<()> {
    fetch_blocks(segment, documents, None, budget, texts, &mut |documents, error| match error.kind() {
        ErrorKind::Io => {
            refused.get_or_insert(error);
            Ok(())
        }
        _ => pass_over(segment, documents, error, budget),
    })
}

/// What is done about a block that cannot be read: its documents, and why.
type OnDamage<'a> = dyn FnMut(Range<u32>, Error) -> Result<()> + 'a;

fn fetch_blocks(
    segment: &Segment,
    documents: &[u32],
    cache: Option<&Cache<Vec<u8>>>,
    budget: &Budget,
    texts: &mut Vec<Option<Vec<u8>>>,
    on_damage: &mut OnDamage<'_>,
) -> Result<()> {
    let first = texts.len();
    texts.resize_with(first + documents.len(), || None);
    let mut wanted: Vec<(u32, usize)> = documents.iter().copied().zip(first..).collect();
    wanted.sort_unstable();
    let directory = segment.block_directory()?;
    let block_of = |document: u32| document as usize / BLOCK_DOCUMENTS;
    let mut room = Room::within(budget);
    for wanted in wanted.chunk_by(|a, b| block_of(a.0) == block_of(b.0)) {
        let cache = cache.filter(|_| wanted.len() <= FEW_DOCUMENTS);
        if cache.is_some_and(|cache| held(cache, segment, wanted, texts)) {
            continue;
        }
        budget.block()?;
        let Some((document, _)) = wanted.first() else { continue };
        let number = block_of(*document);
        let fetched = if cache.is_some() {
            fetch_few(segment, &directory, number, wanted, texts, &mut room)
        } else {
            let opened = OpenedBlock::open(segment, &directory, number, Reuse::Likely);
            opened.and_then(|mut block| fetch_block(segment, &mut block, wanted, texts, &mut room))
        };
        if let Err(error) = fetched {
            // Half a block is not handed out.
            wanted.iter().filter_map(|(_, at)| texts.get_mut(*at).map(Option::take)).for_each(drop);
            on_damage(directory.documents(number), segment.locate(error))?;
        } else if let Some(cache) = cache {
            hold(cache, segment, wanted, texts);
        }
    }
    Ok(())
}

fn fetch_block(
    segment: &Segment,
    block: &mut OpenedBlock<'_>,
    wanted: &[(u32, usize)],
    texts: &mut [Option<Vec<u8>>],
    room: &mut Room<'_>,
) -> Result<()> {
    let layout = segment.layout()?;
    let (start, shapes) = (block.documents().start, block.shapes()?);
    let mut columns = Vec::new();
    for (document, _) in wanted {
        let shape = shapes.get((document - start) as usize).copied();
        let missing = || Error::corrupt("no such document in the block").expected(format_args!("{:?}", block.documents()), document);
        columns.extend_from_slice(&layout.shape(shape.ok_or_else(missing)?)?.columns);
    }
    columns.sort_unstable();
    columns.dedup();
    block.unfold(columns.iter().copied())?;
    let mut chunks: Vec<Option<Chunk<'_>>> = Vec::new();
    chunks.resize_with(layout.columns.len(), || None);
    for column in &columns {
        if let Some(slot) = chunks.get_mut(*column as usize) {
            *slot = block.chunk(*column)?;
        }
    }
    Rows::new(segment, &shapes, Chunks(chunks))?.put(rows(wanted, start), texts, room)
}

/// The same for few documents: only their own values are read.
fn fetch_few(
    segment: &Segment,
    directory: &BlockDirectory<'_>,
    number: usize,
    wanted: &[(u32, usize)],
    texts: &mut [Option<Vec<u8>>],
    room: &mut Room<'_>,
) -> Result<()> {
    let opened = OpenedBlock::open(segment, directory, number, Reuse::Unlikely)?;
    let (start, shapes) = (opened.documents().start, opened.shapes()?);
    let last = wanted.last().map_or(0, |(document, _)| (document - start) as usize);
    let shapes = shapes.get(..=last).ok_or_else(|| Error::corrupt("no such document in the block"))?;
    let few = Few::new(segment, opened.stored(), shapes)?;
    Rows::new(segment, shapes, few)?.put(rows(wanted, start), texts, room)
}

/// The places of documents in their block, which starts with this one.
fn rows(wanted: &[(u32, usize)], start: u32) -> impl Iterator<Item = (usize, usize)> {
    wanted.iter().map(move |(document, at)| ((document - start) as usize, *at))
}

/// The texts of all of these documents, if they were fetched before.
fn held(cache: &Cache<Vec<u8>>, segment: &Segment, wanted: &[(u32, usize)], texts: &mut [Option<Vec<u8>>]) -> bool {
    let found: Vec<_> = wanted.iter().map_while(|(document, _)| cache.get(segment.id(), u64::from(*document))).collect();
    if found.len() < wanted.len() {
        return false;
    }
    for ((_, at), text) in wanted.iter().zip(found) {
        if let Some(slot) = texts.get_mut(*at) {
            *slot = Some(text.to_vec());
        }
    }
    true
}

fn hold(cache: &Cache<Vec<u8>>, segment: &Segment, wanted: &[(u32, usize)], texts: &[Option<Vec<u8>>]) {
    for (document, at) in wanted {
        if let Some(Some(text)) = texts.get(*at) {
            cache.put(segment.id(), u64::from(*document), text.clone());
        }
    }
}
