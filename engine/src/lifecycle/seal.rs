//! Sealing: which segments are final.
//!
//! A segment is sealed when it has reached its target size, or when its day is over by a grace period and nothing is left to merge it with.

use std::collections::BTreeSet;

use crate::id::{Day, SegmentId, Timestamp};
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::lifecycle::live::shared::Shared;
use crate::options::Options;

/// The time that decides whether a day is over: a clock that jumped forward must not seal the running day.
pub(crate) fn seal_time(shared: &Shared) -> Timestamp {
    shared.clock.now().min(shared.trusted.now().shift(Day::NANOS))
}

/// Whether a segment has reached its target size.
pub(crate) fn is_full(entry: &CatalogEntry, options: &Options) -> bool {
    entry.documents >= options.segment_events_max || entry.file_bytes >= options.segment_bytes_max
}

/// Whether a segment's day is over by the grace period.
pub(crate) fn is_day_over(entry: &CatalogEntry, options: &Options, now: Timestamp) -> bool {
    let grace = i64::try_from(options.seal_grace.as_nanos()).unwrap_or(i64::MAX);
    entry.day.end().0.saturating_add(grace) <= now.0
}

/// Marks as sealed what is final now, which those that are still to be merged are not; returns whether anything was.
pub(crate) fn seal(segments: &mut [CatalogEntry], options: &Options, now: Timestamp, awaited: &BTreeSet<SegmentId>) -> bool {
    let mut changed = false;
    for entry in segments.iter_mut().filter(|e| !e.sealed) {
        entry.sealed = is_full(entry, options) || (is_day_over(entry, options, now) && !awaited.contains(&entry.id));
        changed |= entry.sealed;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Day;
    use crate::lifecycle::live::catalog::tests_entry;

    #[test]
    fn sealed_by_size_or_by_the_end_of_the_day() {
        let options = Options { segment_events_max: 100, segment_bytes_max: 1_000, ..Options::default() };
        let entry = CatalogEntry { day: Day(5), documents: 10, file_bytes: 10, sealed: false, ..tests_entry() };
        let noon = Timestamp(Day(5).start().0 + Day::NANOS / 2);
        let mut segments = [entry, CatalogEntry { documents: 100, ..entry }, CatalogEntry { file_bytes: 1_000, ..entry }];
        let none = BTreeSet::new();
        assert!(seal(&mut segments, &options, noon, &none));
        assert_eq!(segments.map(|e| e.sealed), [false, true, true]);
        assert!(!seal(&mut segments, &options, Day(5).end(), &none));
        let after_grace = Day(5).end().shift(options.seal_grace.as_nanos() as i64);
        let awaited = BTreeSet::from([entry.id]);
        assert!(!seal(&mut segments, &options, after_grace, &awaited) && !segments[0].sealed);
        assert!(seal(&mut segments, &options, after_grace, &none) && segments[0].sealed);
    }
}
