//! The component `Predictions`: which columns are predicted, from what, and their maps.
//!
//! A value of a column goes with the value of its parent that stands at the same place among those of the document; with nothing, where
//! the document has fewer of them. Of columns that both have one value in each document, that is the one.

use crate::codec::bits::{Packed, pack, packed_len, width_of};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::COLUMNS_MAX;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::Layout;

/// How many columns may stand one behind the other, each predicted from the next.
pub(crate) const CHAIN_MAX: usize = 6;

const ENTRY_BYTES: usize = 16;

/// One predicted column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prediction {
    pub(crate) column: u32,
    /// The column it is predicted from; without one, the shapes.
    pub(crate) parent: Option<u32>,
    /// The parent's code for values that go with nothing: one more than it has.
    nothing: u32,
    /// For every shape how many values it has, in the column and in the parent.
    counts: Box<[(u16, u16)]>,
}

impl Prediction {
    /// `shapes` are the columns of each shape's leaves, `codes` how many codes the parent has.
    pub(crate) fn new<'a>(column: u32, parent: Option<u32>, codes: u32, shapes: impl Iterator<Item = &'a [u32]>) -> Prediction {
        let count = |columns: &[u32], wanted: u32| columns.iter().filter(|column| **column == wanted).count() as u16;
        let counts = shapes.map(|columns| (count(columns, column), parent.map_or(0, |parent| count(columns, parent)))).collect();
        Prediction { column, parent, nothing: codes, counts }
    }

    /// How many entries the map has.
    pub(crate) fn entries(&self) -> usize {
        self.nothing as usize + 1
    }

    /// Appends the parent's code for each value of the column in a block: from the shapes of its documents, and the codes that the parent
    /// has in the block.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] for a shape that there is not, or when the parent has too few codes.
    pub(crate) fn parents(&self, shapes: impl Iterator<Item = u32>, codes: &[u32], out: &mut Vec<u32>) -> Result<()> {
        let mut next = 0;
        for shape in shapes {
            let Some((own, of_parent)) = self.counts.get(shape as usize).copied() else { return Err(Error::corrupt("no such shape")) };
            if self.parent.is_none() {
                out.extend((0..own).map(|_| shape));
                continue;
            }
            let end = next + usize::from(of_parent);
            let Some(codes) = codes.get(next..end) else { return Err(Error::corrupt("a column has too few values")) };
            next = end;
            match (own, codes) {
                (0, _) => {}
                (1, [code]) => out.push(*code),
                _ => out.extend((0..usize::from(own)).map(|at| codes.get(at).copied().unwrap_or(self.nothing))),
            }
        }
        Ok(())
    }
}

/// Appends the component: each prediction with its map, ascending by column.
pub(crate) fn encode_predictions(predictions: &[(Prediction, Vec<u32>)], out: &mut Vec<u8>) {
    let width = |map: &[u32]| map.iter().copied().max().map_or(0, |code| width_of(u64::from(code)));
    out.put_u32(predictions.len() as u32);
    for (prediction, map) in predictions {
        out.put_u32(prediction.column);
        out.put_u32(prediction.parent.map_or(0, |parent| parent + 1));
        out.put_u32(map.len() as u32);
        out.put_u32(width(map));
    }
    for (_, map) in predictions {
        pack(map.iter().map(|code| u64::from(*code)), width(map), out);
    }
}

/// The predictions of a segment, with their maps: 4 bytes for each code that a column is predicted from.
#[derive(Debug, Default)]
pub(crate) struct Predictions {
    all: Vec<(Prediction, Box<[u32]>)>,
}

impl Predictions {
    /// Reads the component.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &[u8], layout: &Layout) -> Result<Predictions> {
        let mut reader = Reader::new(bytes);
        let count = reader.u32()? as usize;
        if count > COLUMNS_MAX {
            return Err(Error::corrupt("too many predictions").at(0).expected(format_args!("at most {COLUMNS_MAX}"), count));
        }
        let mut entries = Reader::new(reader.bytes(count * ENTRY_BYTES)?);
        let mut found = Predictions::default();
        for _ in 0..count {
            let (column, parent, codes, width) = (entries.u32()?, entries.u32()?, entries.u32()? as usize, entries.u32()?);
            let prediction = found.prediction(column, parent.checked_sub(1), layout)?;
            if prediction.entries() != codes {
                return Err(Error::corrupt("a map has a wrong number of entries").expected(prediction.entries(), codes));
            }
            let map = Packed::read(&mut reader, codes, width)?;
            let map = map.range(0, codes).map(|code| u32::try_from(code).unwrap_or(u32::MAX)).collect();
            found.all.push((prediction, map));
        }
        reader.finish()?;
        match found.all.iter().find(|(prediction, _)| found.chain(prediction.column) > CHAIN_MAX) {
            Some((prediction, _)) => {
                Err(Error::corrupt("a column is predicted from too many others").expected(CHAIN_MAX, prediction.column))
            }
            None => Ok(found),
        }
    }

    fn prediction(&self, column: u32, parent: Option<u32>, layout: &Layout) -> Result<Prediction> {
        let is_last = self.all.last().is_none_or(|(before, _)| before.column < column);
        let fits = |column: u32| layout.column(column).is_ok_and(|entry| entry.encoding == Encoding::Codes) && layout.is_alone(column);
        if !is_last || !fits(column) || !parent.is_none_or(fits) {
            return Err(Error::corrupt("a column cannot be predicted").expected("codes in a unit of its own", column));
        }
        let codes = match parent {
            Some(parent) => layout.column(parent)?.terms.1,
            None => layout.shapes.len() as u32,
        };
        Ok(Prediction::new(column, parent, codes, layout.shapes.iter().map(|shape| &*shape.columns)))
    }

    /// How many columns a column is predicted from, one behind the other; more than [`CHAIN_MAX`] when there is no end.
    pub(crate) fn chain(&self, column: u32) -> usize {
        let parent = |column: &u32| self.find(*column).map(|(prediction, _)| prediction.parent.unwrap_or(u32::MAX));
        std::iter::successors(Some(column), parent).take(CHAIN_MAX + 2).count() - 1
    }

    /// The prediction of a column, if it has one, and its map.
    pub(crate) fn find(&self, column: u32) -> Option<(&Prediction, &[u32])> {
        let at = self.all.binary_search_by_key(&column, |(prediction, _)| prediction.column).ok()?;
        self.all.get(at).map(|(prediction, map)| (prediction, &**map))
    }

    /// All of them with their maps, ascending by column.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Prediction, &[u32])> {
        self.all.iter().map(|(prediction, map)| (prediction, &**map))
    }
}

/// How many bytes a map takes, of so many entries up to a largest code.
pub(crate) fn map_bytes(entries: usize, largest: u32) -> usize {
    packed_len(entries, width_of(u64::from(largest)))
}
