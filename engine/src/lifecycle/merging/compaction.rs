//! Compaction: segments of one day that follow each other become one.
//!
//! It has a thread of its own, of lower priority than all others, and works in small steps: between two of them it rests, so that it
//! takes no more than its share of a core, and rests longer while a head waits to be flushed. The merged file is written and made durable like a flushed one;
//! then one catalog names it in place of its inputs; then they are removed. A crash before the catalog leaves a file that the next start
//! removes, one after it leaves the inputs, which the next start removes. Who still reads them has them open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{SegmentId, Timestamp};
use crate::lifecycle::flush::{PARTIAL, open_segment, write_durably};
use crate::lifecycle::live::catalog::{CatalogEntry, segment_name};
use crate::lifecycle::live::parts::{LiveSegment, Parts};
use crate::lifecycle::live::problems::Work;
use crate::lifecycle::live::shared::{Background, Counters, Shared};
use crate::lifecycle::merging::pace::Pace;
use crate::lifecycle::merging::steady::SteadyFile;
use crate::lifecycle::merging::tiers::{Largest, Size, choose};
use crate::lifecycle::seal::{is_day_over, is_full, seal_time};
use crate::mutants;
use crate::options::Options;
use crate::segment::Segment;
use crate::segment::merge::write::{INPUTS_MAX, may_join, merge};

/// How often there is a look at the clock when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait after an error of the system before the same is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Works until `stop` says so.
pub(crate) fn run(shared: &Shared, stop: &dyn Fn() -> bool) {
    let mut not_before = Duration::ZERO;
    loop {
        // Noted before the question: a signal to stop that comes behind it must end the wait.
        let signals = shared.signals();
        if stop() {
            return;
        }
        let may_try = shared.clock.elapsed() >= not_before;
        let Some(inputs) = may_try.then(|| next(shared)).flatten() else {
            if may_try {
                // What could not be merged has expired, or been merged otherwise.
                shared.problems.works(Work::Merge);
            }
            shared.rest(Background::Merge, signals, TICK);
            continue;
        };
        match compact(shared, &inputs, &mut Pace::new(shared, stop)) {
            Ok(()) => shared.problems.works(Work::Merge),
            Err(error) if error.kind() == ErrorKind::Cancelled => return,
            Err(error) => not_before = refuse(shared, &inputs, &error),
        }
    }
}

/// Remembers what cannot be merged; returns when the next merge may be tried.
fn refuse(shared: &Shared, inputs: &[LiveSegment], error: &Error) -> Duration {
    // What the system refused is over when the same goes well, such as when there is space again.
    if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Limit | ErrorKind::Invalid | ErrorKind::Unsupported) {
        shared.problems.fails(Work::Merge, error);
        return shared.clock.elapsed().saturating_add(RETRY);
    }
    // That segments are too many for one is no problem: they stay what they are.
    if error.kind() != ErrorKind::Limit {
        shared.problem(format!("segments could not be merged: {error:?}"));
    }
    // The damaged one, where it is known; the others may do without it.
    let damaged = inputs.iter().find(|live| error.path() == Some(live.entry.file_name().as_str()));
    let ids = damaged.map_or(inputs, std::slice::from_ref).iter().map(|live| live.entry.id);
    shared.unmergeable().extend(ids);
    shared.signal();
    Duration::ZERO
}

/// What is to be merged next.
fn next(shared: &Shared) -> Option<Vec<LiveSegment>> {
    let (parts, unmergeable) = (shared.parts(), shared.unmergeable().clone());
    runs(&parts, &shared.options, &unmergeable).into_iter().find_map(|run| {
        let range = chosen(run, &shared.options, seal_time(shared))?;
        run.get(range).map(<[LiveSegment]>::to_vec)
    })
}

/// The segments of days that are over by then which are not final yet, because they are still to be merged.
pub(crate) fn awaited(shared: &Shared, now: Timestamp) -> BTreeSet<SegmentId> {
    let (parts, unmergeable) = (shared.parts(), shared.unmergeable().clone());
    let runs = runs(&parts, &shared.options, &unmergeable);
    let waiting = runs.into_iter().filter(|run| chosen(run, &shared.options, now).is_some());
    waiting.flatten().map(|live| live.entry.id).collect()
}

fn chosen(run: &[LiveSegment], options: &Options, now: Timestamp) -> Option<std::ops::Range<usize>> {
    let size = |live: &LiveSegment| Size { bytes: live.entry.file_bytes, documents: u64::from(live.entry.documents) };
    let sizes: Vec<Size> = run.iter().map(size).collect();
    let size = Size { bytes: options.segment_bytes_max, documents: u64::from(options.segment_events_max) };
    let is_over = run.first().is_some_and(|live| is_day_over(&live.entry, options, now));
    choose(&sizes, Largest { size, inputs: INPUTS_MAX }, is_over)
}

