//! The background thread: flushes frozen heads, asks for old heads to be frozen, seals, and drops what is due.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::lifecycle::flush::flush_one;
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::lifecycle::live::problems::Work;
use crate::lifecycle::live::queue::Task;
use crate::lifecycle::live::retention::is_due;
use crate::lifecycle::live::shared::{Background, Counters, Shared};
use crate::lifecycle::merging::compaction::awaited;
use crate::lifecycle::seal::{seal, seal_time};

/// How often there is a look at the clock when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait after an error before the same is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Works until `stop` says so.
pub(crate) fn run(shared: &Arc<Shared>, stop: &dyn Fn() -> bool) {
    loop {
        let signals = shared.signals();
        match step(shared) {
            Ok(true) => {}
            Ok(false) => {
                shared.problems.works(Work::Upkeep);
                if stop() {
                    return;
                }
                shared.rest(Background::Upkeep, signals, TICK);
            }
            Err(error) => {
                shared.problems.fails(Work::Upkeep, &error);
                let signals = shared.signals();
                if stop() {
                    return;
                }
                shared.rest(Background::Upkeep, signals, RETRY);
            }
        }
    }
}

/// Does the most urgent thing; returns whether there may be more to do at once.
fn step(shared: &Shared) -> Result<bool> {
    if flush_one(shared)? {
        return Ok(true);
    }
    freeze_old(shared);
    shared.spare.let_go(shared.clock.elapsed());
    tidy(shared)?;
    shared.reserve.keep(&*shared.storage);
    // The writer hears of journal files to let go once for each flush; where it could not, nobody else would remind it.
    if shared.problems.is_failing(Work::Release).is_some() {
        shared.queue.ask(Task::Release(shared.catalog().flushed_to));
    }
    Ok(false)
}

/// Asks for the head to be frozen when its oldest event is old, or its day is over.
fn freeze_old(shared: &Shared) {
    let Some(active) = shared.parts().active else { return };
    let state = active.head.read();
    let Some((_, oldest)) = state.received.first() else { return };
    let now = shared.clock.now();
    let age_max = i64::try_from(shared.options.head_age_max.as_nanos()).unwrap_or(i64::MAX);
    let is_old = now.0.saturating_sub(oldest.0) >= age_max;
    drop(state);
    if is_old || active.day < now.day() {
        shared.queue.ask(Task::Freeze);
    }
}

/// Seals and drops segments.
fn tidy(shared: &Shared) -> Result<()> {
    // One moment for both: what is over only now is awaited by nobody yet.
    let now = seal_time(shared);
    let awaited = awaited(shared, now);
    let mut catalog = shared.catalog();
    let trusted = shared.trusted.now();
    let mut next = catalog.clone();
    let sealed = seal(&mut next.segments, &shared.options, now, &awaited);
    let due: Vec<CatalogEntry> = next.segments.iter().filter(|e| is_due(e, shared.options.retention, trusted)).copied().collect();
    let fate = shared.holding.decide(&due);
    if !sealed && fate.gone.is_empty() {
        return Ok(());
    }
    next.segments.retain(|e| !fate.gone.contains(&e.id));
    next.trusted_time = trusted;
    shared.reserve.store(&next, &*shared.storage)?;
    *catalog = next;
    shared.change(|parts| {
        parts.segments.retain(|live| catalog.segments.iter().any(|e| e.id == live.entry.id));
        for live in &mut parts.segments {
            live.entry.sealed |= catalog.segments.iter().any(|e| e.id == live.entry.id && e.sealed);
        }
    });
    // Whoever still reads a dropped segment has its file open; a crash before this leaves files that the next start removes.
    for entry in due.iter().filter(|e| fate.gone.contains(&e.id)) {
        if let Err(error) = shared.storage.remove(&entry.file_name()) {
            shared.problem(format!("an expired segment could not be removed: {}: {error}", entry.file_name()));
        }
    }
    Counters::add(&shared.counters.expired_segments, fate.gone.len() as u64);
    if fate.let_go_events > 0 {
        Counters::add(&shared.holding.let_go_events, fate.let_go_events);
        shared.problem("events that were to wait were dropped: more bytes over the retention waited than may".to_owned());
    }
    Ok(())
}
