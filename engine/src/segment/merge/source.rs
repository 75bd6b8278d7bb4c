//! [`Source`]: an input that is read block by block, its values already in the form of the merged segment.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::block::predicted;
use crate::segment::block::predictions::Predictions;
use crate::segment::block::strings::{Place, StringValues};
use crate::segment::block::units::{Block, BlockDirectory, for_each_shared};
use crate::segment::dictionary::walk::TermWalk;
use crate::segment::merge::united::Renumbered;
use crate::segment::merge::values::Values;
use crate::segment::merge::ways::Way;
use crate::segment::read::opened::Segment;

/// From so few documents on they are taken one by one.
const ONE_BY_ONE: usize = 2;

/// An input with its open block.
pub(super) struct Source<'a> {
    segment: &'a Segment,
    layout: &'a Layout,
    renumbered: &'a Renumbered,
    ways: &'a [Way],
    directory: &'a BlockDirectory<'a>,
    terms: TermWalk<'a>,
    next_block: usize,
    /// The shapes of the open block's documents, and how many of them are taken.
    shapes: Vec<u32>,
    taken: usize,
    columns: Vec<Held>,
    counts: Vec<u32>,
    raw: Vec<u8>,
    strings: StringValues,
    predictions: &'a Predictions,
    /// The units, each behind those that it is predicted from.
    order: Vec<u32>,
    /// The codes in the open block of columns from which others are predicted.
    parents: HashMap<u32, Vec<u32>, foldhash::fast::FixedState>,
}

