//! Running a repair: look first, then do.
//!
//! **Problem.** After damage a log says what it lacks, again at every start, and a log with a damaged catalog does not open at all. An operator
//! wants to go on with what is left, to keep what is damaged for whoever may get more out of it, and to be told what is lost.
//!
//! **Mechanism.** First everything is read and nothing written (see [`look`](super::look)). Where nothing is wrong, or something cannot be
//! read now, nothing is done. Else: a damaged catalog is set aside
//! and made from the segments; what can be read of a damaged segment becomes new segments with the same sequences; one catalog names
//! them in its place; the damaged file is set aside. Then the log is opened as always, all of its journal becomes segments, and the
//! journal's files are let go, of which the damaged ones are set aside. A crash on the way leaves a directory that can be repaired again.
//!
//! **Limits.** What is lost stays lost: its sequences are never given again. No file is deleted that was not of use to nobody: what an
//! ordinary start removes (see `strays`) goes here too.

use std::ops::Range;
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::event::extract::Extractor;
use crate::id::Sequence;
use crate::journal::JournalWriter;
use crate::lifecycle::flush::flush_one;
use crate::lifecycle::live::catalog::{CATALOG, Catalog, CatalogEntry};
use crate::lifecycle::live::shared::Shared;
use crate::lifecycle::recovery::open::recover;
use crate::lifecycle::recovery::strays::{is_aside, not_in_segments, set_aside};
use crate::lifecycle::repair::catalog::{Examined, unused_id};
use crate::lifecycle::repair::look::Look;
use crate::lifecycle::repair::meter::{Meter, Metered};
use crate::lifecycle::repair::rewrite::Rewriter;
use crate::lifecycle::repair::salvage::{Refused, for_each_readable};
use crate::lifecycle::repair::through::is_live;
use crate::options::Options;
use crate::status::{Inspected, OnStep, Repaired};
use crate::storage::{ByCalls, Storage};

/// A directory under repair.
struct Repair<'a> {
    storage: Arc<dyn Storage>,
    options: &'a Options,
    clock: Arc<dyn Clock>,
    budget: &'a Budget,
    meter: Arc<Meter>,
    /// Whether the catalog is damaged and still there.
    bad_catalog: bool,
    report: Repaired,
}

/// Looks for what is wrong with a directory.
///
/// # Errors
/// As [`Look::run`].
pub(crate) fn inspect(
    storage: Arc<dyn Storage>,
    options: &Options,
    clock: Arc<dyn Clock>,
    budget: &Budget,
    on_step: OnStep,
) -> Result<Inspected> {
    let (storage, meter) = (Arc::new(ByCalls(storage)), Arc::new(Meter::new(on_step)));
    let looked = Look { storage, options, clock, budget, meter }.run()?;
    let segments = looked.catalog.segments.len() as u64;
    Ok(Inspected { found: looked.found, unread: looked.unread, notes: looked.notes, segments, events: looked.events })
}

/// Looks for what is wrong with a directory, and unless this is a rehearsal, or something cannot be read now, does something about it.
///
/// # Errors
/// As [`Look::run`]; what the operating system says.
pub(crate) fn run(
    storage: Arc<dyn Storage>,
    options: &Options,
    clock: Arc<dyn Clock>,
    rehearsal: bool,
    budget: &Budget,
    on_step: OnStep,
) -> Result<Repaired> {
    let storage: Arc<dyn Storage> = Arc::new(ByCalls(storage));
    let meter = Arc::new(Meter::new(on_step));
    let looked = Look { storage: storage.clone(), options, clock: clock.clone(), budget, meter: meter.clone() }.run()?;
    let report = Repaired { found: looked.found, unread: looked.unread, ..Repaired::default() };
    let mut repair = Repair { storage, options, clock, budget, meter, bad_catalog: looked.bad_catalog, report };
    // What cannot be read now is not damaged for that: nothing is set aside because a disk or a limit says no.
    if !rehearsal && repair.report.unread.is_empty() && !repair.report.found.is_empty() {
        repair.mend(looked.catalog, &looked.segments)?;
        repair.meter.settle();
    }
    Ok(repair.report)
}

