//! Which columns of a new segment are predicted, and from which.
//!
//! Some blocks of the segment are looked at: in half of them every column of codes is learned from every other and from the shapes, in
//! the rest what that gets wrong is counted. The best pairs are taken first, as long as no column comes to be predicted from itself. Then the
//! maps are learned from all documents.

use crate::error::Result;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::ColumnEntry;
use crate::segment::block::predicted;
use crate::segment::block::predictions::{CHAIN_MAX, Prediction, map_bytes};
use crate::segment::write::plan_columns::{ColumnPlan, is_recurring};
use crate::shred::Shreds;

/// How many blocks are learned from, and how many what was learned is tried on.
const LEARNED_BLOCKS: usize = 3;
const TRIED_BLOCKS: usize = 2;

/// A prediction must save so many bytes a block at least: expanding one costs some 5 us more than unfolding plain codes.
const GAIN_BYTES: f64 = 256.0;

/// Of the values that are tried one in so many must have a known code of the parent.
const KNOWN_SHARE: u32 = 16;

/// A column that may be predicted, or predict.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    column: u32,
    codes: u32,
    /// How many values it has in the segment.
    values: u64,
}

/// Codes by column, and shapes, of some documents.
struct Sample {
    shapes: Vec<u32>,
    codes: Vec<Vec<u32>>,
}

/// A child, a parent and what the one saves with the other, in bytes.
pub(crate) type Pair = (f64, usize, Option<usize>);

/// The predictions of a segment, ascending by column, each with its map between ordinals. `order` has the documents in their new order.
pub(crate) fn plan(shreds: &Shreds, columns: &ColumnPlan, order: &[u32]) -> Vec<(Prediction, Vec<u32>)> {
    let values = |column| shreds.columns.get(column).map_or(0, |state| state.count);
    let is_candidate = |column: u32, entry: &ColumnEntry| {
        // A column that hardly recurs is of codes because a dimension has its terms: a map of them would be as large as what it saves.
        entry.encoding == Encoding::Codes && columns.units.is_alone(column) && is_recurring(shreds, column)
    };
    let fits = (0u32..).zip(&columns.entries).filter(|(column, entry)| is_candidate(*column, entry));
    let candidates: Vec<Candidate> =
        fits.map(|(column, entry)| Candidate { column, codes: entry.terms.1, values: values(column) }).collect();
    let chosen = choose(shreds, &candidates, order);
    let maps = learn(shreds, &chosen);
    let ordinals = |column: u32| columns.ordinals.get(column as usize).map(Vec::as_slice);
    let with_map = |(prediction, map): (Prediction, Map)| {
        let map = between_ordinals(&map, prediction.parent.and_then(ordinals), ordinals(prediction.column).unwrap_or_default());
        (prediction, map)
    };
    chosen.into_iter().zip(maps).map(with_map).collect()
}

/// Chooses predictions among the candidates, ascending by column.
fn choose(shreds: &Shreds, candidates: &[Candidate], order: &[u32]) -> Vec<Prediction> {
    let blocks = order.len().div_ceil(BLOCK_DOCUMENTS);
    let tried: Vec<usize> = spread(blocks, TRIED_BLOCKS, 1);
    let learned: Vec<usize> = spread(blocks, LEARNED_BLOCKS, 0).into_iter().filter(|block| blocks == 1 || !tried.contains(block)).collect();
    let read = |chosen: &[usize]| -> Vec<Sample> { chosen.iter().map(|block| Sample::read(shreds, candidates, order, *block)).collect() };
    let (learned, tried) = (read(&learned), read(&tried));
    let mut pairs = Vec::new();
    let parents: Vec<Option<usize>> = std::iter::once(None).chain((0..candidates.len()).map(Some)).collect();
    for child in 0..candidates.len() {
        let bits = code_bits(candidates, child, &learned);
        for parent in parents.iter().filter(|parent| **parent != Some(child)) {
            let prediction = prediction(shreds, candidates, child, *parent);
            let gain = gain(&prediction, (candidates, child, *parent), bits, (&learned, &tried));
            if gain > GAIN_BYTES * blocks as f64 {
                pairs.push((gain, child, *parent));
            }
        }
    }
    let mut chosen: Vec<Prediction> =
        take_best(pairs, candidates.len()).into_iter().map(|(child, parent)| prediction(shreds, candidates, child, parent)).collect();
    chosen.sort_unstable_by_key(|prediction| prediction.column);
    chosen
}

/// So many of the blocks, evenly spread.
fn spread(blocks: usize, wanted: usize, shift: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> =
        (0..wanted).map(|at| (blocks * (2 * at + 1) / (2 * wanted) + shift).min(blocks.saturating_sub(1))).collect();
    chosen.dedup();
    chosen
}

