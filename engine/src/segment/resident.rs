//! [`Resident`]: how much of the mapped segments the process counts as its own.
//!
//! Problem: every page of a map that was ever read counts as memory of the process, though the system could take it back at any time: after
//! a search through a month it would be all of the month, and where memory is limited the process may be ended for it. Mechanism: readers say
//! how much they touch; now and then the system is asked how much the process has, and what is too much is given back: by a
//! scan the pages of its own segment, after a question those of all. Pages come back from the system's cache at a
//! microsecond for sixteen of them. Limits: between two looks it can be more by [`LOOK_BYTES`] for each thread; where the system does
//! not say how much there is, nothing is given back.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::MAPPED_BYTES_MAX;
use crate::storage::mapped_bytes;

/// After so many bytes were touched there is a look, which takes some microseconds.
const LOOK_BYTES: u64 = 8 << 20;

/// What was touched since the last look.
#[derive(Debug, Default)]
pub(crate) struct Resident(AtomicU64);

impl Resident {
    /// Notes that at most so many bytes of a map were touched. True when there are too many pages and some are to be given back.
    pub(crate) fn touch(&self, bytes: u64) -> bool {
        let touched = self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if touched < LOOK_BYTES {
            return false;
        }
        self.0.store(0, Ordering::Relaxed);
        mapped_bytes().is_some_and(|resident| resident > MAPPED_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_after_enough_was_touched() {
        let resident = Resident::default();
        assert!(!resident.touch(LOOK_BYTES - 1));
        assert_eq!(resident.0.load(Ordering::Relaxed), LOOK_BYTES - 1);
        let too_much = mapped_bytes().unwrap() > MAPPED_BYTES_MAX;
        assert_eq!((resident.touch(1), resident.0.load(Ordering::Relaxed)), (too_much, 0));
    }
}