impl Repair<'_> {
    fn mend(&mut self, mut catalog: Catalog, segments: &[Examined]) -> Result<()> {
        if self.bad_catalog {
            let aside = set_aside(&*self.storage, CATALOG)?;
            self.report.done.push(format!("{CATALOG}: kept as {aside}"));
        }
        catalog.next_segment = unused_id(&*self.storage, catalog.next_segment)?;
        let damaged: Vec<&Examined> = segments.iter().filter(|one| !one.errors.is_empty()).collect();
        catalog.segments.retain(|entry| !damaged.iter().any(|one| one.entry.id == entry.id));
        catalog.segments.sort_by_key(|entry| entry.first_sequence);
        self.expect_work(&damaged)?;
        for one in &damaged {
            self.rewrite(one, &mut catalog)?;
        }
        catalog.segments.sort_by_key(|entry| entry.first_sequence);
        catalog.store(&*self.storage)?;
        if self.bad_catalog || self.report.found.iter().any(|found| found.starts_with(CATALOG)) {
            self.report.done.push(format!("{CATALOG}: made from {} segments", catalog.segments.len()));
        }
        for one in &damaged {
            self.put_aside(&one.entry)?;
        }
        self.drain_journal()
    }

    /// Says how much is to be read again: damaged segments and the journal.
    fn expect_work(&self, damaged: &[&Examined]) -> Result<()> {
        let names = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
        let journals = names.iter().filter(|name| name.starts_with("journal-") && is_live(name));
        let lengths = journals.filter_map(|name| self.storage.open(name).and_then(|file| file.length()).ok());
        let segments = damaged.iter().filter(|one| one.segment.is_some()).map(|one| one.entry.file_bytes);
        self.meter.expect(lengths.chain(segments).sum());
        Ok(())
    }

    /// Makes new segments of what can be read of a damaged one.
    fn rewrite(&mut self, damaged: &Examined, catalog: &mut Catalog) -> Result<()> {
        let entry = damaged.entry;
        let extractor = Extractor::new(self.options.schema.clone());
        // A repair that was cut off may have written some of it before.
        let missing = not_in_segments(catalog, entry.first_sequence..entry.end_sequence());
        let mut rewriter = Rewriter::new(&*self.storage, &extractor, self.options.head_bytes_max, entry.day, catalog.next_segment);
        if let Some(segment) = &damaged.segment {
            let (name, share) = (entry.file_name(), entry.file_bytes / u64::from(entry.documents).max(1));
            for_each_readable(segment, self.budget, Refused::EndsIt, &mut |sequence, received_at, text| {
                self.meter.pass(&name, share);
                if missing.iter().any(|range| range.contains(&sequence)) { rewriter.take(sequence, received_at, text) } else { Ok(()) }
            })?;
        }
        let (entries, next_id) = rewriter.finish()?;
        catalog.next_segment = next_id;
        let (events, files) = (entries.iter().map(|e| u64::from(e.documents)).sum::<u64>(), entries.len());
        catalog.segments.extend(entries);
        catalog.segments.sort_by_key(|entry| entry.first_sequence);
        let name = entry.file_name();
        self.report.done.push(format!("{name}: {events} events written to {files} new segments"));
        for lost in not_in_segments(catalog, entry.first_sequence..entry.end_sequence()) {
            self.report.lost.push(lost_line(&name, &lost));
        }
        Ok(())
    }

    fn put_aside(&mut self, entry: &CatalogEntry) -> Result<()> {
        let name = entry.file_name();
        let names = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
        let line = match names.contains(&name) {
            true => format!("{name}: kept as {}", set_aside(&*self.storage, &name)?),
            false => format!("{name}: it is gone"),
        };
        self.report.done.push(line);
        Ok(())
    }

    /// Opens the log, makes segments of its whole journal, and lets go of the journal: damaged files of it are set aside by that.
    fn drain_journal(&mut self) -> Result<()> {
        let before = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
        let options = Options { read_only: false, ..self.options.clone() };
        let storage = Arc::new(Metered { below: self.storage.clone(), meter: self.meter.clone() });
        let (shared, journal) = recover(storage, options, self.clock.clone())?;
        self.report.lost.extend(shared.lost.iter().map(|gap| {
            let range = gap.first_sequence..gap.last_sequence.plus(1);
            lost_line(&gap.part, &range)
        }));
        if let Some(journal) = journal {
            drain(&shared, journal)?;
        }
        let after = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
        let is_new = |name: &&String| !before.contains(name) && is_aside(name);
        self.report.done.extend(after.iter().filter(is_new).map(|name| format!("{name}: set aside")));
        Ok(())
    }
}

/// Flushes all heads, and says that everything before the next sequence is in segments or lost.
fn drain(shared: &Shared, mut journal: JournalWriter) -> Result<()> {
    shared.change(|parts| parts.frozen.extend(parts.active.take()));
    while flush_one(shared)? {}
    let next = journal.next_sequence();
    {
        let mut catalog = shared.catalog();
        let mut done = catalog.clone();
        done.flushed_to = done.flushed_to.max(next);
        done.newest_journal = 0;
        done.store(&*shared.storage)?;
        *catalog = done;
    }
    journal.release_all(next)?;
    journal.close_clean(shared.clock.now())
}

fn lost_line(part: &str, range: &Range<Sequence>) -> String {
    let (first, last) = (range.start, range.end.0.saturating_sub(1));
    format!("{part}: {} events, sequences {first} to {last}", range.end.0.saturating_sub(range.start.0))
}
