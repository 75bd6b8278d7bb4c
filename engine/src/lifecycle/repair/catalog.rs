//! A catalog made from the segment files, where the catalog itself is damaged or missing.
//!
//! Every segment says of itself what the catalog says of it. Where files hold the same sequences (a merge died before its inputs were removed),
//! intact ones go first, then the widest. The log is taken up where segments or journal begin, so that every hole behind that is found and
//! named. Not known any more is which segments were final, which is decided again, and which time retention may trust: the last
//! receive time, unless the clock says it is earlier.

use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{SegmentId, Sequence, Timestamp};
use crate::journal::replay;
use crate::lifecycle::flush::PARTIAL;
use crate::lifecycle::live::catalog::{Catalog, CatalogEntry};
use crate::lifecycle::recovery::strays::{self, end_of_flushed, is_covered};
use crate::segment::Segment;
use crate::segment::cache::Caches;
use crate::segment::read::verify::verify_with;
use crate::storage::Storage;

/// A segment with everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct Examined {
    /// What the catalog says of it, or would say.
    pub(crate) entry: CatalogEntry,
    /// `None` when it could not be opened.
    pub(crate) segment: Option<Arc<Segment>>,
    /// Empty when it is intact.
    pub(crate) errors: Vec<Error>,
}

/// The id in the name of a segment file, whatever stands behind it.
pub(crate) fn id_in(name: &str) -> Option<SegmentId> {
    let digits = name.strip_prefix("segment-")?.get(..16)?;
    u64::from_str_radix(digits, 16).ok().map(SegmentId)
}

/// An id that no file of the directory has had.
///
/// # Errors
/// What the operating system says.
pub(crate) fn unused_id(storage: &dyn Storage, at_least: SegmentId) -> Result<SegmentId> {
    let names = storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
    let used = names.iter().filter_map(|name| id_in(name)).map(|id| id.0.saturating_add(1)).max();
    Ok(SegmentId(used.unwrap_or(1).max(at_least.0)))
}

/// What the files of a directory say of themselves.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    /// The catalog that they make.
    pub(crate) catalog: Catalog,
    /// All segments that it names.
    pub(crate) segments: Vec<Examined>,
    /// What the system did not let be read, so that it may be missing.
    pub(crate) refused: Vec<Error>,
}

/// The catalog that the files of a directory make, and all segments that it names. `on_read` is told of bytes of segments.
///
/// # Errors
/// When the directory cannot be listed; cancellation.
pub(crate) fn rebuilt(
    storage: &dyn Storage,
    caches: &Arc<Caches>,
    now: Timestamp,
    budget: &Budget,
    on_read: &dyn Fn(&str, u64),
) -> Result<Rebuilt> {
    let (found, mut refused) = examined(storage, caches, budget, on_read)?;
    let segments = chosen(found);
    let entries: Vec<CatalogEntry> = segments.iter().map(|found| found.entry).collect();
    let in_journal = match replay(storage, Sequence::FIRST, &mut |_| Ok(())) {
        Ok(journal) => journal.files.first().map(|file| file.first_sequence),
        Err(error) => {
            refused.push(error);
            None
        }
    };
    let begin = entries.iter().map(|entry| entry.first_sequence).chain(in_journal).min();
    let trusted = entries.iter().map(|entry| entry.received_max).max().unwrap_or(now).min(now);
    let mut catalog = Catalog {
        next_segment: unused_id(storage, SegmentId(1))?,
        flushed_to: begin.unwrap_or(Sequence::FIRST),
        trusted_time: trusted,
        // Opening names the newest that it makes.
        newest_journal: 0,
        segments: entries,
    };
    catalog.flushed_to = end_of_flushed(&catalog);
    Ok(Rebuilt { catalog, segments, refused })
}

fn examined(
    storage: &dyn Storage,
    caches: &Arc<Caches>,
    budget: &Budget,
    on_read: &dyn Fn(&str, u64),
) -> Result<(Vec<Examined>, Vec<Error>)> {
    let names = storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
    let is_whole = |name: &String| name.len() == "segment-".len() + 16 && !name.ends_with(PARTIAL);
    let names = names.into_iter().filter(is_whole).filter_map(|name| id_in(&name).map(|id| (name, id))).collect();
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for stray in strays::open(storage, names, caches) {
        match stray.opened {
            Ok((entry, segment)) => {
                let errors = verify_with(&segment, budget, &|bytes| on_read(&stray.name, bytes))?;
                found.push(Examined { entry, segment: Some(segment), errors });
            }
            // It has no place in the log; opening sets it aside and says so.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::NotFound) => {}
            Err(error) => refused.push(error),
        }
    }
    Ok((found, refused))
}

/// Those that go together, in the order of their sequences.
fn chosen(mut found: Vec<Examined>) -> Vec<Examined> {
    found.sort_by_key(|one| (!one.errors.is_empty(), u32::MAX - one.entry.documents, one.entry.id.0));
    let mut chosen: Vec<Examined> = Vec::new();
    for one in found {
        let overlaps = |other: &Examined| {
            one.entry.first_sequence < other.entry.end_sequence() && other.entry.first_sequence < one.entry.end_sequence()
        };
        // Of a damaged one only that is taken which no other has, so it may overlap.
        let entries = chosen.iter().map(|other| &other.entry);
        let adds = if one.errors.is_empty() { !chosen.iter().any(overlaps) } else { !is_covered(&one.entry, entries) };
        if adds {
            chosen.push(one);
            chosen.sort_by_key(|one| one.entry.first_sequence);
        }
    }
    chosen
}