fn prediction(shreds: &Shreds, candidates: &[Candidate], child: usize, parent: Option<usize>) -> Prediction {
    let column = candidates.get(child).map_or(0, |candidate| candidate.column);
    let parent = parent.and_then(|parent| candidates.get(parent));
    let codes = parent.map_or(shreds.shapes().len() as u32, |parent| parent.codes);
    Prediction::new(column, parent.map(|parent| parent.column), codes, shreds.shapes().iter().map(|shape| &*shape.columns))
}

impl Sample {
    fn read(shreds: &Shreds, candidates: &[Candidate], order: &[u32], block: usize) -> Sample {
        let mut place = vec![usize::MAX; shreds.paths().len()];
        for (at, candidate) in candidates.iter().enumerate() {
            place.get_mut(candidate.column as usize).into_iter().for_each(|slot| *slot = at);
        }
        let mut sample = Sample { shapes: Vec::new(), codes: vec![Vec::new(); candidates.len()] };
        for document in order.iter().skip(block * BLOCK_DOCUMENTS).take(BLOCK_DOCUMENTS) {
            let (shape, row) = shreds.row(*document);
            sample.shapes.push(shape);
            let columns = shreds.shapes().get(shape as usize).map(|s| &*s.columns).unwrap_or_default();
            for (column, code) in columns.iter().zip(row) {
                if let Some(codes) = place.get(*column as usize).and_then(|at| sample.codes.get_mut(*at)) {
                    codes.push(*code);
                }
            }
        }
        sample
    }

    fn of(&self, candidate: usize) -> &[u32] {
        self.codes.get(candidate).map(Vec::as_slice).unwrap_or_default()
    }

    fn parents(&self, prediction: &Prediction, parent: Option<usize>, out: &mut Vec<u32>) -> bool {
        out.clear();
        let codes = parent.map(|parent| self.of(parent)).unwrap_or_default();
        prediction.parents(&self.shapes, codes, out).is_ok()
    }
}

