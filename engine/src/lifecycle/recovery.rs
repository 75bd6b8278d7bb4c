//! Recovery: from what is on disk to a log that can be used.
//!
//! The catalog says which segments there are; every other segment file is a leftover and removed. The journal is replayed from the
//! first sequence that is in no segment. Damage is never passed over in silence: a segment that cannot be opened stays in the catalog
//! and is reported, and so is every stretch of the journal that cannot be read.

use std::sync::Arc;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::extract::Extractor;
use crate::head::Head;
use crate::id::{SegmentId, Sequence, Timestamp};
use crate::journal::{JournalSettings, JournalWriter, Replay, ReplayedFrame, replay};
use crate::lifecycle::catalog::{CATALOG, Catalog};
use crate::lifecycle::flush::{PARTIAL, add, open_segment, write_head};
use crate::lifecycle::parts::{DayHead, LiveSegment, Parts};
use crate::lifecycle::shared::{Beginning, Shared};
use crate::options::Options;
use crate::segment::cache::Caches;
use crate::storage::Storage;

/// How much decoded dictionary is kept in memory, for all segments together.
const CACHE_BYTES: usize = 32 << 20;
/// How many journal files wait to be written again: see `journal`.
const SPARE_JOURNALS: usize = 1;

/// Brings a log up from its directory. Without a writer when it is opened for reading alone.
///
/// # Errors
/// [`ErrorKind::Corrupt`] or [`ErrorKind::Unsupported`] for the catalog, what the operating system says.
pub(crate) fn recover(storage: Arc<dyn Storage>, options: Options, clock: Arc<dyn Clock>) -> Result<(Shared, Option<JournalWriter>)> {
    let extractor = Extractor::new(options.schema.clone());
    let read_only = options.read_only;
    let catalog = load_catalog(&*storage, read_only, clock.now())?;
    if !read_only {
        remove_leftovers(&*storage, &catalog)?;
    }
    let mut recovery = Recovery {
        from: catalog.flushed_to,
        catalog,
        parts: Parts { segments: Vec::new(), frozen: Vec::new(), active: None, change: 0 },
        problems: Vec::new(),
        quarantined: 0,
        caches: Arc::new(Caches::new(CACHE_BYTES)),
        storage: storage.clone(),
        extractor: &extractor,
        options: &options,
    };
    recovery.open_segments();
    let from = recovery.from;
    let replayed = replay(&*storage, from, &mut |frame| recovery.take(&frame))?;
    recovery.report(&replayed);
    let writer = if read_only { None } else { Some(open_writer(storage.clone(), &options, &replayed)?) };
    let Recovery { catalog, parts, problems, quarantined, caches, .. } = recovery;
    let recovery_note = replayed.torn_tail.as_ref().map(|torn| {
        format!(
            "{} ends at byte {} in a batch that was never acknowledged, from sequence {} on: {:?}",
            torn.file, torn.offset, torn.sequence, torn.reason
        )
    });
    let beginning = Beginning { options, storage, clock, caches, parts, catalog, problems, recovery_note, quarantined };
    Ok((Shared::new(extractor, beginning), writer))
}

fn open_writer(storage: Arc<dyn Storage>, options: &Options, replayed: &Replay) -> Result<JournalWriter> {
    let settings = JournalSettings { journal_bytes: options.journal_bytes, spare_max: SPARE_JOURNALS };
    JournalWriter::open(storage, settings, replayed)
}

fn load_catalog(storage: &dyn Storage, read_only: bool, now: Timestamp) -> Result<Catalog> {
    if let Some(catalog) = Catalog::load(storage)? {
        return Ok(catalog);
    }
    let names = list(storage)?;
    if let Some(orphan) = names.iter().find(|name| segment_id(name).is_some()) {
        let message = "the catalog is missing although there are segments; put it back from a copy of the directory";
        return Err(Error::corrupt(message).in_file(CATALOG).expected("a catalog", format_args!("only files such as {orphan}")));
    }
    if read_only && names.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "there is no log in the directory"));
    }
    let catalog = Catalog::new(now);
    if !read_only {
        catalog.store(storage)?;
    }
    Ok(catalog)
}

fn list(storage: &dyn Storage) -> Result<Vec<String>> {
    storage.list().map_err(|e| Error::io("cannot list the directory", e))
}

/// The id in a segment file's name, finished or not.
fn segment_id(name: &str) -> Option<SegmentId> {
    let digits = name.strip_prefix("segment-")?;
    let digits = digits.strip_suffix(PARTIAL).unwrap_or(digits);
    let is_ours = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    u64::from_str_radix(digits, 16).ok().filter(|_| is_ours).map(SegmentId)
}

