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
    /// Whether no document has more than one value in either.
    are_single: bool,
}

impl Prediction {
    /// `shapes` are the columns of each shape's leaves, `codes` how many codes the parent has.
    pub(crate) fn new<'a>(column: u32, parent: Option<u32>, codes: u32, shapes: impl Iterator<Item = &'a [u32]>) -> Prediction {
        let count = |columns: &[u32], wanted: u32| columns.iter().filter(|column| **column == wanted).count() as u16;
        let counts: Box<[(u16, u16)]> =
            shapes.map(|columns| (count(columns, column), parent.map_or(0, |parent| count(columns, parent)))).collect();
        let are_single = counts.iter().all(|(own, of_parent)| *own <= 1 && *of_parent <= 1);
        Prediction { column, parent, nothing: codes, counts, are_single }
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
    pub(crate) fn parents(&self, shapes: &[u32], codes: &[u32], out: &mut Vec<u32>) -> Result<()> {
        let largest = shapes.iter().copied().max().unwrap_or(0) as usize;
        if largest >= self.counts.len() && !shapes.is_empty() {
            return Err(Error::corrupt("no such shape").expected(format_args!("below {}", self.counts.len()), largest));
        }
        match (self.parent, self.are_single) {
            (None, true) => self.single_shapes(shapes, out),
            (None, false) => shapes.iter().for_each(|shape| out.extend((0..self.counts_of(*shape).0).map(|_| *shape))),
            (Some(_), true) => self.single_parents(shapes, codes, out)?,
            (Some(_), false) => self.many_parents(shapes, codes, out)?,
        }
        Ok(())
    }

    /// Where among the parent's values of a document of this shape the one is that goes with the document's own value at `place`.
    pub(crate) fn with(&self, shape: u32, place: usize) -> Option<usize> {
        Some(place).filter(|place| *place < usize::from(self.counts_of(shape).1))
    }

    /// The parent's code for values that go with nothing.
    pub(crate) fn nothing(&self) -> u32 {
        self.nothing
    }

    #[inline]
    fn counts_of(&self, shape: u32) -> (u16, u16) {
        self.counts.get(shape as usize).copied().unwrap_or_default()
    }

    /// As [`Prediction::single_parents`], from the shapes.
    fn single_shapes(&self, shapes: &[u32], out: &mut Vec<u32>) {
        let mut end = out.len();
        out.resize(end + shapes.len(), 0);
        for shape in shapes {
            if let Some(slot) = out.get_mut(end) {
                *slot = *shape;
            }
            end += usize::from(self.counts_of(*shape).0);
        }
        out.truncate(end);
    }

    /// Where no document has more than one value: every document writes, and who has a value moves on.
    fn single_parents(&self, shapes: &[u32], codes: &[u32], out: &mut Vec<u32>) -> Result<()> {
        let (start, mut end, mut next) = (out.len(), out.len(), 0);
        out.resize(start + shapes.len(), 0);
        for shape in shapes {
            let (own, of_parent) = self.counts_of(*shape);
            let code = codes.get(next).copied().unwrap_or(self.nothing);
            if let Some(slot) = out.get_mut(end) {
                *slot = if of_parent == 0 { self.nothing } else { code };
            }
            end += usize::from(own);
            next += usize::from(of_parent);
        }
        out.truncate(end);
        if next > codes.len() { Err(Error::corrupt("a column has too few values").expected(next, codes.len())) } else { Ok(()) }
    }

    fn many_parents(&self, shapes: &[u32], codes: &[u32], out: &mut Vec<u32>) -> Result<()> {
        let mut next = 0;
        for shape in shapes {
            let (own, of_parent) = self.counts_of(*shape);
            let end = next + usize::from(of_parent);
            let Some(codes) = codes.get(next..end) else { return Err(Error::corrupt("a column has too few values")) };
            next = end;
            out.extend((0..usize::from(own)).map(|at| codes.get(at).copied().unwrap_or(self.nothing)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Values go with those at the same place of the same document, whichever way they are counted out.
        #[test]
        fn values_go_with_those_of_their_document(
            shapes in prop::collection::vec(prop::collection::vec(0u32..3, 0..5), 1..6),
            documents in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
            many: bool,
        ) {
            let single = |columns: &Vec<u32>| if many { columns.clone() } else { (0..3).filter(|c| columns.contains(c)).collect::<Vec<u32>>() };
            let shapes: Vec<Vec<u32>> = shapes.iter().map(single).collect();
            let documents: Vec<u32> = documents.iter().map(|at| at.index(shapes.len()) as u32).collect();
            let of = |parent| Prediction::new(1, parent, 900, shapes.iter().map(Vec::as_slice));
            let (mut codes, mut expected, mut expected_shapes) = (Vec::new(), Vec::new(), Vec::new());
            for shape in &documents {
                let columns = &shapes[*shape as usize];
                let own: Vec<u32> = columns.iter().filter(|c| **c == 2).map(|_| 7).enumerate().map(|(at, _)| (codes.len() + at) as u32).collect();
                let values = columns.iter().filter(|c| **c == 1).count();
                expected.extend((0..values).map(|at| own.get(at).copied().unwrap_or(900)));
                expected_shapes.extend((0..values).map(|_| *shape));
                codes.extend(own);
            }
            let (mut parents, mut shape_parents) = (Vec::new(), Vec::new());
            of(Some(2)).parents(&documents, &codes, &mut parents).unwrap();
            of(None).parents(&documents, &[], &mut shape_parents).unwrap();
            prop_assert_eq!(parents, expected);
            prop_assert_eq!(shape_parents, expected_shapes);
            prop_assert!(of(None).parents(&[shapes.len() as u32], &[], &mut Vec::new()).is_err());
            if !codes.is_empty() {
                prop_assert!(of(Some(2)).parents(&documents, &codes[1..], &mut Vec::new()).is_err());
            }
        }
    }
}
