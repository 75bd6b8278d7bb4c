//! Strays: segment files that the catalog does not name.
//!
//! **Problem.** Such a file is what a flush, a merge or retention left behind when the process died, and then it is of no use. But
//! where the catalog is older than the directory (it was put back from a copy, or the directory was copied while it was in use), the
//! same file holds events that nothing else holds.
//!
//! **Mechanism.** A file is removed only where that is provably no loss: it was not finished; its day is over the retention by the
//! catalog's own clock; or segments that the catalog names, and that can be opened, have its very events. It is taken in again when its
//! events come after everything the catalog knows of, or when it has all events of named segments that cannot be opened (then it is
//! what they were merged into), and it is intact, and the journal does not tell another story. Everything else is set aside under
//! another name, and reported.
//!
//! **Limits.** Whether two stretches of the log are the same is judged by their first, middle and last common events.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{SegmentId, Sequence};
use crate::journal::{ReplayedFrame, replay};
use crate::lifecycle::live::catalog::{CATALOG, Catalog, CatalogEntry};
use crate::lifecycle::live::parts::LiveSegment;
use crate::lifecycle::live::retention::is_due;
use crate::mutants;
use crate::segment::Segment;
use crate::segment::cache::Caches;
use crate::segment::file::source::Source;
use crate::segment::read::fetch::fetch_texts;
use crate::segment::read::verify::verify;
use crate::storage::Storage;

/// A segment file that the catalog does not name.
#[derive(Debug)]
pub(crate) struct Stray {
    /// Its name.
    pub(crate) name: String,
    /// Its segment, and what the catalog would say of it.
    pub(crate) opened: Result<(CatalogEntry, Arc<Segment>)>,
    /// Whether the journal has other events at its sequences.
    contradicted: bool,
}

/// What becomes of a stray.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes: nothing is lost with it.
    Remove,
    /// It is taken in, in place of these segments, all of whose events it has.
    Adopt(Vec<SegmentId>),
    /// It is kept under another name, for this reason.
    SetAside(&'static str),
}

/// Opens these files; the widest come first among those that begin alike. Files that are gone meanwhile are passed over.
pub(crate) fn open(storage: &dyn Storage, names: Vec<(String, SegmentId)>, caches: &Arc<Caches>) -> Vec<Stray> {
    let mut strays: Vec<Stray> = names
        .into_iter()
        .map(|(name, id)| Stray { opened: open_one(storage, &name, id, caches), name, contradicted: false })
        .filter(|stray| !matches!(&stray.opened, Err(e) if e.kind() == ErrorKind::NotFound))
        .collect();
    let key = |entry: &CatalogEntry| (entry.first_sequence, u32::MAX - entry.documents, u64::MAX - entry.id.0);
    strays.sort_by_key(|stray| stray.opened.as_ref().ok().map(|(entry, _)| key(entry)));
    strays
}

fn open_one(storage: &dyn Storage, name: &str, id: SegmentId, caches: &Arc<Caches>) -> Result<(CatalogEntry, Arc<Segment>)> {
    let source = Source::open(storage, name)?;
    let crc32 = source.checksum(0..source.len()).map_err(|e| e.in_file(name))?;
    let segment = Segment::open(source, name, caches.clone())?;
    if segment.id() != id {
        return Err(Error::corrupt("the file is of another segment than its name says").in_file(name).expected(id, segment.id()));
    }
    let entry = CatalogEntry::of(id, segment.meta(), segment.file_bytes(), crc32);
    Ok((entry, Arc::new(segment)))
}

/// Notes which strays have other events than the journal at the same sequences: then they are of another life of the directory.
///
/// # Errors
/// What reading the journal gives.
pub(crate) fn compare_with_journal(storage: &dyn Storage, catalog: &Catalog, strays: &mut [Stray], budget: &Budget) -> Result<()> {
    let after = |stray: &Stray| matches!(&stray.opened, Ok((entry, _)) if entry.end_sequence() > catalog.flushed_to);
    if !strays.iter().any(after) {
        return Ok(());
    }
    replay(storage, catalog.flushed_to, &mut |frame| {
        for stray in strays.iter_mut().filter(|stray| !stray.contradicted) {
            if let Ok((entry, segment)) = &stray.opened {
                stray.contradicted = differs(entry, segment, &frame, budget);
            }
        }
        Ok(())
    })
    .map(drop)
}

/// Whether the first or the last event that a frame and a segment have in common is not the same in both.
fn differs(entry: &CatalogEntry, segment: &Segment, frame: &ReplayedFrame<'_>, budget: &Budget) -> bool {
    let first = entry.first_sequence.max(frame.first_sequence).0;
    let end = entry.end_sequence().min(frame.first_sequence.plus(frame.events.len() as u64)).0;
    let same = |sequence: u64| {
        let range = usize::try_from(sequence - frame.first_sequence.0).ok().and_then(|at| frame.events.get(at).cloned());
        let text = range.and_then(|range| frame.text.get(range));
        text.is_some() && text == text_at(segment, Sequence(sequence), budget).as_deref()
    };
    first < end && !(same(first) && same(end - 1))
}

fn text_at(segment: &Segment, sequence: Sequence, budget: &Budget) -> Option<Vec<u8>> {
    let offset = sequence.0.checked_sub(segment.meta().first_sequence.0).and_then(|offset| u32::try_from(offset).ok())?;
    let document = segment.sequences().ok()?.find(offset)?;
    let mut texts = Vec::new();
    fetch_texts(segment, &[document], budget, &mut texts).ok()?;
    texts.pop()
}

