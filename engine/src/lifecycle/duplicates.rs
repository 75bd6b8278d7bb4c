//! Exact retries: the same id and the same bytes within the retention window are stored once.
//!
//! Identical bytes have the identical event time, so only segments whose time range covers it are asked; an event without a readable
//! time has its receive time instead, so all segments that hold such events are asked. Copies in segments are looked for on the
//! caller's thread; copies in the heads, and in segments that came since, on the writer's, which alone sees every event in order.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::error::Result;
use crate::event::batch::{Batch, Prepared};
use crate::head::State;
use crate::lifecycle::parts::{LiveSegment, Parts};

/// For every event of a batch whether it is to be stored: not if the same stands earlier in the batch, or in one of the segments.
pub(crate) fn mark(batch: &Batch, parts: &Parts, budget: &Budget) -> Result<Vec<bool>> {
    let mut keep = vec![true; batch.len()];
    let mut seen: HashMap<u64, Vec<usize>, foldhash::fast::FixedState> = HashMap::default();
    for (at, event) in batch.events.iter().enumerate() {
        let Some(hash) = event.id_hash else { continue };
        let earlier = seen.entry(hash).or_default();
        let text = batch.text_of(event);
        let repeats = earlier.iter().any(|e| batch.events.get(*e).is_some_and(|e| batch.text_of(e) == text));
        if repeats || in_segments(&parts.segments, event, hash, text, budget)? {
            if let Some(slot) = keep.get_mut(at) {
                *slot = false;
            }
        } else {
            earlier.push(at);
        }
    }
    Ok(keep)
}

/// Whether one of the segments has the event.
pub(crate) fn in_segments(segments: &[LiveSegment], event: &Prepared, hash: u64, text: &[u8], budget: &Budget) -> Result<bool> {
    for live in segments.iter().rev() {
        let Some(segment) = &live.segment else { continue };
        let covers = match event.time {
            Some(time) => live.entry.time_min <= time && time <= live.entry.time_max,
            None => !segment.meta().without_time.is_empty(),
        };
        if covers && segment.with_id_hash(hash, budget)?.iter().any(|stored| stored == text) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a head has the event.
pub(crate) fn in_head(state: &State, hash: u64, text: &[u8]) -> bool {
    let mut stored = Vec::new();
    state.with_id_hash(hash).any(|document| {
        stored.clear();
        state.shreds.text(document, &mut stored);
        stored == text
    })
}
