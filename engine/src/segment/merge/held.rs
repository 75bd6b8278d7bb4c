//! [`Held`]: columns that refer to the terms of a dimension do so in the merged segment too.
//!
//! Where all inputs that have a column refer to the same dimension, the merged terms of that dimension hold all its values. An input that
//! has few values has terms of its own, most often one; these are looked for. Where one of them is missing, or an input has strings, the
//! column is planned as if the terms were its own.

use std::sync::Arc;

use crate::error::Result;
use crate::event::scan::Class;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::ColumnEntry;
use crate::segment::merge::terms::{Places, Terms};
use crate::segment::merge::united::UnitedColumn;
use crate::segment::merge::ways::Way;
use crate::segment::meta::DimensionEntry;
use crate::segment::read::opened::Segment;

/// The dimensions of the inputs and of the merged segment.
pub(super) struct Held<'a> {
    pub(super) inputs: &'a [Arc<Segment>],
    /// Those of the merged segment.
    pub(super) dimensions: &'a [DimensionEntry],
    /// For each dimension and input, where its terms went.
    pub(super) places: &'a [Vec<Places>],
}

impl Held<'_> {
    /// The merged column and the ways to it, if a dimension holds its terms.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming the input.
    pub(super) fn plan(&self, column: &UnitedColumn<'_>, terms: &mut Terms<'_>) -> Result<Option<(ColumnEntry, Vec<Way>)>> {
        let is_open = |entry: &ColumnEntry| matches!(entry.encoding, Encoding::Constant | Encoding::Codes) && !entry.has_escapes;
        if column.path.class != Class::String || !column.sources.iter().all(|(_, _, entry)| is_open(entry)) {
            return Ok(None);
        }
        let Some(ordinal) = column.sources.iter().find_map(|(input, _, entry)| self.holder(*input, entry)) else { return Ok(None) };
        let mut ways = Vec::with_capacity(column.sources.len());
        for (input, _, entry) in &column.sources {
            let way = match self.holder(*input, entry) {
                Some(other) if other != ordinal => None,
                Some(_) => self.places_of(ordinal, *input).map(|places| Way::Codes(places.clone())),
                None => self.look_up((*input, entry), ordinal, terms)?,
            };
            let Some(way) = way else { return Ok(None) };
            ways.push(way);
        }
        let range = self.dimensions.get(ordinal).map_or(0..0, |dimension| dimension.terms.clone());
        let terms = (range.start, range.len() as u32);
        Ok(Some((ColumnEntry { path: column.path.clone(), encoding: Encoding::Codes, has_escapes: false, unit: 0, terms }, ways)))
    }

    /// Whether a column that no dimension holds refers to more terms, somewhere, than it could have for its own.
    pub(super) fn has_too_many_terms(&self, column: &UnitedColumn<'_>) -> bool {
        let terms: u64 = column.sources.iter().map(|(_, _, entry)| u64::from(entry.terms.1)).sum();
        terms * 2 > column.values && column.sources.iter().any(|(input, _, entry)| self.holder(*input, entry).is_some())
    }

    /// The dimension whose terms an input's column refers to.
    fn holder(&self, input: usize, entry: &ColumnEntry) -> Option<usize> {
        let own = entry.terms.0..entry.terms.0.saturating_add(entry.terms.1);
        let dimensions = self.inputs.get(input)?.dimensions();
        dimensions.iter().position(|dimension| entry.encoding == Encoding::Codes && !own.is_empty() && dimension.terms == own)
    }

    fn places_of(&self, dimension: usize, input: usize) -> Option<&Places> {
        self.places.get(dimension)?.get(input)
    }

    /// The way of a column with terms of its own; `None` when the dimension does not have all of them.
    fn look_up(&self, (input, entry): (usize, &ColumnEntry), ordinal: usize, terms: &mut Terms<'_>) -> Result<Option<Way>> {
        let Some((segment, places)) = self.inputs.get(input).zip(self.places_of(ordinal, input)) else { return Ok(None) };
        let range = segment.dimensions().get(ordinal).map_or(0..0, |dimension| dimension.terms.clone());
        let (mut own, mut found) = (Vec::new(), Vec::with_capacity(entry.terms.1 as usize));
        terms.for_each(input, entry.terms.0..entry.terms.0.saturating_add(entry.terms.1), |term| own.push(term.to_vec()))?;
        let dictionary = segment.dictionary().map_err(|e| segment.locate(e))?;
        for term in own {
            let at = dictionary.find_in(range.clone(), &term).map_err(|e| segment.locate(e))?;
            let Some(place) = at.and_then(|at| places.get((at - range.start) as usize)) else { return Ok(None) };
            found.push(*place);
        }
        Ok(match (entry.encoding, found.first()) {
            (Encoding::Constant, Some(code)) => Some(Way::Code(*code)),
            (Encoding::Codes, _) => Some(Way::Codes(Arc::new(found))),
            _ => None,
        })
    }
}
