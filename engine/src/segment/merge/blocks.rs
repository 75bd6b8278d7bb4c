//! The blocks of the merged segment: the values of all inputs in the new order, column by column.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::segment::block::chunk::Encoding;
use crate::segment::block::predictions::Prediction;
use crate::segment::block::units::{BlockDirectory, BlockWriter};
use crate::segment::file::component::Component;
use crate::segment::file::writer::SegmentFileWriter;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::order::Order;
use crate::segment::merge::plan::Plan;
use crate::segment::merge::source::Source;
use crate::segment::merge::united::United;
use crate::segment::merge::values::Values;
use crate::segment::read::opened::Segment;
use crate::segment::write::predictions::encode_predicted;
use crate::segment::write::units::write_units;

/// After so many blocks the mapped pages of the inputs are given back: some 30 MiB of them.
pub(super) const RELEASE_BLOCKS: usize = 128;

/// Writes the components `Blocks` and `BlockDirectory`.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the input; what the file and `breathe` give.
pub(super) fn write_blocks(
    inputs: &[Arc<Segment>],
    (united, plan, order): (&United<'_>, &Plan, &Order),
    predictions: &[(Prediction, Vec<u32>)],
    file: &mut SegmentFileWriter,
    breathe: &mut Breath<'_>,
) -> Result<()> {
    let directories: Vec<BlockDirectory<'_>> = inputs.iter().map(|input| input.block_directory()).collect::<Result<_>>()?;
    let encodings: Vec<Encoding> = plan.entries.iter().map(|entry| entry.encoding).collect();
    let mut sources = Vec::with_capacity(inputs.len());
    for (((input, directory), renumbered), ways) in inputs.iter().zip(&directories).zip(&united.inputs).zip(&plan.ways) {
        sources.push(Source::new(input, directory, renumbered, ways, &encodings)?);
    }
    let mut columns: Vec<Values> = encodings.iter().map(|encoding| Values::of(*encoding)).collect();
    let (mut shapes, mut blocks) = (Vec::new(), BlockWriter::default());
    file.start(Component::Blocks, 0)?;
    for (number, runs) in order.blocks().enumerate() {
        breathe()?;
        if number % RELEASE_BLOCKS == 0 {
            inputs.iter().for_each(|input| input.release());
        }
        shapes.clear();
        columns.iter_mut().for_each(Values::clear);
        for (input, count) in runs {
            let source = sources.get_mut(input).ok_or_else(|| Error::invalid("there is no such input"))?;
            source.take(count, &mut shapes, &mut columns)?;
        }
        write_units(&plan.units, &shapes, &mut blocks, |column, raw, plain| {
            match predictions.binary_search_by_key(&column, |(prediction, _)| prediction.column) {
                Ok(at) => {
                    predictions.get(at).map_or(Ok(()), |found| encode_predicted(found, &shapes, |column| codes_of(&columns, column), raw))
                }
                Err(_) => {
                    columns.get(column as usize).into_iter().for_each(|values| values.encode(raw, plain));
                    Ok(())
                }
            }
        })?;
        file.write(&blocks.end_block())?;
    }
    file.end()?;
    file.component(Component::BlockDirectory, 0, |bytes| {
        blocks.directory(bytes);
        Ok(())
    })
}

fn codes_of(columns: &[Values], column: u32) -> Vec<u32> {
    match columns.get(column as usize) {
        Some(Values::Codes(codes)) => codes.clone(),
        _ => Vec::new(),
    }
}