/// About how many bits a code takes where it is stored: the entropy of the codes in the sample.
fn code_bits(candidates: &[Candidate], child: usize, sample: &[Sample]) -> f64 {
    let mut counts = vec![0u32; candidates.get(child).map_or(0, |candidate| candidate.codes as usize)];
    let mut all = 0u32;
    for code in sample.iter().flat_map(|sample| sample.of(child)) {
        counts.get_mut(*code as usize).into_iter().for_each(|count| *count += 1);
        all += 1;
    }
    let share = |count: u32| f64::from(count) / f64::from(all.max(1));
    counts.into_iter().filter(|count| *count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

/// How many bytes a prediction saves in the segment, about.
fn gain(
    prediction: &Prediction,
    (candidates, child, parent): (&[Candidate], usize, Option<usize>),
    bits: f64,
    (learned, tried): (&[Sample], &[Sample]),
) -> f64 {
    let (mut map, mut parents) = (Map::new(prediction.entries()), Vec::new());
    for sample in learned {
        if sample.parents(prediction, parent, &mut parents) {
            sample.of(child).iter().zip(&parents).for_each(|(code, parent)| map.learn(*parent, *code));
        }
    }
    let (mut missed, mut known, mut all) = (0, 0, 0);
    for sample in tried {
        if sample.parents(prediction, parent, &mut parents) {
            let (m, k) = predicted::misses(sample.of(child), &parents, |parent| map.get(parent));
            (missed, known, all) = (missed + m, known + k, all + sample.of(child).len() as u32);
        }
    }
    if known == 0 || known < all / KNOWN_SHARE {
        return 0.0;
    }
    let rate = f64::from(missed) / f64::from(known);
    let flag_bits = if missed == 0 || missed == known { 0.0 } else { -rate * rate.log2() - (1.0 - rate) * (1.0 - rate).log2() };
    let (values, codes) = candidates.get(child).map_or((0.0, 0), |candidate| (candidate.values as f64, candidate.codes));
    values * (bits - flag_bits - rate * bits) / 8.0 - map_bytes(prediction.entries(), codes) as f64
}

/// The pairs that save most, none of which closes a circle or makes a chain too long.
pub(crate) fn take_best(mut pairs: Vec<Pair>, candidates: usize) -> Vec<(usize, Option<usize>)> {
    pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let mut parent_of: Vec<Option<Option<usize>>> = vec![None; candidates];
    for (_, child, parent) in pairs {
        let is_free = parent_of.get(child).is_some_and(Option::is_none);
        if let (true, Some(slot)) = (is_free, parent_of.get_mut(child)) {
            *slot = Some(parent);
            if !are_chains_short(&parent_of)
                && let Some(slot) = parent_of.get_mut(child)
            {
                *slot = None;
            }
        }
    }
    parent_of.into_iter().enumerate().filter_map(|(child, parent)| Some((child, parent?))).collect()
}

fn are_chains_short(parent_of: &[Option<Option<usize>>]) -> bool {
    let up = |at: &usize| parent_of.get(*at).copied().flatten().map(|parent| parent.unwrap_or(usize::MAX));
    (0..parent_of.len()).all(|start| std::iter::successors(Some(start), up).take(CHAIN_MAX + 2).count() <= CHAIN_MAX + 1)
}

/// For each code of a parent the one that most of its values go with, if one does (R. S. Boyer and J. S. Moore, "MJRTY").
#[derive(Debug)]
struct Map(Vec<(u32, u32)>);

impl Map {
    fn new(entries: usize) -> Map {
        Map(vec![(0, 0); entries])
    }

    #[inline]
    fn learn(&mut self, parent: u32, code: u32) {
        let Some((known, votes)) = self.0.get_mut(parent as usize) else { return };
        match *votes {
            0 => (*known, *votes) = (code, 1),
            _ if *known == code => *votes += 1,
            _ => *votes -= 1,
        }
    }

    fn get(&self, parent: u32) -> Option<u32> {
        self.0.get(parent as usize).filter(|(_, votes)| *votes > 0).map(|(code, _)| *code)
    }
}

/// Learns the maps of predictions from all documents: between the codes in the shreds.
fn learn(shreds: &Shreds, predictions: &[Prediction]) -> Vec<Map> {
    let mut maps: Vec<Map> = predictions.iter().map(|prediction| Map::new(prediction.entries())).collect();
    // For every shape and prediction the places of the values that go with each other.
    let slots: Vec<Vec<(usize, usize, Option<usize>)>> = shreds.shapes().iter().map(|shape| slots(&shape.columns, predictions)).collect();
    for document in 0..shreds.len() {
        let (shape, row) = shreds.row(document);
        for (at, child, parent) in slots.get(shape as usize).map(Vec::as_slice).unwrap_or_default() {
            let parent = parent.map_or(Some(shape), |parent| row.get(parent).copied());
            if let (Some(map), Some(code), Some(parent)) = (maps.get_mut(*at), row.get(*child), parent) {
                map.learn(parent, *code);
            }
        }
    }
    maps
}

fn slots(columns: &[u32], predictions: &[Prediction]) -> Vec<(usize, usize, Option<usize>)> {
    let places = |column: u32| columns.iter().enumerate().filter(move |(_, c)| **c == column).map(|(at, _)| at);
    let mut slots = Vec::new();
    for (at, prediction) in predictions.iter().enumerate() {
        let children = places(prediction.column);
        match prediction.parent {
            None => slots.extend(children.map(|child| (at, child, None))),
            Some(parent) => slots.extend(children.zip(places(parent)).map(|(child, parent)| (at, child, Some(parent)))),
        }
    }
    slots
}

/// A map between codes as one between ordinals; what was never seen goes with the first.
fn between_ordinals(map: &Map, parents: Option<&[u32]>, codes: &[u32]) -> Vec<u32> {
    let mut ordinals = vec![0; map.0.len()];
    let nothing = map.0.len().saturating_sub(1);
    for (parent, (code, _)) in map.0.iter().enumerate() {
        // Of the terms that a column refers to not all are values of the column: the map is longer than its codes are many.
        let at = match parents.map(|parents| parents.get(parent)) {
            Some(Some(ordinal)) => Some(*ordinal as usize),
            Some(None) if parent < nothing => None,
            _ => Some(parent),
        };
        if let (Some(slot), Some(code)) = (at.and_then(|at| ordinals.get_mut(at)), codes.get(*code as usize)) {
            *slot = *code;
        }
    }
    ordinals
}

/// Appends the chunk of a predicted column in a block of documents with these shapes; `codes_of` gives the codes of a column in the block.
pub(crate) fn encode_predicted(
    (prediction, map): &(Prediction, Vec<u32>),
    shapes: &[u64],
    codes_of: impl Fn(u32) -> Vec<u32>,
    raw: &mut Vec<u8>,
) -> Result<()> {
    let codes = codes_of(prediction.column);
    if codes.is_empty() {
        return Ok(());
    }
    let (of_parent, mut parents) = (prediction.parent.map(&codes_of).unwrap_or_default(), Vec::with_capacity(codes.len()));
    let shapes: Vec<u32> = shapes.iter().map(|shape| u32::try_from(*shape).unwrap_or(u32::MAX)).collect();
    prediction.parents(&shapes, &of_parent, &mut parents)?;
    predicted::encode(&codes, &parents, |parent| map.get(parent as usize).copied().unwrap_or(0), raw);
    Ok(())
}
