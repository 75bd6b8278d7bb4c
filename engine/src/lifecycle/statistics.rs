//! What the log holds and has done, put together for the outside.

use std::sync::atomic::Ordering;

use crate::error::{ErrorKind, Result};
use crate::event::DimensionKind;
use crate::head::Entries;
use crate::id::Sequence;
use crate::lifecycle::live::shared::Shared;
use crate::status::{DimensionInfo, Health, SegmentInfo, Stats};

/// The segments, in sequence order.
pub(crate) fn segments(shared: &Shared) -> Vec<SegmentInfo> {
    let info = |live: &crate::lifecycle::live::parts::LiveSegment| SegmentInfo {
        id: live.entry.id,
        day: live.entry.day,
        first_sequence: live.entry.first_sequence,
        last_sequence: Sequence(live.entry.end_sequence().0.saturating_sub(1)),
        time_min: live.entry.time_min,
        time_max: live.entry.time_max,
        events: u64::from(live.entry.documents),
        event_bytes: live.entry.event_bytes,
        file_bytes: live.entry.file_bytes,
        sealed: live.entry.sealed,
        readable: live.segment.is_some(),
        crc32: live.entry.crc32,
    };
    shared.parts().segments.iter().map(info).collect()
}

/// The dimensions, with an upper bound of their distinct terms.
pub(crate) fn dimensions(shared: &Shared) -> Result<Vec<DimensionInfo>> {
    let parts = shared.parts();
    let schema = shared.extractor.schema();
    let mut infos = Vec::new();
    for (ordinal, dimension) in schema.dimensions.iter().enumerate() {
        let mut distinct_terms = 0u64;
        for segment in parts.readable() {
            if let Some((in_segment, entry)) = segment.dimension(&dimension.name) {
                distinct_terms += match entry.kind {
                    DimensionKind::Keyword => u64::from(entry.terms.end.saturating_sub(entry.terms.start)),
                    DimensionKind::Unique => segment.unique_index(in_segment).map_or_else(
                        |error| {
                            shared.problem(format!("the terms of `{}` are not counted: {error:?}", dimension.name));
                            0
                        },
                        |index| u64::from(index.len()),
                    ),
                };
            }
        }
        for head in parts.heads() {
            distinct_terms += match head.head.read().dimensions.get(ordinal).map(|d| &d.entries) {
                Some(Entries::Keyword(rows)) => rows.terms() as u64,
                Some(Entries::Unique(table)) => table.len() as u64,
                None => 0,
            };
        }
        let paths = schema.term_paths_of(&dimension.name).iter().map(ToString::to_string).collect();
        infos.push(DimensionInfo { dimension: dimension.clone(), paths, distinct_terms });
    }
    Ok(infos)
}

/// What the log holds and has done.
pub(crate) fn stats(shared: &Shared) -> Stats {
    let parts = shared.parts();
    let counters = &shared.counters;
    let mut stats = Stats {
        segments: parts.segments.len() as u64,
        journal_bytes: shared.journal_bytes.load(Ordering::Relaxed),
        appended_events: counters.appended_events.load(Ordering::Relaxed),
        appended_bytes: counters.appended_bytes.load(Ordering::Relaxed),
        duplicate_events: counters.duplicate_events.load(Ordering::Relaxed),
        commits: counters.commits.load(Ordering::Relaxed),
        flushes: counters.flushes.load(Ordering::Relaxed),
        compacted_segments: counters.compacted_segments.load(Ordering::Relaxed),
        expired_segments: counters.expired_segments.load(Ordering::Relaxed),
        held_bytes: shared.holding.held_bytes.load(Ordering::Relaxed),
        let_go_events: shared.holding.let_go_events.load(Ordering::Relaxed),
        quarantined: counters.quarantined.load(Ordering::Relaxed),
        ..Stats::default()
    };
    for live in &parts.segments {
        stats.segment_bytes += live.entry.file_bytes;
        if live.segment.is_some() {
            stats.events += u64::from(live.entry.documents);
            stats.event_bytes += live.entry.event_bytes;
            stats.first_sequence.get_or_insert(live.entry.first_sequence);
        }
        stats.last_sequence = Some(Sequence(live.entry.end_sequence().0.saturating_sub(1)));
    }
    for head in parts.heads() {
        let state = head.head.read();
        let documents = u64::from(state.documents());
        stats.head_events += documents;
        stats.head_bytes += state.bytes() as u64;
        stats.event_bytes += state.event_bytes;
        if documents > 0 {
            stats.first_sequence.get_or_insert(head.head.first_sequence);
            let last = Sequence(head.head.first_sequence.plus(documents).0.saturating_sub(1));
            stats.last_sequence = stats.last_sequence.max(Some(last));
        }
    }
    stats.events += stats.head_events;
    stats
}

/// Whether the log takes writes, and what an operator should look at.
pub(crate) fn health(shared: &Shared) -> Health {
    let (mut problems, disk_full) = shared.problems.list();
    let writable = match shared.queue.check() {
        Ok(()) => true,
        Err(error) if shared.options.read_only => {
            debug_assert!(error.kind() == ErrorKind::Closed);
            false
        }
        Err(error) => {
            problems.push(format!("no writes are taken: {error}"));
            false
        }
    };
    let lag = shared.trusted.lag();
    if lag > shared.options.clock_jump_max {
        let hours = lag.as_secs() / 3_600;
        problems.push(format!("the clock is {hours} hours ahead of what retention trusts; nothing is dropped before it has caught up"));
    }
    Health { writable, disk_full, problems }
}
