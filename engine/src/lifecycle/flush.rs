//! Flush: a frozen head becomes a segment.
//!
//! The file is written under a temporary name, synced and renamed; then the catalog names it; then it takes the head's place among the
//! parts. A crash before the catalog is replaced leaves a file that the next start removes, and the events in the journal.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::head::{DimensionState, Entries, State};
use crate::id::SegmentId;
use crate::lifecycle::live::catalog::{CatalogEntry, segment_name};
use crate::lifecycle::live::parts::{DayHead, LiveSegment, Parts};
use crate::lifecycle::live::queue::Task;
use crate::lifecycle::live::shared::{Counters, Shared};
use crate::mutants;
use crate::segment::Segment;
use crate::segment::cache::Caches;
use crate::segment::file::source::Source;
use crate::segment::write::input::{DimensionInput, EntriesInput, SegmentInput};
use crate::segment::write::segment::write;
use crate::storage::{File, Storage};

/// What a file that is not finished is called, behind the name it will have.
pub(crate) const PARTIAL: &str = ".partial";

/// Writes a head as a segment file and makes it durable; returns its entry for the catalog.
///
/// # Errors
/// What the disk says; the partial file is removed by the next start.
pub(crate) fn write_head(storage: &dyn Storage, head: &DayHead, id: SegmentId) -> Result<CatalogEntry> {
    let state = head.head.read();
    let input = SegmentInput {
        id,
        day: head.day,
        first_sequence: head.head.first_sequence,
        shreds: &state.shreds,
        times: &state.times,
        received: &state.received,
        without_time: &state.without_time,
        dimensions: state.dimensions.iter().map(dimension).collect(),
        terms: &state.terms,
        event_bytes: state.event_bytes,
    };
    let summary = write_durably(storage, id, |file, name| write(&input, file, name))?;
    Ok(entry(&state, head, id, summary.length, summary.crc32))
}

fn dimension(dimension: &DimensionState) -> DimensionInput<'_> {
    let entries = match &dimension.entries {
        Entries::Keyword(rows) => EntriesInput::Keyword(rows),
        Entries::Unique(table) => EntriesInput::Unique(table.iter().copied().collect()),
    };
    DimensionInput { name: &dimension.name, paths: &dimension.paths, entries }
}

/// Has a segment file written under a temporary name, syncs it, and gives it its name, durably.
///
/// # Errors
/// What `write` gives, and the disk says; the file may then be there under either name.
pub(crate) fn write_durably<T>(storage: &dyn Storage, id: SegmentId, write: impl FnOnce(Arc<dyn File>, &str) -> Result<T>) -> Result<T> {
    let name = segment_name(id);
    let partial = format!("{name}{PARTIAL}");
    let io = |what: &'static str| move |e: std::io::Error| Error::io(what, e);
    let file = storage.create(&partial).map_err(|e| io("cannot create a segment")(e).in_file(&partial))?;
    let written = write(file.clone(), &name)?;
    if !mutants::is("segment_sync_left_out") {
        file.sync().map_err(|e| io("cannot sync a segment")(e).in_file(&partial))?;
    }
    storage.rename(&partial, &name).map_err(|e| io("cannot rename a segment")(e).in_file(&partial))?;
    if !mutants::is("segment_directory_sync_left_out") {
        storage.sync_directory().map_err(io("cannot sync the directory"))?;
    }
    Ok(written)
}

fn entry(state: &State, head: &DayHead, id: SegmentId, file_bytes: u64, crc32: u32) -> CatalogEntry {
    CatalogEntry {
        id,
        day: head.day,
        first_sequence: head.head.first_sequence,
        documents: state.documents(),
        time_min: state.time_min,
        time_max: state.time_max,
        received_min: state.received.first().map_or_else(Default::default, |(_, at)| *at),
        received_max: state.received.last().map_or_else(Default::default, |(_, at)| *at),
        event_bytes: state.event_bytes,
        file_bytes,
        crc32,
        sealed: false,
    }
}

/// Opens a live segment.
pub(crate) fn open_segment(storage: &dyn Storage, entry: &CatalogEntry, caches: &Arc<Caches>) -> Result<Segment> {
    let name = entry.file_name();
    let source = Source::open(storage, &name)?;
    if source.len() != entry.file_bytes {
        return Err(Error::corrupt("a segment's length differs from the catalog's")
            .in_file(&name)
            .expected(entry.file_bytes, source.len()));
    }
    let segment = Segment::open(source, &name, caches.clone())?;
    if segment.id() != entry.id || segment.meta().documents != entry.documents || segment.meta().first_sequence != entry.first_sequence {
        return Err(Error::corrupt("a segment file is not the one that the catalog names").in_file(&name).expected(entry.id, segment.id()));
    }
    Ok(segment)
}

/// Flushes the oldest frozen head; returns whether there was one.
///
/// # Errors
/// What the disk says; the head stays, and the call may be repeated.
pub(crate) fn flush_one(shared: &Shared) -> Result<bool> {
    let Some(head) = shared.parts().frozen.first().cloned() else {
        return Ok(false);
    };
    let id = {
        let mut catalog = shared.catalog();
        let id = catalog.next_segment;
        catalog.next_segment = SegmentId(id.0 + 1);
        id
    };
    if mutants::is("journal_released_before_the_segment") {
        shared.queue.ask(Task::Release(head.head.first_sequence.plus(u64::from(head.head.read().documents()))));
    }
    let entry = write_head(&*shared.storage, &head, id)?;
    let segment = Arc::new(open_segment(&*shared.storage, &entry, &shared.caches)?);
    let end = entry.end_sequence();
    {
        let mut catalog = shared.catalog();
        let mut next = catalog.clone();
        next.segments.push(entry);
        next.segments.sort_by_key(|e| e.first_sequence);
        next.flushed_to = next.flushed_to.max(if mutants::is("flushed_to_too_high") { end.plus(1) } else { end });
        next.trusted_time = shared.trusted.now();
        shared.reserve.store(&next, &*shared.storage)?;
        *catalog = next;
        // Before the change is told: whoever waits for the flush, to close the log, wants the journal tidied too.
        shared.queue.ask(Task::Release(end));
        shared.change(|parts| {
            parts.frozen.retain(|frozen| !Arc::ptr_eq(&frozen.head, &head.head));
            add(parts, entry, segment);
        });
    }
    shared.spare.keep(head.head, shared.clock.elapsed());
    Counters::add(&shared.counters.flushes, 1);
    Ok(true)
}

/// Adds a segment to the parts, in the order of sequences.
pub(crate) fn add(parts: &mut Parts, entry: CatalogEntry, segment: Arc<Segment>) {
    parts.change += 1;
    let change = parts.change;
    parts.segments.push(LiveSegment { entry, segment: Some(segment), change });
    parts.segments.sort_by_key(|live| live.entry.first_sequence);
}
