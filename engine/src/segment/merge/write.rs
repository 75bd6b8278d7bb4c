//! [`merge()`]: one segment file from several segments.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::error::{Error, ErrorKind, Result};
use crate::event::DimensionKind;
use crate::id::SegmentId;
use crate::limits::{BLOCK_DOCUMENTS, SEGMENT_DOCUMENTS_MAX};
use crate::segment::block::layout::{encode_columns, encode_shapes};
use crate::segment::block::predictions::encode_predictions;
use crate::segment::documents::received::{ReceivedWriter, Run};
use crate::segment::documents::sequences;
use crate::segment::documents::timestamps::TimestampsWriter;
use crate::segment::file::component::Component;
use crate::segment::file::writer::{FileSummary, SegmentFileWriter};
use crate::segment::merge::blocks::write_blocks;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::held::Held;
use crate::segment::merge::keys::merge_keys;
use crate::segment::merge::lists::merge_lists;
use crate::segment::merge::order::Order;
use crate::segment::merge::plan::Plan;
use crate::segment::merge::predictions;
use crate::segment::merge::recurring::gather;
use crate::segment::merge::terms::{Places, Terms};
use crate::segment::merge::united::United;
use crate::segment::meta::{DimensionEntry, Meta, encode_dimensions};
use crate::segment::read::opened::Segment;
use crate::storage::File;

/// The most segments that are merged at once: each of them has a block unfolded in memory.
pub(crate) const INPUTS_MAX: usize = 64;

/// Whether two segments may stand in one: the second follows the first without a gap, on the same day, and has the same dimensions in
/// the same order, filled from the same paths.
///
/// A dimension that only one of them has would either be lost, or be claimed for documents that were never indexed by it. Schemas change
/// seldom, so each change costs one segment that stays apart.
pub(crate) fn may_join(first: &Segment, second: &Segment) -> bool {
    let alike = |(a, b): (&DimensionEntry, &DimensionEntry)| (&a.name, a.kind, &a.paths) == (&b.name, b.kind, &b.paths);
    first.meta().day == second.meta().day
        && first.meta().first_sequence.plus(u64::from(first.meta().documents)) == second.meta().first_sequence
        && first.dimensions().len() == second.dimensions().len()
        && first.dimensions().iter().zip(second.dimensions()).all(alike)
}

/// Writes a segment file with the events of several segments, which come in the order of their sequences. The caller syncs it and gives
/// it its name. Strings that recur are looked for in at most `room` bytes.
///
/// # Errors
/// [`ErrorKind::Invalid`] for segments that may not join, [`ErrorKind::Limit`] when one segment cannot hold them,
/// [`ErrorKind::Corrupt`] naming the input that is damaged; what the file and `breathe` give.
pub(crate) fn merge(
    inputs: &[Arc<Segment>],
    (id, room): (SegmentId, usize),
    file: Arc<dyn File>,
    name: &str,
    breathe: &mut Breath<'_>,
) -> Result<(FileSummary, Meta)> {
    check(inputs)?;
    let united = United::new(inputs, breathe)?;
    let mut times = TimestampsWriter::new(time_unit(inputs)?);
    let order = Order::new(inputs, &mut times, breathe)?;
    let mut file = SegmentFileWriter::new(file, name, id)?;
    let mut terms = Terms::new(inputs, &mut file)?;
    let recurring = gather(inputs, &united, room, breathe)?;
    let (dimensions, places) = merge_dimension_terms(inputs, &mut terms, &mut file, breathe)?;
    let held = Held { inputs, dimensions: &dimensions, places: &places };
    let plan = Plan::new(inputs, (&united, recurring), &held, &mut terms, &mut file, breathe)?;
    terms.finish(&mut file)?;
    let predictions = predictions::plan(inputs, &united, &plan)?;
    write_blocks(inputs, (&united, &plan, &order), &predictions, &mut file, breathe)?;
    file.component(Component::Columns, 0, |bytes| encode_columns(&plan.entries, bytes))?;
    file.component(Component::Shapes, 0, |bytes| encode_shapes(&united.shapes, bytes))?;
    file.component(Component::Predictions, 0, |bytes| {
        encode_predictions(&predictions, bytes);
        Ok(())
    })?;
    drop((plan, united, predictions));
    file.component(Component::Timestamps, 0, |bytes| {
        times.finish(bytes);
        Ok(())
    })?;
    write_sequences(inputs, &order, &mut file, breathe)?;
    write_received(inputs, &mut file)?;
    write_indexes(inputs, (&dimensions, &places), &order, &mut file, breathe)?;
    file.component(Component::Dimensions, 0, |bytes| {
        encode_dimensions(&dimensions, bytes);
        Ok(())
    })?;
    let meta = meta(inputs, &order)?;
    file.component(Component::Meta, 0, |bytes| meta.encode(bytes))?;
    Ok((file.finish()?, meta))
}

fn check(inputs: &[Arc<Segment>]) -> Result<()> {
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(Error::invalid("too few or too many segments to merge").expected(format_args!("1 to {INPUTS_MAX}"), inputs.len()));
    }
    if inputs.windows(2).any(|pair| matches!(pair, [first, second] if !may_join(first, second))) {
        return Err(Error::invalid("segments that do not follow each other, or have other days or dimensions, are not merged"));
    }
    let documents: u64 = inputs.iter().map(|input| u64::from(input.meta().documents)).sum();
    if documents > u64::from(SEGMENT_DOCUMENTS_MAX) {
        let error = Error::new(ErrorKind::Limit, "the segments have too many events together");
        return Err(error.expected(format_args!("at most {SEGMENT_DOCUMENTS_MAX}"), documents));
    }
    Ok(())
}