/// Removes segment files that the catalog does not name: unfinished, or expired.
fn remove_leftovers(storage: &dyn Storage, catalog: &Catalog) -> Result<()> {
    for name in list(storage)? {
        let Some(id) = segment_id(&name) else { continue };
        if name.ends_with(PARTIAL) || !catalog.segments.iter().any(|e| e.id == id) {
            storage.remove(&name).map_err(|e| Error::io("cannot remove a leftover", e).in_file(&name))?;
        }
    }
    Ok(())
}

struct Recovery<'a> {
    from: Sequence,
    catalog: Catalog,
    parts: Parts,
    problems: Vec<String>,
    quarantined: u64,
    caches: Arc<Caches>,
    storage: Arc<dyn Storage>,
    extractor: &'a Extractor,
    options: &'a Options,
}

impl Recovery<'_> {
    fn open_segments(&mut self) {
        for entry in self.catalog.segments.clone() {
            match open_segment(&*self.storage, &entry, &self.caches) {
                Ok(segment) => add(&mut self.parts, entry, Arc::new(segment)),
                Err(error) => {
                    self.problem(format!(
                        "{} cannot be read, {} events from sequence {} on are missing from answers: {error:?}",
                        entry.file_name(),
                        entry.documents,
                        entry.first_sequence
                    ));
                    self.parts.segments.push(LiveSegment { entry, segment: None, change: self.parts.change });
                }
            }
        }
    }

    fn problem(&mut self, problem: String) {
        self.quarantined += 1;
        self.problems.push(problem);
    }

    /// Takes a batch of the journal into the head.
    fn take(&mut self, frame: &ReplayedFrame<'_>) -> Result<()> {
        let skip = self.from.0.saturating_sub(frame.first_sequence.0);
        let first = frame.first_sequence.plus(skip);
        let mut events = frame.events.iter().skip(skip as usize).map(|range| frame.text.get(range.clone()).unwrap_or_default());
        let (batch, rejections) = self.extractor.prepare(&mut events)?;
        if let Some(rejection) = rejections.first() {
            // It was valid when it was taken in, and its checksum is right: only another build's rules can refuse it.
            let message = format!("an event of the journal is refused by this build: {}", rejection.message);
            return Err(Error::new(ErrorKind::Unsupported, message).expected("a valid event", format_args!("sequence {first}")));
        }
        let head = self.head_for(first, frame.received_at)?;
        head.append(&batch, frame.received_at, &|_| true)
    }

    /// The head that takes the event with this sequence: the active one, or a new one where sequences or days break, or it is full.
    fn head_for(&mut self, first: Sequence, received_at: Timestamp) -> Result<Arc<Head>> {
        let day = received_at.day().max(self.catalog.trusted_time.day());
        if let Some(active) = &self.parts.active {
            let state = active.head.read();
            let follows = active.head.first_sequence.plus(u64::from(state.documents())) == first;
            let is_full = state.bytes() as u64 >= self.options.head_bytes_max;
            let later = state.received.last().is_none_or(|(_, last)| *last <= received_at);
            drop(state);
            if follows && later && !is_full && active.day == day {
                return Ok(active.head.clone());
            }
            self.freeze()?;
        }
        let head = Arc::new(Head::new(first, self.extractor.schema()));
        self.parts.active = Some(DayHead { head: head.clone(), day });
        Ok(head)
    }

    /// Sets the active head aside. Memory is bounded here too: the one before is flushed first.
    fn freeze(&mut self) -> Result<()> {
        if !self.options.read_only {
            while self.parts.frozen.len() >= self.options.heads_waiting_max.max(1) {
                self.flush_oldest()?;
            }
        }
        self.parts.frozen.extend(self.parts.active.take());
        Ok(())
    }

    fn flush_oldest(&mut self) -> Result<()> {
        let head = self.parts.frozen.remove(0);
        let id = self.catalog.next_segment;
        self.catalog.next_segment = SegmentId(id.0 + 1);
        let entry = write_head(&*self.storage, &head, id)?;
        let segment = open_segment(&*self.storage, &entry, &self.caches)?;
        self.catalog.segments.push(entry);
        self.catalog.flushed_to = entry.end_sequence();
        self.catalog.store(&*self.storage)?;
        add(&mut self.parts, entry, Arc::new(segment));
        Ok(())
    }

    /// Reports what the journal could not give back.
    fn report(&mut self, replayed: &Replay) {
        for damage in &replayed.damage {
            let lost = match &damage.lost {
                Some(range) => format!("the events from sequence {} to {} are lost", range.start, range.end.0.saturating_sub(1)),
                None => "no event is lost".to_owned(),
            };
            self.problem(format!("{} is damaged at byte {}: {lost}: {:?}", damage.file, damage.offset, damage.reason));
        }
    }
}