/// The values of a column in the open block.
#[derive(Debug, Default)]
struct Held {
    values: Values,
    /// The next value.
    place: Place,
    /// How many values it has in the block, those of constants included.
    count: u32,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        segment: &'a Segment,
        directory: &'a BlockDirectory<'a>,
        renumbered: &'a Renumbered,
        ways: &'a [Way],
        encodings: &[Encoding],
    ) -> Result<Source<'a>> {
        let layout = segment.layout()?;
        let encoding = |column: &u32| encodings.get(*column as usize).copied().unwrap_or(Encoding::Constant);
        let held = |column: &u32| Held { values: Values::of(encoding(column)), ..Held::default() };
        let predictions = segment.predictions()?;
        let of_parent = |parent: u32| (parent, Vec::new());
        Ok(Source {
            predictions,
            order: in_order(layout, predictions),
            parents: predictions.iter().filter_map(|(prediction, _)| prediction.parent).map(of_parent).collect(),
            segment,
            layout,
            renumbered,
            ways,
            directory,
            terms: TermWalk::new(segment.dictionary()?),
            next_block: 0,
            shapes: Vec::new(),
            taken: 0,
            columns: renumbered.columns.iter().map(held).collect(),
            counts: vec![0; renumbered.columns.len()],
            raw: Vec::new(),
            strings: StringValues::default(),
        })
    }

    /// Takes the next documents: appends their shapes and values to those of the merged columns.
    pub(super) fn take(&mut self, mut count: usize, shapes: &mut Vec<u64>, columns: &mut [Values]) -> Result<()> {
        while count > 0 {
            if self.taken == self.shapes.len() {
                self.open_next().map_err(|e| self.segment.locate(e))?;
            }
            let now = count.min(self.shapes.len() - self.taken);
            self.take_from_block(now, shapes, columns);
            count -= now;
        }
        Ok(())
    }

    fn take_from_block(&mut self, count: usize, shapes: &mut Vec<u64>, columns: &mut [Values]) {
        let taken = self.shapes.get(self.taken..self.taken + count).unwrap_or_default();
        shapes.extend(taken.iter().map(|shape| self.renumbered.shapes.get(*shape as usize).copied().map_or(u64::MAX, u64::from)));
        if count <= ONE_BY_ONE {
            for shape in taken {
                let slots = self.layout.shapes.get(*shape as usize).map(|shape| &*shape.columns).unwrap_or_default();
                for column in slots {
                    let Some(held) = self.columns.get_mut(*column as usize) else { continue };
                    held.move_on(1, self.renumbered.columns.get(*column as usize).and_then(|c| columns.get_mut(*c as usize)));
                }
            }
        } else {
            let all = count == self.shapes.len() - self.taken;
            if !all {
                count_values(self.layout, taken, &mut self.counts);
            }
            for ((held, united), counted) in self.columns.iter_mut().zip(&self.renumbered.columns).zip(&self.counts) {
                let moved = if all { held.count - held.place.value as u32 } else { *counted };
                if moved > 0 {
                    held.move_on(moved as usize, columns.get_mut(*united as usize));
                }
            }
        }
        self.taken += count;
    }

    /// Opens the next block: all its units are unfolded, and all its values brought into their new form.
    fn open_next(&mut self) -> Result<()> {
        let block = self.segment.block(self.directory, self.next_block)?;
        self.next_block += 1;
        self.taken = 0;
        self.shapes.clear();
        block.read_shapes(&mut self.raw, &mut self.shapes)?;
        if self.shapes.is_empty() || self.shapes.iter().any(|shape| *shape as usize >= self.layout.shapes.len()) {
            return Err(Error::corrupt("no such shape").in_component(format!("block {}", self.next_block - 1)));
        }
        count_values(self.layout, &self.shapes, &mut self.counts);
        for ((held, count), way) in self.columns.iter_mut().zip(&self.counts).zip(self.ways) {
            *held = Held { values: std::mem::take(&mut held.values), place: Place::default(), count: *count };
            held.values.clear();
            held.fill(way);
        }
        self.parents.values_mut().for_each(Vec::clear);
        let order = std::mem::take(&mut self.order);
        let layout = self.layout;
        for unit in &order {
            let columns = layout.units.get(*unit as usize).map(Vec::as_slice).unwrap_or_default();
            self.open_unit(block, *unit, columns)?;
        }
        self.order = order;
        let full = |held: &Held| matches!(held.values, Values::None) || held.values.len() == held.count as usize;
        match self.columns.iter().position(|held| !full(held)) {
            None => Ok(()),
            Some(column) => {
                let error = Error::corrupt("a column has another number of values than its documents");
                Err(error.in_component(format!("column {column} of block {}", self.next_block - 1)))
            }
        }
    }

    fn open_unit(&mut self, block: Block<'_>, unit: u32, columns: &[u32]) -> Result<()> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        let plain = block.unit(unit, &mut raw)?;
        match columns {
            [column] if raw.is_empty() => debug_assert!(self.counts.get(*column as usize).is_none_or(|count| *count == 0)),
            [column] => {
                self.expand(*column, &mut raw)?;
                self.open_chunk(*column, &raw, plain)?;
            }
            columns => for_each_shared(&raw, |place, chunk| match columns.get(place as usize) {
                Some(column) => self.open_chunk(*column, chunk, &[]),
                None => Err(Error::corrupt("a unit has a chunk of no column")),
            })?,
        }
        self.raw = raw;
        Ok(())
    }

    /// Brings the chunk of a predicted column into the form of one that is not, and keeps the codes that others are predicted from.
    fn expand(&mut self, column: u32, raw: &mut Vec<u8>) -> Result<()> {
        if let Some((prediction, map)) = self.predictions.find(column) {
            let codes = prediction.parent.and_then(|parent| self.parents.get(&parent)).map(Vec::as_slice).unwrap_or_default();
            let (mut parents, mut expanded) = (Vec::with_capacity(self.shapes.len()), Vec::new());
            prediction.parents(&self.shapes, codes, &mut parents)?;
            predicted::expand(raw, &parents, |parent| map.get(parent as usize).copied().unwrap_or(u32::MAX), &mut expanded)?;
            *raw = expanded;
        }
        if let Some(codes) = self.parents.get_mut(&column) {
            let count = self.counts.get(column as usize).map_or(0, |count| *count as usize);
            *codes = Chunk::read(Encoding::Codes, raw, &[], count)?.codes();
        }
        Ok(())
    }

    fn open_chunk(&mut self, column: u32, raw: &[u8], plain: &[u8]) -> Result<()> {
        let entry = self.layout.column(column)?;
        let (Some(held), Some(way)) = (self.columns.get_mut(column as usize), self.ways.get(column as usize)) else { return Ok(()) };
        if let (Way::Texts, Encoding::Strings, Values::Strings(strings)) = (way, entry.encoding, &mut held.values) {
            return strings.read(raw, plain);
        }
        if let (Way::Recurring(strings, codes), Values::Codes(out)) = (way, &mut held.values) {
            self.strings.clear();
            self.strings.read(raw, plain)?;
            self.strings.for_each(|value| {
                let code = strings.find(value).and_then(|number| codes.get(number as usize));
                out.extend(code);
            });
            return Ok(());
        }
        let chunk = Chunk::read(entry.encoding, raw, plain, held.count as usize)?;
        match (way, &mut held.values) {
            (Way::Codes(places), Values::Codes(codes)) => chunk.map_codes(places, codes),
            (Way::CodeNumbers(map), Values::Numbers(numbers)) => chunk.map_codes(map, numbers),
            (Way::Numbers, Values::Numbers(numbers)) => {
                numbers.extend_from_slice(chunk.numbers());
                Ok(())
            }
            (Way::Texts, Values::Strings(strings)) => {
                chunk.number_texts(strings);
                Ok(())
            }
            (Way::CodeTexts(first, count), Values::Strings(_)) => self.open_code_texts(column, &chunk, (*first, *count)),
            _ => Ok(()),
        }
    }

    /// Codes whose terms become values: each term of the block is read once.
    fn open_code_texts(&mut self, column: u32, chunk: &Chunk<'_>, (first, count): (u32, u32)) -> Result<()> {
        let mut codes = Vec::with_capacity(chunk.len());
        for index in 0..chunk.len() {
            let code = chunk.code(index).unwrap_or(u32::MAX);
            if code >= count {
                return Err(Error::corrupt("a code is not in the dictionary").expected(format_args!("below {count}"), code));
            }
            codes.push(code);
        }
        let mut distinct = codes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let (mut texts, mut ends) = (Vec::new(), vec![0]);
        for code in &distinct {
            self.terms.load(first.saturating_add(*code))?;
            texts.extend_from_slice(self.terms.term());
            ends.push(texts.len());
        }
        let Some(Held { values: Values::Strings(strings), .. }) = self.columns.get_mut(column as usize) else { return Ok(()) };
        for code in codes {
            let at = distinct.binary_search(&code).unwrap_or(0);
            let range = ends.get(at).copied().unwrap_or(0)..ends.get(at + 1).copied().unwrap_or(0);
            strings.push(texts.get(range).unwrap_or_default());
        }
        Ok(())
    }
}

