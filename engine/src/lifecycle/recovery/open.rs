//! Recovery: from what is on disk to a log that can be used.
//!
//! The catalog says which segments there are; what becomes of every other segment file, `strays` decides. The journal is replayed from
//! the first sequence that is in no segment. Damage is never passed over in silence: a segment that cannot be opened stays in the catalog
//! and is reported, and so is every stretch of the journal that cannot be read.

use std::ops::Range;
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::extract::Extractor;
use crate::head::Head;
use crate::id::{SegmentId, Sequence, Timestamp};
use crate::journal::{JournalSettings, JournalWriter, Reach, Replay, ReplayedFrame, replay_ahead};
use crate::lifecycle::flush::{PARTIAL, add, open_segment, write_head};
use crate::lifecycle::live::catalog::{CATALOG, Catalog, CatalogEntry, segment_name};
use crate::lifecycle::live::parts::{DayHead, LiveSegment, Parts};
use crate::lifecycle::live::shared::{Beginning, Shared};
use crate::lifecycle::recovery::pieces::{Piece, Pieces};
use crate::lifecycle::recovery::strays::{self, Fate, Stray, is_aside, not_in_segments, set_aside};
use crate::mutants;
use crate::options::Options;
use crate::segment::cache::Caches;
use crate::status::Gap;
use crate::storage::Storage;

/// How many journal files wait to be written again: see `journal`.
const SPARE_JOURNALS: usize = 1;

