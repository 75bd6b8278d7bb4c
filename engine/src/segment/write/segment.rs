//! [`write()`]: one segment file from shredded events.

use std::sync::Arc;

use crate::error::Result;
use crate::event::DimensionKind;
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::id::Timestamp;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::chunk::{Encoding, encode_codes, encode_numbers, encode_strings};
use crate::segment::block::layout::{ShapeEntry, encode_columns, encode_shapes};
use crate::segment::block::predictions::{Prediction, encode_predictions};
use crate::segment::block::typed::{parse_integer, parse_time};
use crate::segment::block::units::BlockWriter;
use crate::segment::dictionary::writer::DictionaryWriter;
use crate::segment::documents::event_ids::{self, Places};
use crate::segment::documents::received::{self, Run};
use crate::segment::documents::{sequences, timestamps};
use crate::segment::file::component::Component;
use crate::segment::file::writer::{FileSummary, SegmentFileWriter};
use crate::segment::meta::{DimensionEntry, Meta, encode_dimensions};
use crate::segment::postings::lists::PostingsWriter;
use crate::segment::write::dimension_terms::DimensionTerms;
use crate::segment::write::input::{EntriesInput, SegmentInput};
use crate::segment::write::plan_columns::{ColumnPlan, plan};
use crate::segment::write::predictions::{self, encode_predicted};
use crate::segment::write::units::write_units;
use crate::shred::{Shreds, TermRows};
use crate::storage::File;

/// Writes a segment file. The caller syncs it and gives it its name.
///
/// # Errors
/// What the disk says; [`crate::ErrorKind::Io`] when compression has no memory.
pub(crate) fn write(input: &SegmentInput<'_>, file: Arc<dyn File>, name: &str) -> Result<FileSummary> {
    let order = Order::new(input.times);
    let mut out = Writer { file: SegmentFileWriter::new(file, name, input.id)?, dictionary: DictionaryWriter::default() };
    let terms = DimensionTerms::push(&input.dimensions, input.terms, &mut out.dictionary)?;
    let plan = plan(input.shreds, &terms, &mut out.dictionary)?;
    let predictions = predictions::plan(input.shreds, &plan, &order.old);
    out.blocks(input.shreds, (&plan, &predictions), &order)?;
    out.component(Component::Columns, 0, |bytes| encode_columns(&plan.entries, bytes))?;
    let shapes: Vec<ShapeEntry> =
        input.shreds.shapes().iter().map(|s| ShapeEntry { text: s.shape.text.clone(), columns: s.columns.clone() }).collect();
    out.component(Component::Shapes, 0, |bytes| encode_shapes(&shapes, bytes))?;
    out.component(Component::Predictions, 0, |bytes| {
        encode_predictions(&predictions, bytes);
        Ok(())
    })?;
    out.places(input, &order)?;
    let dimensions = out.dimensions(input, &terms, &order)?;
    out.component(Component::Dimensions, 0, |bytes| {
        encode_dimensions(&dimensions, bytes);
        Ok(())
    })?;
    out.finish(input, &order)
}

/// The order of documents in the segment: by event time, then by sequence.
struct Order {
    /// For each new document the old one.
    old: Vec<u32>,
    /// For each old document the new one.
    new: Vec<u32>,
}

impl Order {
    fn new(times: &[Timestamp]) -> Order {
        let mut keyed: Vec<(Timestamp, u32)> = times.iter().copied().zip(0u32..).collect();
        keyed.sort_unstable();
        let old: Vec<u32> = keyed.into_iter().map(|(_, document)| document).collect();
        let mut new = vec![0; old.len()];
        for (old, at) in old.iter().zip(0u32..) {
            if let Some(slot) = new.get_mut(*old as usize) {
                *slot = at;
            }
        }
        Order { old, new }
    }

    fn new_of(&self, old: u32) -> u32 {
        self.new.get(old as usize).copied().unwrap_or(0)
    }
}

struct Writer {
    file: SegmentFileWriter,
    dictionary: DictionaryWriter,
}

