//! [`Order`]: which document of which input becomes which document of the merged segment.
//!
//! Inputs come in the order of their sequences, and within each of them documents are in the order of event time and sequence. So the
//! order of all is a merge of their times alone; of equal times, those of the earlier input come first.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::documents::timestamps::{Timestamps, TimestampsWriter};
use crate::segment::merge::breath::Breath;
use crate::segment::read::opened::Segment;

/// The order of the merged segment: 5 bytes a document.
#[derive(Debug)]
pub(super) struct Order {
    /// For each new document its input, whose documents are used up one after the other.
    sources: Vec<u8>,
    /// For each input, for each of its documents the new one.
    moved: Vec<Vec<u32>>,
}

impl Order {
    /// Merges the times of at most 256 inputs, which it hands to `merged`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] for times that are out of order or have another number than the documents; what `breathe` gives.
    pub(super) fn new(inputs: &[Arc<Segment>], merged: &mut TimestampsWriter, breathe: &mut Breath<'_>) -> Result<Order> {
        let mut times: Vec<Times<'_>> = inputs.iter().map(Times::new).collect::<Result<_>>()?;
        let documents = inputs.iter().map(|input| input.meta().documents as usize);
        let mut order = Order { sources: Vec::with_capacity(documents.clone().sum()), moved: documents.map(Vec::with_capacity).collect() };
        while let Some((input, end)) = first_of(&mut times) {
            let (Some(times), Some(moved)) = (times.get_mut(input), order.moved.get_mut(input)) else { break };
            while let Some(time) = times.peek().filter(|time| end.is_none_or(|end| (*time, input) < end)) {
                times.next(time)?;
                merged.push(time);
                moved.push(order.sources.len() as u32);
                order.sources.push(input as u8);
                if order.sources.len().is_multiple_of(BLOCK_DOCUMENTS) {
                    breathe()?;
                }
            }
        }
        Ok(order)
    }

    /// How many documents there are.
    pub(super) fn documents(&self) -> u32 {
        self.sources.len() as u32
    }

    /// For each document of an input the new one.
    pub(super) fn moved(&self, input: usize) -> &[u32] {
        self.moved.get(input).map(Vec::as_slice).unwrap_or_default()
    }

    /// For each new block the inputs of its documents, and how many follow each other from one input.
    pub(super) fn blocks(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, usize)>> {
        let runs = |block: &'_ [u8]| -> Vec<(usize, usize)> {
            block.chunk_by(|a, b| a == b).filter_map(|run| Some((usize::from(*run.first()?), run.len()))).collect()
        };
        self.sources.chunks(BLOCK_DOCUMENTS).map(move |block| runs(block).into_iter())
    }
}

/// What orders documents of several inputs: time and input.
type Key = (i64, usize);

/// The input with the first key of all, and the least that any other has.
fn first_of(times: &mut [Times<'_>]) -> Option<(usize, Option<Key>)> {
    let (mut first, mut second): (Option<Key>, Option<Key>) = (None, None);
    for (input, times) in times.iter_mut().enumerate() {
        let Some(time) = times.peek() else { continue };
        let key = (time, input);
        if first.is_none_or(|first| key < first) {
            (first, second) = (Some(key), first);
        } else if second.is_none_or(|second| key < second) {
            second = Some(key);
        }
    }
    first.map(|(_, input)| (input, second))
}

/// The times of one input.
struct Times<'a> {
    input: &'a Segment,
    times: Timestamps<'a>,
    held: Vec<i64>,
    at: usize,
    next: u32,
    last: i64,
}

impl<'a> Times<'a> {
    fn new(input: &'a Arc<Segment>) -> Result<Times<'a>> {
        let times = input.timestamps()?;
        if times.len() != input.meta().documents {
            let error = Error::corrupt("wrong number of times").expected(input.meta().documents, times.len());
            return Err(input.locate(error.in_component("timestamps")));
        }
        Ok(Times { input, times, held: Vec::with_capacity(BLOCK_DOCUMENTS), at: 0, next: 0, last: i64::MIN })
    }

    #[inline]
    fn peek(&mut self) -> Option<i64> {
        if self.at == self.held.len() {
            let end = self.next.saturating_add(BLOCK_DOCUMENTS as u32).min(self.times.len());
            self.held.clear();
            self.times.for_range(self.next..end, |_, time| self.held.push(time));
            (self.at, self.next) = (0, end);
        }
        self.held.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self, time: i64) -> Result<()> {
        if time < self.last {
            return Err(self.input.locate(Error::corrupt("the event times are out of order").in_component("timestamps")));
        }
        self.last = time;
        self.at += 1;
        Ok(())
    }
}
