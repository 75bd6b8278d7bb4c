//! The terms of the keyword dimensions in the dictionary, and the columns that refer to them.
//!
//! A column whose path fills a dimension has the dimension's terms for its values, most often all of them: written twice they would be the
//! largest part of the dictionary, and where few of them recur, of the blocks. So such a column has no terms of its own; its codes are
//! places among those of the dimension.

use std::ops::Range;

use crate::error::Result;
use crate::event::scan::Class;
use crate::segment::dictionary::writer::DictionaryWriter;
use crate::segment::write::input::{DimensionInput, EntriesInput};
use crate::segment::write::sorted::sorted;
use crate::shred::{Columns, Shreds};

/// How many values are looked up before all are.
const SAMPLE: usize = 64;

/// A dimension has at most so many terms for each value of a column that refers to them: codes far apart are longer than those of terms
/// of one's own.
const TERMS_A_VALUE: u32 = 8;

/// The terms of all dimensions of a new segment.
#[derive(Debug)]
pub(crate) struct DimensionTerms<'a> {
    dimensions: &'a [DimensionInput<'a>],
    terms: &'a Columns,
    places: Vec<TermPlaces>,
}

/// The terms of one dimension in the dictionary.
#[derive(Debug, Default)]
pub(crate) struct TermPlaces {
    /// Their ordinals.
    pub(crate) range: Range<u32>,
    /// Their codes, in the order of ordinals.
    pub(crate) codes: Vec<u32>,
    /// For each code its place in that order.
    ranks: Vec<u32>,
}

impl<'a> DimensionTerms<'a> {
    /// Pushes the terms of all dimensions to the dictionary.
    pub(crate) fn push(
        dimensions: &'a [DimensionInput<'a>],
        terms: &'a Columns,
        dictionary: &mut DictionaryWriter,
    ) -> Result<DimensionTerms<'a>> {
        let mut places = Vec::with_capacity(dimensions.len());
        for (ordinal, dimension) in (0u32..).zip(dimensions) {
            let first = dictionary.len();
            let mut own = TermPlaces { range: first..first, ..TermPlaces::default() };
            if let EntriesInput::Keyword(_) = dimension.entries {
                let sorted = sorted(terms.values(ordinal));
                own.ranks.resize(sorted.len(), 0);
                for ((term, code), rank) in sorted.into_iter().zip(0u32..) {
                    dictionary.push(term)?;
                    own.codes.push(code);
                    own.ranks.get_mut(code as usize).into_iter().for_each(|slot| *slot = rank);
                }
                own.range.end = dictionary.len();
            }
            places.push(own);
        }
        Ok(DimensionTerms { dimensions, terms, places })
    }

    /// Where the terms of a dimension are.
    pub(crate) fn of(&self, ordinal: usize) -> Option<&TermPlaces> {
        self.places.get(ordinal)
    }

    /// The terms that a column refers to, first and number, and for each code of the column its place among them; `None` where no dimension
    /// has all its values, or far more terms than these.
    pub(crate) fn hold(&self, shreds: &Shreds, column: u32) -> Option<((u32, u32), Vec<u32>)> {
        let path = shreds.paths().get(column as usize)?;
        // Terms are decoded, values are as they were written.
        if path.class != Class::String || shreds.columns.has_escapes(column) {
            return None;
        }
        let distinct = shreds.columns.get(column)?.distinct() as u32;
        let candidates = (0u32..).zip(self.dimensions).zip(&self.places).filter(|((_, dimension), places)| {
            places.range.len() as u32 <= distinct.saturating_mul(TERMS_A_VALUE) && dimension.paths.iter().any(|p| p.names(&path.path.steps))
        });
        candidates.min_by_key(|(_, places)| places.range.len()).and_then(|((ordinal, _), places)| {
            let rank = |value: &[u8]| places.ranks.get(self.terms.find(ordinal, value)? as usize).copied();
            let values = shreds.columns.values(column);
            values.clone().take(SAMPLE).all(|value| rank(value).is_some()).then_some(())?;
            let ranks: Vec<u32> = values.map(rank).collect::<Option<_>>()?;
            Some(((places.range.start, places.range.len() as u32), ranks))
        })
    }
}
