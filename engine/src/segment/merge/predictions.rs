//! Which columns of the merged segment are predicted: those of the inputs, each from what it is predicted from in most of them.
//!
//! A map knows what the maps of the inputs know; where they differ, the first is right. Nothing is learned again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Result;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::predictions::Prediction;
use crate::segment::merge::plan::Plan;
use crate::segment::merge::united::United;
use crate::segment::merge::ways::Way;
use crate::segment::read::opened::Segment;
use crate::segment::write::predictions::take_best;

/// In place of a code that no input knows.
const UNKNOWN: u32 = u32::MAX;

/// A column and what it is predicted from, by their new numbers.
type Pair = (u32, Option<u32>);

/// The predictions of the merged segment, ascending by column, each with its map.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the input.
pub(super) fn plan(inputs: &[Arc<Segment>], united: &United<'_>, plan: &Plan) -> Result<Vec<(Prediction, Vec<u32>)>> {
    let mut votes: HashMap<Pair, u64, foldhash::fast::FixedState> = HashMap::default();
    for (number, input) in inputs.iter().enumerate() {
        for (prediction, _) in input.predictions()?.iter() {
            if let Some(pair) = renumbered(prediction, number, united).filter(|pair| may_stand(*pair, plan)) {
                *votes.entry(pair).or_default() += u64::from(input.meta().documents);
            }
        }
    }
    let pairs = votes.into_iter().map(|((column, parent), votes)| (votes as f64, column as usize, parent.map(|parent| parent as usize)));
    let mut predictions = Vec::new();
    for (column, parent) in take_best(pairs.collect(), plan.entries.len()) {
        let pair = (column as u32, parent.map(|parent| parent as u32));
        let codes = parent.map_or(united.shapes.len() as u32, |parent| plan.entries.get(parent).map_or(0, |entry| entry.terms.1));
        let prediction = Prediction::new(pair.0, pair.1, codes, united.shapes.iter().map(|shape| &*shape.columns));
        let map = map(inputs, (united, plan), pair, prediction.entries())?;
        predictions.push((prediction, map));
    }
    Ok(predictions)
}

fn renumbered(prediction: &Prediction, input: usize, united: &United<'_>) -> Option<Pair> {
    let columns = &united.inputs.get(input)?.columns;
    let parent = prediction.parent.map(|parent| columns.get(parent as usize).copied());
    Some((*columns.get(prediction.column as usize)?, if let Some(parent) = parent { Some(parent?) } else { None }))
}

fn may_stand((column, parent): Pair, plan: &Plan) -> bool {
    let fits = |column: u32| {
        let entry = plan.entries.get(column as usize);
        entry.is_some_and(|entry| entry.encoding == Encoding::Codes) && plan.units.is_alone(column)
    };
    fits(column) && parent.is_none_or(fits)
}

fn map(inputs: &[Arc<Segment>], (united, plan): (&United<'_>, &Plan), pair: Pair, entries: usize) -> Result<Vec<u32>> {
    let mut codes = vec![UNKNOWN; entries];
    for (number, input) in inputs.iter().enumerate() {
        let same = input.predictions()?.iter().find(|(prediction, _)| renumbered(prediction, number, united) == Some(pair));
        let Some((prediction, known)) = same else { continue };
        let way = |column: u32| match plan.ways.get(number).and_then(|ways| ways.get(column as usize)) {
            Some(Way::Codes(places)) => places.as_slice(),
            _ => &[],
        };
        let places = way(prediction.column);
        let parents = match prediction.parent {
            Some(parent) => way(parent),
            None => united.inputs.get(number).map(|input| input.shapes.as_slice()).unwrap_or_default(),
        };
        // What goes with nothing stands at the end of either map.
        let ends = (prediction.entries() - 1, entries as u32 - 1);
        for (at, to) in parents.iter().copied().enumerate().chain([(ends.0, ends.1)]) {
            let slot = codes.get_mut(to as usize).filter(|slot| **slot == UNKNOWN);
            if let (Some(slot), Some(code)) = (slot, known.get(at).and_then(|code| places.get(*code as usize))) {
                *slot = *code;
            }
        }
    }
    codes.iter_mut().filter(|code| **code == UNKNOWN).for_each(|code| *code = 0);
    Ok(codes)
}
