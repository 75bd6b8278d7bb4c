//! [`Shared`]: what the threads of a log have in common.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::extract::Extractor;
use crate::id::{SegmentId, Sequence};
use crate::lifecycle::catalog::Catalog;
use crate::lifecycle::parts::Parts;
use crate::lifecycle::queue::Queue;
use crate::lifecycle::retention::TrustedClock;
use crate::options::Options;
use crate::segment::dictionary::page_cache::PageCache;
use crate::storage::Storage;

/// Called with the last visible sequence.
pub(crate) type Notify = Box<dyn Fn(Sequence) + Send + Sync>;

/// What the threads of a log have in common.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) extractor: Extractor,
    pub(crate) pages: Arc<PageCache>,
    pub(crate) parts: RwLock<Parts>,
    /// Held by whoever changes the catalog; the disk is written under it, and `parts` is changed after.
    pub(crate) catalog: Mutex<Catalog>,
    pub(crate) trusted: TrustedClock,
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
    pub(crate) problems: Mutex<Vec<String>>,
    pub(crate) recovery_note: Option<String>,
    pub(crate) notify: RwLock<Option<Notify>>,
    /// The bytes of the journal files, as the writer last saw them.
    pub(crate) journal_bytes: AtomicU64,
    /// Segments that were found not to be mergeable, until the log is opened again.
    unmergeable: Mutex<BTreeSet<SegmentId>>,
    wake: Signal,
}

/// Counts since the log was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended_events: AtomicU64,
    pub(crate) appended_bytes: AtomicU64,
    pub(crate) duplicate_events: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) compacted_segments: AtomicU64,
    pub(crate) expired_segments: AtomicU64,
    pub(crate) quarantined: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// A number that changes, and those who wait for it to change.
#[derive(Debug, Default)]
struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

/// Everything that a log begins with.
pub(crate) struct Beginning {
    pub(crate) options: Options,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pages: Arc<PageCache>,
    pub(crate) parts: Parts,
    pub(crate) catalog: Catalog,
    pub(crate) problems: Vec<String>,
    pub(crate) recovery_note: Option<String>,
    pub(crate) quarantined: u64,
}

impl Shared {
    pub(crate) fn new(extractor: Extractor, beginning: Beginning) -> Shared {
        let trusted = TrustedClock::new(beginning.clock.clone(), beginning.catalog.trusted_time);
        let queue = Queue::new(beginning.options.pending_bytes_max);
        let counters = Counters::default();
        Counters::add(&counters.quarantined, beginning.quarantined);
        Shared {
            options: beginning.options,
            storage: beginning.storage,
            clock: beginning.clock,
            extractor,
            pages: beginning.pages,
            parts: RwLock::new(beginning.parts),
            catalog: Mutex::new(beginning.catalog),
            trusted,
            queue,
            counters,
            problems: Mutex::new(beginning.problems),
            recovery_note: beginning.recovery_note,
            notify: RwLock::new(None),
            journal_bytes: AtomicU64::new(0),
            unmergeable: Mutex::default(),
            wake: Signal::default(),
        }
    }

    /// The log as it is now.
    pub(crate) fn parts(&self) -> Parts {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the log, and tells those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        let result = change(&mut self.parts.write().unwrap_or_else(PoisonError::into_inner));
        self.signal();
        result
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Segments that were found not to be mergeable.
    pub(crate) fn unmergeable(&self) -> MutexGuard<'_, BTreeSet<SegmentId>> {
        self.unmergeable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a full head waits to be flushed.
    pub(crate) fn is_flushing(&self) -> bool {
        !self.parts.read().unwrap_or_else(PoisonError::into_inner).frozen.is_empty()
    }

    /// Notes something that an operator should know. Told once.
    pub(crate) fn problem(&self, problem: String) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < 100 && !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Wakes everyone in [`Shared::wait`].
    pub(crate) fn signal(&self) {
        *self.wake.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.wake.changed.notify_all();
    }

    /// How often there was a signal; to be read before the condition that [`Shared::wait`] waits for.
    pub(crate) fn signals(&self) -> u64 {
        *self.wake.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there was another signal than those counted, or the time is over.
    pub(crate) fn wait(&self, signals: u64, time_max: Duration) {
        let count = self.wake.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _unused = self.wake.changed.wait_timeout_while(count, time_max, |count| *count == signals);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("storage", &self.storage).finish_non_exhaustive()
    }
}
