//! Which columns of a new segment share a unit, and the units of one block.

use crate::error::Result;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::{ColumnEntry, assign_units};
use crate::segment::block::units::{BlockWriter, encode_shape_numbers, encode_shared};

/// The units of every block of a segment.
#[derive(Debug, Default)]
pub(crate) struct UnitPlan {
    /// For every unit its columns, in the order of their numbers; unit 0 has none.
    units: Vec<Vec<u32>>,
    /// For each column its place in its unit.
    places: Vec<u32>,
}

impl UnitPlan {
    /// Gives every column its unit. `bytes` says how many bytes a column has in a block on average.
    pub(crate) fn new(columns: &mut [ColumnEntry], bytes: impl Fn(usize) -> usize) -> UnitPlan {
        assign_units(columns, bytes);
        let count = columns.iter().map(|column| column.unit as usize + 1).max().unwrap_or(1);
        let mut plan = UnitPlan { units: vec![Vec::new(); count], places: vec![0; columns.len()] };
        for ((number, column), place) in (0u32..).zip(columns.iter()).zip(&mut plan.places) {
            if let Some(unit) = plan.units.get_mut(column.unit as usize).filter(|_| column.encoding != Encoding::Constant) {
                *place = unit.len() as u32;
                unit.push(number);
            }
        }
        plan
    }

    /// Whether a column has a unit of its own.
    pub(crate) fn is_alone(&self, column: u32) -> bool {
        self.units.iter().any(|columns| *columns == [column])
    }
}

/// About how many bytes a column has in a block before compression, if it has so many values in a segment of so many documents;
/// `text_bytes` says how many a string has.
pub(crate) fn block_bytes(values: u64, documents: u32, encoding: Encoding, text_bytes: impl FnOnce() -> usize) -> usize {
    let blocks = (documents as usize).div_ceil(BLOCK_DOCUMENTS).max(1);
    let values = values as usize / blocks;
    match encoding {
        Encoding::Constant => 0,
        Encoding::Codes | Encoding::Integers | Encoding::Times(_) => values * 2,
        Encoding::Strings => values * text_bytes(),
    }
}

/// Writes the units of a block, whose documents have these shapes. `chunk` appends the raw and the plain part of a column's chunk;
/// nothing when the column has no values in the block.
pub(crate) fn write_units(
    plan: &UnitPlan,
    shapes: &[u64],
    blocks: &mut BlockWriter,
    mut chunk: impl FnMut(u32, &mut Vec<u8>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let (mut raw, mut plain) = (Vec::new(), Vec::new());
    encode_shape_numbers(shapes, &mut raw);
    blocks.unit(&raw, &plain)?;
    for columns in plan.units.iter().skip(1) {
        raw.clear();
        plain.clear();
        match columns.as_slice() {
            [column] => chunk(*column, &mut raw, &mut plain)?,
            columns => shared_unit(plan, columns, &mut raw, &mut chunk)?,
        }
        blocks.unit(&raw, &plain)?;
    }
    Ok(())
}

fn shared_unit(
    plan: &UnitPlan,
    columns: &[u32],
    raw: &mut Vec<u8>,
    chunk: &mut impl FnMut(u32, &mut Vec<u8>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut chunks = Vec::new();
    for column in columns {
        let (mut own, mut plain) = (Vec::new(), Vec::new());
        chunk(*column, &mut own, &mut plain)?;
        if !own.is_empty() {
            own.append(&mut plain);
            chunks.push((plan.places.get(*column as usize).copied().unwrap_or(0), own));
        }
    }
    encode_shared(&chunks, raw);
    Ok(())
}