impl Writer {
    fn component(&mut self, component: Component, ordinal: u16, encode: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.file.component(component, ordinal, encode)
    }

    fn blocks(&mut self, shreds: &Shreds, (plan, predictions): (&ColumnPlan, &[(Prediction, Vec<u32>)]), order: &Order) -> Result<()> {
        let mut blocks = BlockWriter::default();
        let mut codes: Vec<Vec<u32>> = vec![Vec::new(); plan.entries.len()];
        self.file.start(Component::Blocks, 0)?;
        for documents in order.old.chunks(BLOCK_DOCUMENTS) {
            let shapes = gather(shreds, documents, &mut codes);
            write_units(&plan.units, &shapes, &mut blocks, |column, raw, plain| {
                match predictions.binary_search_by_key(&column, |(prediction, _)| prediction.column) {
                    Ok(at) => predictions
                        .get(at)
                        .map_or(Ok(()), |found| encode_predicted(found, &shapes, |column| ordinals_of(plan, column, &codes), raw)),
                    Err(_) => {
                        encode_chunk(shreds, plan, column, &codes, raw, plain);
                        Ok(())
                    }
                }
            })?;
            codes.iter_mut().for_each(Vec::clear);
            self.file.write(&blocks.end_block())?;
        }
        self.file.end()?;
        self.component(Component::BlockDirectory, 0, |bytes| {
            blocks.directory(bytes);
            Ok(())
        })
    }

    /// Where documents are in time and in the log.
    fn places(&mut self, input: &SegmentInput<'_>, order: &Order) -> Result<()> {
        let time_of = |old: &u32| input.times.get(*old as usize).map_or(0, |t| t.0);
        let times: Vec<i64> = order.old.iter().map(time_of).collect();
        self.component(Component::Timestamps, 0, |bytes| {
            timestamps::encode(&times, bytes);
            Ok(())
        })?;
        self.component(Component::Sequences, 0, |bytes| {
            sequences::encode(&order.old, bytes);
            Ok(())
        })?;
        let runs: Vec<Run> = input.received.iter().map(|(first, at)| Run { first: *first, received_ms: at.as_millis() }).collect();
        self.component(Component::Received, 0, |bytes| {
            received::encode(&runs, bytes);
            Ok(())
        })
    }

    fn dimensions(&mut self, input: &SegmentInput<'_>, terms: &DimensionTerms<'_>, order: &Order) -> Result<Vec<DimensionEntry>> {
        let mut entries = Vec::new();
        for (ordinal, dimension) in (0u16..).zip(&input.dimensions) {
            let Some(places) = terms.of(usize::from(ordinal)) else { continue };
            let kind = match &dimension.entries {
                EntriesInput::Keyword(rows) => {
                    self.postings(ordinal, rows, &places.codes, order)?;
                    DimensionKind::Keyword
                }
                EntriesInput::Unique(pairs) => {
                    let mut pairs: Vec<(u64, u32)> = pairs.iter().map(|(hash, old)| (*hash, order.new_of(*old))).collect();
                    pairs.sort_unstable();
                    pairs.dedup();
                    let places = key_places(input.shreds, dimension.paths, pairs.len() as u64);
                    self.component(Component::UniqueIndex, ordinal, |bytes| {
                        event_ids::encode(&mut pairs, places, bytes);
                        Ok(())
                    })?;
                    DimensionKind::Unique
                }
            };
            let terms = places.range.clone();
            entries.push(DimensionEntry { name: dimension.name.to_owned(), kind, paths: dimension.paths.to_vec(), terms });
        }
        Ok(entries)
    }

    fn postings(&mut self, ordinal: u16, rows: &TermRows, codes: &[u32], order: &Order) -> Result<()> {
        let groups = rows.grouped(order.old.iter().copied());
        let mut writer = PostingsWriter::default();
        for code in codes {
            writer.push(groups.of(*code))?;
        }
        self.component(Component::Postings, ordinal, |bytes| {
            writer.finish(bytes);
            Ok(())
        })
    }