/// Brings a log up from its directory. Without a writer when it is opened for reading alone.
///
/// # Errors
/// [`ErrorKind::Corrupt`] or [`ErrorKind::Unsupported`] for the catalog, what the operating system says.
pub(crate) fn recover(storage: Arc<dyn Storage>, options: Options, clock: Arc<dyn Clock>) -> Result<(Shared, Option<JournalWriter>)> {
    let extractor = Arc::new(Extractor::new(options.schema.clone()).keeping(options.work_share(4)));
    let read_only = options.read_only;
    let catalog = load_catalog(&*storage, read_only, clock.now())?;
    let mut recovery = Recovery {
        from: catalog.flushed_to,
        catalog,
        parts: Parts { segments: Vec::new(), frozen: Vec::new(), active: None, change: 0 },
        problems: Vec::new(),
        notes: Vec::new(),
        lost: Vec::new(),
        caches: Arc::new(Caches::new(options.work_share(8))),
        storage: storage.clone(),
        extractor: extractor.clone(),
        options: &options,
    };
    recovery.open_segments();
    recovery.settle_strays(&Budget::unlimited(clock.clone()))?;
    let from = recovery.from;
    let pieces = Pieces { extractor: extractor.clone(), catalog: recovery.catalog.clone(), from };
    let prepare = Arc::new(move |frame: ReplayedFrame<'_>| pieces.of(&frame));
    let take = &mut |pieces: Vec<Piece>| pieces.into_iter().try_for_each(|piece| recovery.take(piece));
    let mut replayed = replay_ahead(&*storage, from, Reach::of_machine(), prepare, take)?;
    if !mutants::is("missing_journal_accepted") {
        replayed.miss(recovery.catalog.newest_journal);
    }
    recovery.report(&replayed);
    recovery.go_on_after(&mut replayed)?;
    recovery.forget_journal(&replayed)?;
    let writer = if read_only { None } else { Some(open_writer(storage.clone(), &options, &replayed)?) };
    let Recovery { catalog, parts, problems, mut notes, lost, caches, .. } = recovery;
    let quarantined = problems.len() as u64;
    notes.extend(replayed.torn_tail.as_ref().map(|torn| {
        format!(
            "{} ends at byte {} in a batch that was never acknowledged, from sequence {} on: {:?}",
            torn.file, torn.offset, torn.sequence, torn.reason
        )
    }));
    let beginning = Beginning { options, storage, clock, caches, parts, catalog, problems, notes, lost, quarantined };
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
        let message =
            "the catalog is missing although there are segments; put back the newest copy of it: later segments are taken in again";
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

struct Recovery<'a> {
    from: Sequence,
    catalog: Catalog,
    parts: Parts,
    problems: Vec<String>,
    notes: Vec<String>,
    lost: Vec<Gap>,
    caches: Arc<Caches>,
    storage: Arc<dyn Storage>,
    extractor: Arc<Extractor>,
    options: &'a Options,
}

impl Recovery<'_> {
    fn open_segments(&mut self) {
        for entry in self.catalog.segments.clone() {
            match open_segment(&*self.storage, &entry, &self.caches) {
                Ok(segment) => add(&mut self.parts, entry, Arc::new(segment)),
                Err(error) => {
                    let last = entry.end_sequence().0.saturating_sub(1);
                    let (name, events, first) = (entry.file_name(), entry.documents, entry.first_sequence);
                    self.problem(format!("{name}: {events} events of the sequences {first} to {last} cannot be read: {error:?}"));
                    self.parts.segments.push(LiveSegment { entry, segment: None, change: self.parts.change });
                }
            }
        }
    }

    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Decides about every segment file that the catalog does not name.
    fn settle_strays(&mut self, budget: &Budget) -> Result<()> {
        let storage = self.storage.clone();
        let mut names = Vec::new();
        for name in list(&*storage)? {
            if is_aside(&name) {
                self.notes.push(format!("{name} was set aside by an earlier start; nothing reads it"));
            }
            let Some(id) = segment_id(&name) else { continue };
            if !name.ends_with(PARTIAL) || mutants::is("partial_segment_accepted") {
                names.extend((!self.catalog.segments.iter().any(|e| e.id == id)).then_some((name, id)));
            } else if !self.options.read_only {
                storage.remove(&name).map_err(|e| Error::io("cannot remove a leftover", e).in_file(&name))?;
            }
        }
        let highest = names.iter().map(|(_, id)| *id).max();
        let mut strays = strays::open(&*storage, names, &self.caches);
        strays::compare_with_journal(&*storage, &self.catalog, &mut strays, budget)?;
        let before = self.catalog.clone();
        for stray in strays {
            // Against the catalog as it was: what was taken in a moment ago does not make the next one older.
            match strays::decide(&stray, &self.parts.segments, &before, self.options.retention, budget) {
                Fate::Remove => self.remove(&stray.name)?,
                Fate::Adopt(instead_of) => self.adopt(stray, &instead_of),
                Fate::SetAside(reason) => self.set_aside(stray, reason)?,
            }
        }
        // An id that a file had is not given again, whatever became of the file: caches go by it.
        if let Some(highest) = highest {
            self.catalog.next_segment = self.catalog.next_segment.max(SegmentId(highest.0.saturating_add(1)));
        }
        if self.catalog != before && !self.options.read_only {
            self.catalog.store(&*storage)?;
        }
        self.from = self.catalog.flushed_to;
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        self.storage.remove(name).map_err(|e| Error::io("cannot remove a leftover", e).in_file(name))
    }

    fn adopt(&mut self, stray: Stray, instead_of: &[SegmentId]) {
        let Ok((entry, segment)) = stray.opened else { return };
        let kept = |id: SegmentId| !instead_of.contains(&id);
        self.parts.segments.retain(|live| kept(live.entry.id));
        self.catalog.segments.retain(|e| kept(e.id));
        // What was said about the segments that it stands for is not so any more.
        self.problems.retain(|p| !instead_of.iter().any(|id| p.starts_with(&segment_name(*id))));
        self.catalog.segments.push(entry);
        self.catalog.segments.sort_by_key(|e| e.first_sequence);
        self.catalog.flushed_to = strays::end_of_flushed(&self.catalog);
        add(&mut self.parts, entry, segment);
        let (name, last) = (stray.name, entry.end_sequence().0.saturating_sub(1));
        let (events, first) = (entry.documents, entry.first_sequence);
        self.notes.push(format!("{name} is not named by the catalog and was taken in: {events} events, sequences {first} to {last}"));
    }

    fn set_aside(&mut self, stray: Stray, reason: &str) -> Result<()> {
        let name = stray.name;
        let what = match &stray.opened {
            Ok((e, _)) => format!("{} events, sequences {} to {}", e.documents, e.first_sequence, e.end_sequence().0.saturating_sub(1)),
            Err(error) => format!("{error:?}"),
        };
        let fate = if self.options.read_only { "left out".to_owned() } else { format!("kept as {}", set_aside(&*self.storage, &name)?) };
        self.problem(format!("{name} is not named by the catalog and is {fate}, because {reason}: {what}"));
        Ok(())
    }

    /// Sees to it that new events get sequences behind all that is known, in a head of their own where the last one ends before.
    fn go_on_after(&mut self, replayed: &mut Replay) -> Result<()> {
        let known = self.catalog.segments.iter().map(CatalogEntry::end_sequence).max().unwrap_or(replayed.next_sequence);
        if known > replayed.next_sequence && !mutants::is("sequence_reused_after_recovery") {
            for lost in not_in_segments(&self.catalog, replayed.next_sequence..known) {
                self.problem(format!("{} are in no file of the directory", stretch(&lost)));
                self.lose("no file", &lost, "they are in no file of the directory");
            }
            replayed.next_sequence = known;
        }
        let end = |active: &DayHead| active.head.first_sequence.plus(u64::from(active.head.read().documents()));
        if self.parts.active.as_ref().is_some_and(|active| end(active) != replayed.next_sequence) {
            self.freeze()?;
        }
        Ok(())
    }

    /// A journal file that opening lets go of is not missing afterwards.
    fn forget_journal(&mut self, replayed: &Replay) -> Result<()> {
        if self.options.read_only || self.catalog.newest_journal == 0 || !replayed.lets_go_of(self.catalog.newest_journal) {
            return Ok(());
        }
        self.catalog.newest_journal = 0;
        self.catalog.store(&*self.storage)
    }

    /// Takes events of the journal into the head.
    fn take(&mut self, piece: Piece) -> Result<()> {
        let head = self.head_for(piece.first, piece.received_at)?;
        head.append(&piece.batch, piece.received_at, &|_| true)?;
        self.extractor.recycle(piece.batch);
        Ok(())
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
        let head = Arc::new(Head::new(first, self.extractor.schema(), self.options.head_bytes_max));
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
        self.catalog.segments.sort_by_key(|e| e.first_sequence);
        self.catalog.flushed_to = self.catalog.flushed_to.max(entry.end_sequence());
        self.catalog.flushed_to = strays::end_of_flushed(&self.catalog);
        self.catalog.store(&*self.storage)?;
        add(&mut self.parts, entry, Arc::new(segment));
        Ok(())
    }

    /// Remembers that these events are missing from answers.
    fn lose(&mut self, part: &str, range: &Range<Sequence>, reason: &str) {
        self.lost.push(Gap {
            part: part.to_owned(),
            first_sequence: range.start,
            last_sequence: Sequence(range.end.0.saturating_sub(1)),
            events: range.end.0.saturating_sub(range.start.0),
            reason: reason.to_owned(),
        });
    }

    /// Reports what the journal could not give back.
    fn report(&mut self, replayed: &Replay) {
        for damage in &replayed.damage {
            let lost = damage.lost.clone().map(|range| not_in_segments(&self.catalog, range)).unwrap_or_default();
            // A gap whose events are in segments that were taken in.
            if lost.is_empty() && damage.is_gap {
                continue;
            }
            let reason = format!("{:?}", damage.reason);
            lost.iter().for_each(|range| self.lose(&damage.file, range, &reason));
            let lost = match lost.iter().map(stretch).collect::<Vec<_>>().join(", ") {
                _ if damage.is_open => format!("what came from sequence {} on is lost, if anything did", replayed.next_sequence),
                none if none.is_empty() => "no event is lost".to_owned(),
                stretches => format!("{stretches} are lost"),
            };
            self.problem(format!("{} is damaged at byte {}: {lost}: {reason}", damage.file, damage.offset));
        }
    }
}

fn stretch(sequences: &Range<Sequence>) -> String {
    format!("the events from sequence {} to {}", sequences.start, sequences.end.0.saturating_sub(1))
}
