//! [`Resident`]: how much of the mapped segments the process counts as its own.
//!
//! Problem: every page of a map that was ever read counts as memory of the process, though the system could take it back at any time: after
//! a search through a month it would be all of the month, and where memory is limited the process may be ended for it. Mechanism: readers say
//! how much they touch; now and then the system is asked how much the process has, and when that is too much, the pages of all segments are
//! given back. They come back from the system's cache of files at a microsecond for sixteen of them. Limits: between two looks it
//! can be more by [`LOOK_BYTES`]; where the system does not say how much there is, nothing is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::limits::MAPPED_BYTES_MAX;
use crate::storage::{View, WeakView, mapped_bytes};

/// After so many bytes were touched there is a look, which takes some microseconds.
const LOOK_BYTES: u64 = 8 << 20;

/// The maps of all open segments, and what was touched of them since the last look.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    touched: AtomicU64,
    views: Mutex<Vec<WeakView>>,
}

impl Resident {
    /// Looks after a map from now on, for as long as somebody holds it.
    pub(crate) fn watch(&self, view: &View) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|view| view.upgrade().is_some());
        views.push(view.downgrade());
    }

    /// Notes that at most so many bytes of a map were touched. Gives all pages back when there are too many.
    pub(crate) fn touch(&self, bytes: u64) {
        let touched = self.touched.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if touched < LOOK_BYTES {
            return;
        }
        self.touched.store(0, Ordering::Relaxed);
        if mapped_bytes().is_some_and(|resident| resident > MAPPED_BYTES_MAX) {
            self.release();
        }
    }

    /// Gives the pages of all maps back.
    pub(crate) fn release(&self) {
        let views: Vec<View> = {
            let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            views.iter().filter_map(WeakView::upgrade).collect()
        };
        views.iter().for_each(View::release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_after_enough_was_touched() {
        let resident = Resident::default();
        resident.touch(LOOK_BYTES - 1);
        assert_eq!(resident.touched.load(Ordering::Relaxed), LOOK_BYTES - 1);
        resident.touch(1);
        assert_eq!(resident.touched.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn maps_that_are_gone_are_forgotten() {
        let (resident, kept) = (Resident::default(), View::new(vec![1]));
        for _ in 0..3 {
            resident.watch(&View::new(vec![2]));
            resident.watch(&kept);
        }
        resident.release();
        let views = resident.views.lock().unwrap();
        assert_eq!(views.iter().filter_map(WeakView::upgrade).map(|view| view.to_vec()).collect::<Vec<_>>(), vec![vec![1]; 3]);
        assert!(views.len() <= 4);
    }
}