/// The stretches of segments that may become one.
fn runs<'a>(parts: &'a Parts, options: &Options, unmergeable: &BTreeSet<SegmentId>) -> Vec<&'a [LiveSegment]> {
    if options.merge_cpu_percent == 0 {
        return Vec::new();
    }
    let open = |live: &LiveSegment| !live.entry.sealed && !is_full(&live.entry, options) && !unmergeable.contains(&live.entry.id);
    let joined = |a: &LiveSegment, b: &LiveSegment| match (&a.segment, &b.segment) {
        (Some(first), Some(second)) => open(a) && open(b) && may_join(first, second),
        _ => false,
    };
    parts.segments.chunk_by(joined).filter(|run| run.len() > 1).collect()
}

/// Merges segments and puts the new one in their place.
fn compact(shared: &Shared, inputs: &[LiveSegment], pace: &mut Pace<'_>) -> Result<()> {
    let id = {
        let mut catalog = shared.catalog();
        let id = catalog.next_segment;
        catalog.next_segment = SegmentId(id.0 + 1);
        id
    };
    if mutants::is("merge_inputs_removed_first") {
        inputs.iter().for_each(|live| drop(shared.storage.remove(&live.entry.file_name())));
    }
    let (entry, segment) = match make(shared, inputs, id, pace) {
        Ok(made) => made,
        Err(error) => {
            discard(shared, id);
            return Err(error);
        }
    };
    // After an error here either catalog may be on the disk: the files of both stay, and the next start removes what is not named.
    if !replace(shared, inputs, entry, &segment)? {
        discard(shared, id);
        return Ok(());
    }
    for live in inputs {
        if let Err(error) = shared.storage.remove(&live.entry.file_name()) {
            shared.problem(format!("a merged segment could not be removed: {}: {error}", live.entry.file_name()));
        }
    }
    Counters::add(&shared.counters.compacted_segments, inputs.len() as u64);
    Ok(())
}

/// Writes the merged segment, durably, and opens it.
fn make(shared: &Shared, inputs: &[LiveSegment], id: SegmentId, pace: &mut Pace<'_>) -> Result<(CatalogEntry, Arc<Segment>)> {
    let segments: Vec<Arc<Segment>> = inputs.iter().filter_map(|live| live.segment.clone()).collect();
    let room = shared.options.work_share(4);
    let (summary, meta) = write_durably(&*shared.storage, id, |file, name| {
        merge(&segments, (id, room), Arc::new(SteadyFile::new(file)), name, &mut || pace.breathe())
    })?;
    let entry = CatalogEntry::of(id, &meta, summary.length, summary.crc32);
    let segment = open_segment(&*shared.storage, &entry, &shared.caches)?;
    Ok((entry, Arc::new(segment)))
}

/// Names the merged segment in place of its inputs, in the catalog and then among the parts; returns whether they were all still there.
fn replace(shared: &Shared, inputs: &[LiveSegment], entry: CatalogEntry, segment: &Arc<Segment>) -> Result<bool> {
    let is_input = |id: SegmentId| inputs.iter().any(|live| live.entry.id == id);
    let mut catalog = shared.catalog();
    if catalog.segments.iter().filter(|e| is_input(e.id) && !e.sealed).count() != inputs.len() {
        return Ok(false);
    }
    let mut next = catalog.clone();
    next.segments.retain(|e| !is_input(e.id));
    next.segments.push(entry);
    next.segments.sort_by_key(|e| e.first_sequence);
    next.trusted_time = shared.trusted.now();
    shared.reserve.store(&next, &*shared.storage)?;
    *catalog = next;
    // Who looked for copies in all inputs has looked in all of this; who did not has to look in it.
    let change = inputs.iter().map(|live| live.change).max().unwrap_or(0);
    shared.change(|parts| {
        parts.segments.retain(|live| !is_input(live.entry.id));
        parts.segments.push(LiveSegment { entry, segment: Some(segment.clone()), change });
        parts.segments.sort_by_key(|live| live.entry.first_sequence);
    });
    Ok(true)
}

/// Removes what was written of a merged segment that no catalog has ever named. What cannot be removed now is removed by the next start.
fn discard(shared: &Shared, id: SegmentId) {
    let name = segment_name(id);
    for name in [format!("{name}{PARTIAL}"), name] {
        let _unused = shared.storage.remove(&name);
    }
}