/// The units of a segment, each behind those that it is predicted from.
fn in_order(layout: &Layout, predictions: &Predictions) -> Vec<u32> {
    let chain = |unit: &u32| match layout.units.get(*unit as usize).map(Vec::as_slice) {
        Some([column]) => predictions.chain(*column),
        _ => 0,
    };
    let mut units: Vec<u32> = (1..layout.units.len() as u32).collect();
    units.sort_by_key(chain);
    units
}

impl Held {
    fn move_on(&mut self, count: usize, to: Option<&mut Values>) {
        self.place = match to {
            Some(to) => to.append(&self.values, self.place, count),
            None => Place { value: self.place.value + count, ..self.place },
        };
    }

    /// The values of a column that has but one.
    fn fill(&mut self, way: &Way) {
        let count = self.count as usize;
        match (way, &mut self.values) {
            (Way::Code(code), Values::Codes(codes)) => codes.resize(count, *code),
            (Way::Number(number), Values::Numbers(numbers)) => numbers.resize(count, *number),
            (Way::Text(text), Values::Strings(strings)) => (0..count).for_each(|_| strings.push(text)),
            _ => {}
        }
    }
}

/// How many values documents of these shapes have in each column.
fn count_values(layout: &Layout, shapes: &[u32], counts: &mut [u32]) {
    counts.fill(0);
    let mut of_shapes = vec![0u32; layout.shapes.len()];
    for shape in shapes {
        if let Some(count) = of_shapes.get_mut(*shape as usize) {
            *count += 1;
        }
    }
    for (shape, count) in layout.shapes.iter().zip(of_shapes).filter(|(_, count)| *count > 0) {
        for column in &shape.columns {
            if let Some(counted) = counts.get_mut(*column as usize) {
                *counted += count;
            }
        }
    }
}
