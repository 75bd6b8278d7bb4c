//! Exact retries: the same id and the same bytes within the retention window are stored once.
//!
//! Identical bytes have the identical event time, so only segments whose time range covers it are asked; an event without a readable
//! time has its receive time instead, so all segments that hold such events are asked. Copies in segments are looked for on the
//! caller's thread; copies in the heads, and in segments that came since, on the writer's, which alone sees every event in order.

use hashbrown::HashTable;

use crate::budget::Budget;
use crate::error::Result;
use crate::event::batch::{Batch, Prepared};
use crate::head::State;
use crate::lifecycle::live::parts::{LiveSegment, Parts};
use crate::mutants;
use crate::segment::read::gaps::pass_over_all;

/// For every event of a batch whether it is to be stored: not if the same stands earlier in the batch, or in one of the segments.
pub(crate) fn mark(batch: &Batch, parts: &Parts, budget: &Budget) -> Result<Vec<bool>> {
    let mut keep = vec![true; batch.len()];
    if batch.len() > 1 {
        mark_within(batch, &mut keep);
    }
    mark_in_segments(&parts.segments, batch, &mut keep, budget)?;
    Ok(keep)
}

/// Takes out the events that stand earlier in the batch.
fn mark_within(batch: &Batch, keep: &mut [bool]) {
    let mut seen: HashTable<(u64, &Prepared)> = HashTable::with_capacity(batch.len());
    for (event, keep) in batch.events.iter().zip(keep) {
        let Some(hash) = event.id_hash else { continue };
        let same = |(h, e): &(u64, &Prepared)| *h == hash && batch.text_of(e) == batch.text_of(event);
        *keep = seen.find(hash, same).is_none();
        if *keep {
            seen.insert_unique(hash, (hash, event), |(hash, _)| *hash);
        }
    }
}

/// Takes out the events that one of the segments has; returns whether there were any. Damage is noted in the budget.
///
/// The candidates of a segment are fetched together: retries come in the order of the first try, so a block serves many of them.
pub(crate) fn mark_in_segments(segments: &[LiveSegment], batch: &Batch, keep: &mut [bool], budget: &Budget) -> Result<bool> {
    let mut found = false;
    for live in segments.iter().rev() {
        let Some(segment) = live.segment.as_ref().filter(|_| !mutants::is("copies_in_segments_stored")) else { continue };
        let any_without_time = !segment.meta().without_time.is_empty();
        let covers = |event: &Prepared| match event.time {
            Some(time) => live.entry.time_min <= time && time <= live.entry.time_max,
            None => any_without_time,
        };
        let asked = batch.events.iter().enumerate().filter(|(at, e)| keep.get(*at) == Some(&true) && covers(e));
        let hashes: Vec<(u64, usize)> = asked.filter_map(|(at, event)| Some((event.id_hash?, at))).collect();
        // What cannot be read is no copy: the event is stored again, which is better than lost.
        let candidates = match segment.with_id_hashes(&hashes, |at| batch.events.get(at).map_or(&[], |event| batch.text_of(event)), budget)
        {
            Ok(candidates) => candidates,
            Err(error) => {
                pass_over_all(segment, error, budget)?;
                continue;
            }
        };
        for (at, text) in candidates {
            let same = batch.events.get(at).is_some_and(|event| batch.text_of(event) == text);
            if let (Some(keep), true) = (keep.get_mut(at), same) {
                *keep = false;
                found = true;
            }
        }
    }
    Ok(found)
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