    fn finish(mut self, input: &SegmentInput<'_>, order: &Order) -> Result<FileSummary> {
        let dictionary = std::mem::take(&mut self.dictionary);
        self.component(Component::Dictionary, 0, |bytes| dictionary.finish(bytes))?;
        let (min, max) = input.times.iter().fold((Timestamp::MAX, Timestamp::MIN), |(min, max), t| (min.min(*t), max.max(*t)));
        let meta = Meta {
            day: input.day,
            first_sequence: input.first_sequence,
            documents: input.shreds.len(),
            time_min: min,
            time_max: max,
            received_min: input.received.first().map_or(Timestamp::default(), |(_, at)| *at),
            received_max: input.received.last().map_or(Timestamp::default(), |(_, at)| *at),
            event_bytes: input.event_bytes,
            without_time: input.without_time.iter().map(|old| order.new_of(old)).collect(),
        };
        self.component(Component::Meta, 0, |bytes| meta.encode(bytes))?;
        self.file.finish()
    }
}

/// Where the index of so many keys leads. A document has a key once, and each of its keys is one of its values at the dimension's paths: so if
/// there are as many keys as strings at these paths, every one of them is a key, and a block is enough to find it.
fn key_places(shreds: &Shreds, paths: &[Path], keys: u64) -> Places {
    let mut strings = 0;
    for (column, path) in (0u32..).zip(shreds.paths()) {
        let (count, is_key) = (shreds.columns.get(column).map_or(0, |state| state.count), paths.iter().any(|p| p.names(&path.path.steps)));
        match path.class {
            Class::String if is_key => strings += count,
            Class::Whole if count > 0 => return Places::Documents,
            Class::Literal if is_key && shreds.columns.values(column).any(|value| value != b"null") => return Places::Documents,
            _ => {}
        }
    }
    if keys == strings { Places::Blocks } else { Places::Documents }
}

/// Collects the codes of a block's documents by column; returns the shapes of the documents.
fn gather(shreds: &Shreds, documents: &[u32], codes: &mut [Vec<u32>]) -> Vec<u64> {
    let mut shapes = Vec::with_capacity(documents.len());
    for document in documents {
        let (shape, row) = shreds.row(*document);
        shapes.push(u64::from(shape));
        let columns = shreds.shapes().get(shape as usize).map(|s| &*s.columns).unwrap_or_default();
        for (column, code) in columns.iter().zip(row) {
            if let Some(values) = codes.get_mut(*column as usize) {
                values.push(*code);
            }
        }
    }
    shapes
}

/// Appends the chunk of a column; nothing when it has no values in the block.
fn encode_chunk(shreds: &Shreds, plan: &ColumnPlan, column: u32, all: &[Vec<u32>], raw: &mut Vec<u8>, plain: &mut Vec<u8>) {
    let (Some(entry), Some(codes)) = (plan.entries.get(column as usize), all.get(column as usize)) else { return };
    if codes.is_empty() {
        return;
    }
    let values = codes.iter().map(|code| shreds.columns.value(column, *code));
    match entry.encoding {
        Encoding::Constant => {}
        Encoding::Codes => encode_codes(&ordinals_of(plan, column, all), raw),
        // The encoding was chosen because every value of the column parses.
        Encoding::Integers => encode_numbers(&values.map(|v| parse_integer(v).unwrap_or(0)).collect::<Vec<_>>(), raw),
        Encoding::Times(form) => encode_numbers(&values.map(|v| parse_time(v, form).unwrap_or(0)).collect::<Vec<_>>(), raw),
        Encoding::Strings => encode_strings(values, raw, plain),
    }
}

/// The ordinals of a column's values in a block.
fn ordinals_of(plan: &ColumnPlan, column: u32, codes: &[Vec<u32>]) -> Vec<u32> {
    let codes = codes.get(column as usize).map(Vec::as_slice).unwrap_or_default();
    let ordinals = plan.ordinals.get(column as usize).map(Vec::as_slice).unwrap_or_default();
    codes.iter().map(|code| ordinals.get(*code as usize).copied().unwrap_or(0)).collect()
}