/// Whether the segments have the same events at the sequences that they share.
fn same_events(a: &Segment, b: &Segment, budget: &Budget) -> bool {
    let end = |s: &Segment| s.meta().first_sequence.plus(u64::from(s.meta().documents));
    let (first, end) = (a.meta().first_sequence.max(b.meta().first_sequence).0, end(a).min(end(b)).0);
    let same = |sequence: u64| {
        let text = text_at(a, Sequence(sequence), budget);
        text.is_some() && text == text_at(b, Sequence(sequence), budget)
    };
    first >= end || [first, first + (end - first) / 2, end - 1].into_iter().all(same)
}

/// Decides what becomes of a stray beside the live segments, of which those taken in before are.
pub(crate) fn decide(stray: &Stray, live: &[LiveSegment], catalog: &Catalog, retention: Duration, budget: &Budget) -> Fate {
    let Ok((entry, segment)) = &stray.opened else {
        if mutants::is("unreadable_stray_removed") {
            return Fate::Remove;
        }
        return Fate::SetAside("it cannot be read");
    };
    if is_due(entry, retention, catalog.trusted_time) {
        return Fate::Remove;
    }
    let covers = |live: &&LiveSegment| live.segment.is_some() && live.entry.first_sequence < entry.end_sequence();
    if is_covered(entry, live.iter().filter(covers).map(|live| &live.entry)) {
        let mut beside = live.iter().filter_map(|live| live.segment.as_ref());
        let same = beside.all(|other| same_events(segment, other, budget));
        return if same { Fate::Remove } else { Fate::SetAside("a live segment has other events at its sequences") };
    }
    let beside: Vec<&LiveSegment> = live.iter().filter(|live| overlap(entry, &live.entry)).collect();
    let within =
        |live: &&LiveSegment| entry.first_sequence <= live.entry.first_sequence && live.entry.end_sequence() <= entry.end_sequence();
    if !beside.iter().all(within) {
        return Fate::SetAside("it has a part of the events of a live segment");
    }
    if beside.iter().filter_map(|live| live.segment.as_ref()).any(|other| !same_events(segment, other, budget)) {
        return Fate::SetAside("a live segment has other events at its sequences");
    }
    let is_later = entry.first_sequence >= catalog.flushed_to || entry.id >= catalog.next_segment;
    if beside.is_empty() && !is_later {
        return Fate::SetAside("the catalog has let go of it before its day was over the retention");
    }
    if stray.contradicted {
        return Fate::SetAside("the journal has other events at its sequences");
    }
    match verify(segment, budget) {
        Ok(errors) if errors.is_empty() => Fate::Adopt(beside.iter().map(|live| live.entry.id).collect()),
        _ => Fate::SetAside("it is damaged"),
    }
}

fn overlap(a: &CatalogEntry, b: &CatalogEntry) -> bool {
    a.first_sequence < b.end_sequence() && b.first_sequence < a.end_sequence()
}

/// Whether all sequences of an entry are those of others, which come in the order of theirs.
pub(crate) fn is_covered<'a>(entry: &CatalogEntry, others: impl Iterator<Item = &'a CatalogEntry>) -> bool {
    let mut next = entry.first_sequence;
    for other in others {
        if other.first_sequence <= next {
            next = next.max(other.end_sequence());
        }
    }
    next >= entry.end_sequence()
}

/// Whether a file was set aside: by [`set_aside`], or by the journal because it was damaged.
pub(crate) fn is_aside(name: &str) -> bool {
    let was_live = name.starts_with("segment-") || name.starts_with(CATALOG);
    (was_live && name.contains(".aside")) || name.starts_with("journal-quarantined-")
}

/// Gives a file a name under which no start looks at it; returns the name.
///
/// # Errors
/// What the operating system says.
pub(crate) fn set_aside(storage: &dyn Storage, name: &str) -> Result<String> {
    let names = storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
    let mut aside = format!("{name}.aside");
    for number in 2u32.. {
        if !names.contains(&aside) {
            break;
        }
        aside = format!("{name}.aside-{number}");
    }
    let renamed = storage.rename(name, &aside).and_then(|()| storage.sync_directory());
    renamed.map_err(|e| Error::io("cannot set a file aside", e).in_file(name))?;
    Ok(aside)
}

/// The end of the events from `from` on that are in segments without a gap.
pub(crate) fn end_of_flushed(catalog: &Catalog) -> Sequence {
    let mut end = catalog.flushed_to;
    for entry in &catalog.segments {
        if entry.first_sequence <= end {
            end = end.max(entry.end_sequence());
        }
    }
    end
}

/// Cuts a stretch of sequences into what is in no segment of the catalog.
pub(crate) fn not_in_segments(catalog: &Catalog, stretch: std::ops::Range<Sequence>) -> Vec<std::ops::Range<Sequence>> {
    let (mut next, mut pieces) = (stretch.start, Vec::new());
    for entry in catalog.segments.iter().filter(|e| e.first_sequence < stretch.end && e.end_sequence() > stretch.start) {
        if next < entry.first_sequence {
            pieces.push(next..entry.first_sequence);
        }
        next = next.max(entry.end_sequence());
    }
    if next < stretch.end {
        pieces.push(next..stretch.end);
    }
    pieces
}
