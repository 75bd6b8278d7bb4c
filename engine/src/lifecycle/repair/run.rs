//! Running a repair: look first, then do.
//!
//! **Problem.** After damage a log says what it lacks, again at every start, and a log with a damaged catalog does not open at all. An operator
//! wants to go on with what is left, to keep what is damaged for whoever may get more out of it, and to be told what is lost.
//!
//! **Mechanism.** First everything is read and nothing written: catalog, segments, then the log is opened for reading over the catalog that it
//! would have, which tells about journal and strays. Where nothing is wrong nothing is done. Else: a damaged catalog is set aside
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
use crate::codec::checksum::crc32;
use crate::error::{Error, ErrorKind, Result};
use crate::event::extract::Extractor;
use crate::id::Sequence;
use crate::journal::JournalWriter;
use crate::lifecycle::flush::{flush_one, open_segment};
use crate::lifecycle::live::catalog::{CATALOG, Catalog, CatalogEntry};
use crate::lifecycle::live::shared::Shared;
use crate::lifecycle::recovery::open::recover;
use crate::lifecycle::recovery::strays::{is_aside, not_in_segments, set_aside};
use crate::lifecycle::repair::catalog::{Examined, rebuilt, unused_id};
use crate::lifecycle::repair::overlay::Overlay;
use crate::lifecycle::repair::rewrite::Rewriter;
use crate::lifecycle::repair::salvage::{count_readable, for_each_readable};
use crate::options::Options;
use crate::segment::cache::Caches;
use crate::segment::read::verify::verify;
use crate::status::Repaired;
use crate::storage::Storage;

/// How much decoded dictionary is kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// A directory under repair.
struct Repair<'a> {
    storage: Arc<dyn Storage>,
    options: &'a Options,
    clock: Arc<dyn Clock>,
    budget: &'a Budget,
    caches: Arc<Caches>,
    /// Whether the catalog is damaged and still there.
    bad_catalog: bool,
    report: Repaired,
}

/// Looks for what is wrong with a directory, and unless this is a rehearsal, does something about it.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no log; [`ErrorKind::Unsupported`] for files of another version, which are not touched; what the operating
/// system says; cancellation.
pub(crate) fn run(
    storage: Arc<dyn Storage>,
    options: &Options,
    clock: Arc<dyn Clock>,
    rehearsal: bool,
    budget: &Budget,
) -> Result<Repaired> {
    let caches = Arc::new(Caches::new(CACHE_BYTES));
    let mut repair = Repair { storage, options, clock, budget, caches, bad_catalog: false, report: Repaired::default() };
    let (catalog, segments) = repair.look()?;
    if !rehearsal && !repair.report.found.is_empty() {
        repair.mend(catalog, &segments)?;
    }
    Ok(repair.report)
}

impl Repair<'_> {
    /// Finds everything that is wrong; gives the catalog as it is or must be made, and its segments.
    fn look(&mut self) -> Result<(Catalog, Vec<Examined>)> {
        let (catalog, segments) = match self.load()? {
            Some(catalog) => {
                let segments = catalog.segments.iter().map(|entry| self.examine(entry)).collect::<Result<Vec<_>>>()?;
                (catalog, segments)
            }
            None => rebuilt(&*self.storage, &self.caches, self.clock.now(), self.budget)?,
        };
        for damaged in segments.iter().filter(|one| !one.errors.is_empty()) {
            self.report.found.extend(damaged.errors.iter().map(ToString::to_string));
            let readable = damaged.segment.as_ref().map_or(Ok(0), |segment| count_readable(segment, self.budget))?;
            self.report.found.push(readable_part(&damaged.entry, readable));
        }
        self.look_at_journal(&catalog)?;
        Ok((catalog, segments))
    }

    /// The catalog; `None` where one must be made.
    fn load(&mut self) -> Result<Option<Catalog>> {
        match Catalog::load(&*self.storage) {
            Ok(Some(catalog)) => Ok(Some(catalog)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.bad_catalog = true;
                self.report.found.push(error.to_string());
                Ok(None)
            }
            Ok(None) => {
                let names = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
                if !names.iter().any(|name| name.starts_with("segment-") || name.starts_with("journal-")) {
                    return Err(Error::new(ErrorKind::NotFound, "there is no log in the directory"));
                }
                self.report.found.push(format!("{CATALOG} is missing"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn examine(&self, entry: &CatalogEntry) -> Result<Examined> {
        let (segment, errors) = match open_segment(&*self.storage, entry, &self.caches) {
            Ok(segment) => {
                let mut errors = verify(&segment, self.budget)?;
                let whole = crc32(segment.view());
                if errors.is_empty() && whole != entry.crc32 {
                    let error = Error::corrupt("the file's checksum differs from the catalog's").in_file(entry.file_name());
                    errors.push(error.expected(format_args!("crc32 {:08x}", entry.crc32), format_args!("{whole:08x}")));
                }
                (Some(Arc::new(segment)), errors)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => (None, vec![error]),
            // What cannot be read now is not damaged for that: nothing is set aside because a disk or a limit says no.
            Err(error) => return Err(error),
        };
        Ok(Examined { entry: *entry, segment, errors })
    }

    /// What opening says about everything but the segments that were examined.
    fn look_at_journal(&mut self, catalog: &Catalog) -> Result<()> {
        let overlay = Arc::new(Overlay::new(self.storage.clone(), catalog.encode()));
        let options = Options { read_only: true, ..self.options.clone() };
        let (shared, _) = recover(overlay, options, self.clock.clone())?;
        let is_known = |problem: &String| catalog.segments.iter().any(|entry| problem.starts_with(&entry.file_name()));
        self.report.found.extend(shared.problems.list().0.into_iter().filter(|problem| !is_known(problem)));
        Ok(())
    }

    fn mend(&mut self, mut catalog: Catalog, segments: &[Examined]) -> Result<()> {
        if self.bad_catalog {
            let aside = set_aside(&*self.storage, CATALOG)?;
            self.report.done.push(format!("{CATALOG}: kept as {aside}"));
        }
        catalog.next_segment = unused_id(&*self.storage, catalog.next_segment)?;
        let damaged: Vec<&Examined> = segments.iter().filter(|one| !one.errors.is_empty()).collect();
        catalog.segments.retain(|entry| !damaged.iter().any(|one| one.entry.id == entry.id));
        catalog.segments.sort_by_key(|entry| entry.first_sequence);
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

    /// Makes new segments of what can be read of a damaged one.
    fn rewrite(&mut self, damaged: &Examined, catalog: &mut Catalog) -> Result<()> {
        let entry = damaged.entry;
        let extractor = Extractor::new(self.options.schema.clone());
        // A repair that was cut off may have written some of it before.
        let missing = not_in_segments(catalog, entry.first_sequence..entry.end_sequence());
        let mut rewriter = Rewriter::new(&*self.storage, &extractor, self.options.head_bytes_max, entry.day, catalog.next_segment);
        if let Some(segment) = &damaged.segment {
            for_each_readable(segment, self.budget, &mut |sequence, received_at, text| {
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
        let (shared, journal) = recover(self.storage.clone(), options, self.clock.clone())?;
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

/// In words, how much of a damaged segment can be read.
fn readable_part(entry: &CatalogEntry, readable: u64) -> String {
    let (first, last) = (entry.first_sequence, entry.end_sequence().0.saturating_sub(1));
    format!("{}: {readable} of {} events, sequences {first} to {last}, can still be read", entry.file_name(), entry.documents)
}
