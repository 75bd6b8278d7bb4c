//! [`Holding`]: what of the days that are due waits, because somebody has not got it yet.
//!
//! The owner of a log says up to which sequence everything has arrived where it belongs, and how many bytes of segments may wait for the
//! rest. What waits is always the newest of what is due: where there is too much of it, the oldest goes, so that one stretch is lost and not
//! many. An owner that must first find out what is held opens the log with `expiry_waits`: then nothing goes before it has said so once.
//! Limits: what is held is known as long as the log is open only; whole segments wait.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{SegmentId, Sequence};
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::options::Hold;
use crate::sync::Mutex;

/// What waits, and for what.
#[derive(Debug)]
pub(crate) struct Holding {
    /// `None` until the owner has said what is held.
    hold: Mutex<Option<Hold>>,
    /// The bytes of segments that are due and wait.
    pub(crate) held_bytes: AtomicU64,
    /// Since the log was opened: events that were to wait, and went because too much did.
    pub(crate) let_go_events: AtomicU64,
}

/// What becomes of the segments that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Those that go.
    pub(crate) gone: BTreeSet<SegmentId>,
    /// The bytes of those that wait.
    pub(crate) held_bytes: u64,
    /// Events that were to wait and go.
    pub(crate) let_go_events: u64,
}

impl Holding {
    /// Nothing is held; with `waits`, nothing goes before [`Holding::set`].
    pub(crate) fn new(waits: bool) -> Holding {
        let hold = if waits { None } else { Some(Hold::default()) };
        Holding { hold: Mutex::new(hold), held_bytes: AtomicU64::new(0), let_go_events: AtomicU64::new(0) }
    }

    /// Says what is held from now on.
    pub(crate) fn set(&self, hold: Hold) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
    }

    /// Decides about the segments that are due, the oldest first.
    pub(crate) fn decide(&self, due: &[CatalogEntry]) -> Fate {
        let hold = *self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let fate = hold.map_or_else(Fate::default, |hold| fate(due, &hold));
        self.held_bytes.store(fate.held_bytes, Ordering::Relaxed);
        fate
    }
}

fn fate(due: &[CatalogEntry], hold: &Hold) -> Fate {
    let mut fate = Fate::default();
    let mut fits = true;
    for entry in due.iter().rev() {
        // The first sequence that is owed to somebody.
        let owed_from = hold.behind.map_or(Sequence(u64::MAX), |arrived| arrived.plus(1));
        let owed = entry.end_sequence().0.saturating_sub(entry.first_sequence.max(owed_from).0);
        fits &= fate.held_bytes.saturating_add(entry.file_bytes) <= hold.bytes_max;
        if owed > 0 && fits {
            fate.held_bytes = fate.held_bytes.saturating_add(entry.file_bytes);
        } else {
            fate.gone.insert(entry.id);
            fate.let_go_events = fate.let_go_events.saturating_add(owed);
        }
    }
    fate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::live::catalog::tests_entry;

    /// Segments of ten events and 100 bytes each, from sequence 1 on.
    fn due() -> Vec<CatalogEntry> {
        let entry = |i: u64| CatalogEntry {
            id: SegmentId(i + 1),
            first_sequence: Sequence(i * 10 + 1),
            documents: 10,
            file_bytes: 100,
            ..tests_entry()
        };
        (0..4).map(entry).collect()
    }

    fn gone(behind: Option<u64>, bytes_max: u64) -> (Vec<u64>, u64, u64) {
        let fate = fate(&due(), &Hold { behind: behind.map(Sequence), bytes_max });
        (fate.gone.iter().map(|id| id.0).collect(), fate.held_bytes, fate.let_go_events)
    }

    #[test]
    fn what_is_owed_waits_and_the_newest_of_it_where_there_is_too_much() {
        assert_eq!(gone(None, 1_000), (vec![1, 2, 3, 4], 0, 0));
        assert_eq!(gone(Some(40), 1_000), (vec![1, 2, 3, 4], 0, 0));
        assert_eq!(gone(Some(20), 1_000), (vec![1, 2], 200, 0));
        assert_eq!(gone(Some(15), 1_000), (vec![1], 300, 0), "a segment that is owed in part waits whole");
        assert_eq!(gone(Some(0), 1_000), (vec![], 400, 0));
        assert_eq!(gone(Some(15), 299), (vec![1, 2], 200, 5));
        assert_eq!(gone(Some(0), 0), (vec![1, 2, 3, 4], 0, 40));
        assert_eq!(gone(Some(u64::MAX), 1_000), (vec![1, 2, 3, 4], 0, 0));
    }

    #[test]
    fn who_waits_for_its_owner_lets_nothing_go() {
        let holding = Holding::new(true);
        assert_eq!(holding.decide(&due()), Fate::default());
        holding.set(Hold::default());
        assert_eq!(holding.decide(&due()).gone.len(), 4);
        assert_eq!(Holding::new(false).decide(&due()).gone.len(), 4);
    }
}