/// The largest unit of all: units divide each other.
fn time_unit(inputs: &[Arc<Segment>]) -> Result<u32> {
    let mut least = u32::MAX;
    for input in inputs {
        least = least.min(input.timestamps()?.unit_code());
    }
    Ok(least)
}

/// Merges the terms of all keyword dimensions; returns the dimensions, and for each where the terms of each input went.
fn merge_dimension_terms(
    inputs: &[Arc<Segment>],
    terms: &mut Terms<'_>,
    file: &mut SegmentFileWriter,
    breathe: &mut Breath<'_>,
) -> Result<(Vec<DimensionEntry>, Vec<Vec<Places>>)> {
    let (mut dimensions, mut places) = (Vec::new(), Vec::new());
    let declared = inputs.first().map(|input| input.dimensions()).unwrap_or_default();
    for (ordinal, dimension) in declared.iter().enumerate() {
        let first = terms.len();
        let groups = inputs.iter().map(|input| input.dimensions().get(ordinal).map_or(0..0, |dimension| dimension.terms.clone()));
        let groups: Vec<_> = groups.enumerate().collect();
        places.push(match dimension.kind {
            DimensionKind::Keyword => terms.merge(&groups, None, file, breathe)?,
            DimensionKind::Unique => Vec::new(),
        });
        dimensions.push(DimensionEntry { terms: first..terms.len(), ..dimension.clone() });
    }
    Ok((dimensions, places))
}

fn first_offset(inputs: &[Arc<Segment>], input: &Segment) -> u32 {
    let first = inputs.first().map_or(0, |input| input.meta().first_sequence.0);
    input.meta().first_sequence.0.saturating_sub(first) as u32
}

fn write_sequences(inputs: &[Arc<Segment>], order: &Order, file: &mut SegmentFileWriter, breathe: &mut Breath<'_>) -> Result<()> {
    let mut offsets = vec![0u32; order.documents() as usize];
    for (number, input) in inputs.iter().enumerate() {
        let (first, moved) = (first_offset(inputs, input), order.moved(number));
        let (sequences, documents) = (input.sequences()?, input.meta().documents);
        for begin in (0..documents).step_by(BLOCK_DOCUMENTS) {
            breathe()?;
            sequences.for_range(begin..documents.min(begin.saturating_add(BLOCK_DOCUMENTS as u32)), |document, offset| {
                if let Some(slot) = moved.get(document as usize).and_then(|moved| offsets.get_mut(*moved as usize)) {
                    *slot = first.saturating_add(offset);
                }
            });
        }
    }
    file.component(Component::Sequences, 0, |bytes| {
        sequences::encode(&offsets, bytes);
        Ok(())
    })
}

fn write_received(inputs: &[Arc<Segment>], file: &mut SegmentFileWriter) -> Result<()> {
    let (mut writer, mut last) = (ReceivedWriter::default(), None);
    for input in inputs {
        let first = first_offset(inputs, input);
        input.received()?.for_each(|run| {
            // Where one input ends and the next begins at one moment, the run goes on.
            if last != Some(run.received_ms) {
                writer.push(Run { first: first.saturating_add(run.first), ..run });
                last = Some(run.received_ms);
            }
        });
    }
    file.component(Component::Received, 0, |bytes| {
        writer.finish(bytes);
        Ok(())
    })
}

fn write_indexes(
    inputs: &[Arc<Segment>],
    (dimensions, places): (&[DimensionEntry], &[Vec<Places>]),
    order: &Order,
    file: &mut SegmentFileWriter,
    breathe: &mut Breath<'_>,
) -> Result<()> {
    for ((ordinal, dimension), places) in (0u16..).zip(dimensions).zip(places) {
        inputs.iter().for_each(|input| input.release());
        match dimension.kind {
            DimensionKind::Keyword => {
                let terms = dimension.terms.len() as u32;
                let lists = merge_lists(inputs, (ordinal, terms), places, order, breathe)?;
                file.component(Component::Postings, ordinal, |bytes| {
                    lists.finish(bytes);
                    Ok(())
                })?;
            }
            DimensionKind::Unique => {
                file.component(Component::UniqueIndex, ordinal, |bytes| {
                    merge_keys(inputs, (ordinal, &dimension.paths), order, breathe, bytes)
                })?;
            }
        }
    }
    Ok(())
}

fn meta(inputs: &[Arc<Segment>], order: &Order) -> Result<Meta> {
    let Some(first) = inputs.first().map(|input| input.meta()) else { return Err(Error::invalid("nothing to merge")) };
    let mut meta = Meta { documents: order.documents(), event_bytes: 0, without_time: RoaringBitmap::new(), ..first.clone() };
    for (number, input) in inputs.iter().enumerate() {
        let (own, moved) = (input.meta(), order.moved(number));
        meta.time_min = meta.time_min.min(own.time_min);
        meta.time_max = meta.time_max.max(own.time_max);
        meta.received_min = meta.received_min.min(own.received_min);
        meta.received_max = meta.received_max.max(own.received_max);
        meta.event_bytes += own.event_bytes;
        meta.without_time.extend(own.without_time.iter().filter_map(|document| moved.get(document as usize)));
    }
    Ok(meta)
}
