//! [`Shared`]: what the threads of a log have in common.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::extract::Extractor;
use crate::id::{SegmentId, Sequence};
use crate::index::TimeRange;
use crate::lifecycle::live::catalog::Catalog;
use crate::lifecycle::live::holding::Holding;
use crate::lifecycle::live::parts::Parts;
use crate::lifecycle::live::problems::Problems;
use crate::lifecycle::live::queue::Queue;
use crate::lifecycle::live::reserve::Reserve;
use crate::lifecycle::live::retention::TrustedClock;
use crate::lifecycle::live::spare::SpareHead;
use crate::mutants;
use crate::options::Options;
use crate::segment::cache::Caches;
use crate::status::Gap;
use crate::storage::Storage;
use crate::sync::{Condvar, Mutex, MutexGuard, RwLock};

/// Called with the last visible sequence.
pub(crate) type Notify = Box<dyn Fn(Sequence) + Send + Sync>;

/// What the threads of a log have in common.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) extractor: Arc<Extractor>,
    pub(crate) caches: Arc<Caches>,
    pub(crate) parts: RwLock<Parts>,
    pub(crate) spare: SpareHead,
    /// Held by whoever changes the catalog; the disk is written under it, and `parts` is changed after.
    pub(crate) catalog: Mutex<Catalog>,
    pub(crate) reserve: Reserve,
    pub(crate) trusted: TrustedClock,
    pub(crate) holding: Holding,
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Counters,
    pub(crate) problems: Problems,
    /// What is known to be missing: stretches of the journal that could not be read.
    pub(crate) lost: Vec<Gap>,
    pub(crate) notify: RwLock<Option<Notify>>,
    /// The bytes of the journal files, as the writer last saw them.
    pub(crate) journal_bytes: AtomicU64,
    /// Segments that were found not to be mergeable, until the log is opened again.
    unmergeable: Mutex<BTreeSet<SegmentId>>,
    wake: Signal,
    /// For each background thread the signals after which it found nothing to do; [`AT_WORK`] while it looks or works.
    rested: [AtomicU64; 2],
}

/// A background thread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Background {
    /// Flushes, seals, drops.
    Upkeep,
    /// Merges.
    Merge,
}

/// No count of signals.
const AT_WORK: u64 = u64::MAX;

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
    pub(crate) caches: Arc<Caches>,
    pub(crate) parts: Parts,
    pub(crate) catalog: Catalog,
    pub(crate) problems: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) lost: Vec<Gap>,
    pub(crate) quarantined: u64,
}

impl Shared {
    pub(crate) fn new(extractor: Arc<Extractor>, beginning: Beginning) -> Shared {
        let trusted = TrustedClock::new(beginning.clock.clone(), beginning.catalog.trusted_time);
        let queue = Arc::new(Queue::new(beginning.options.pending_bytes_max));
        let counters = Counters::default();
        let holding = Holding::new(beginning.options.expiry_waits);
        Counters::add(&counters.quarantined, beginning.quarantined);
        Shared {
            options: beginning.options,
            storage: beginning.storage,
            clock: beginning.clock,
            extractor,
            caches: beginning.caches,
            parts: RwLock::new(beginning.parts),
            spare: SpareHead::default(),
            catalog: Mutex::new(beginning.catalog),
            reserve: Reserve::default(),
            trusted,
            holding,
            queue,
            counters,
            problems: Problems::new(beginning.problems, beginning.notes),
            lost: beginning.lost,
            notify: RwLock::new(None),
            journal_bytes: AtomicU64::new(0),
            unmergeable: Mutex::default(),
            wake: Signal::default(),
            rested: [AtomicU64::new(AT_WORK), AtomicU64::new(AT_WORK)],
        }
    }

    /// The log as it is now.
    pub(crate) fn parts(&self) -> Parts {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the log, and tells those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        if mutants::is("told_before_the_change") {
            self.signal();
            return change(&mut self.parts.write().unwrap_or_else(PoisonError::into_inner));
        }
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
        self.problems.report(problem);
    }

    /// Notes the damage that some work came upon.
    pub(crate) fn note_gaps(&self, gaps: &[Gap]) {
        gaps.iter().for_each(|gap| self.problem(gap.to_string()));
    }

    /// What is known to be missing from a state of the log, with the event times that it can have had.
    pub(crate) fn missing(&self, parts: &Parts) -> Vec<(TimeRange, Gap)> {
        let unreadable = parts.segments.iter().filter_map(|live| {
            let range = TimeRange { from: live.entry.time_min, to: live.entry.time_max.shift(1) };
            Some((range, live.gap()?))
        });
        unreadable.chain(self.lost.iter().map(|gap| (TimeRange::ALL, gap.clone()))).collect()
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

    /// The same for a background thread that found nothing to do, or nothing that it can do before.
    pub(crate) fn rest(&self, who: Background, signals: u64, time_max: Duration) {
        let [upkeep, merge] = &self.rested;
        let rested = match who {
            Background::Upkeep => upkeep,
            Background::Merge => merge,
        };
        rested.store(signals, Ordering::SeqCst);
        self.wait(signals, time_max);
        rested.store(AT_WORK, Ordering::SeqCst);
    }

    /// Whether nobody works, and nobody was told of anything since: the writer has nothing to write, and the background threads have looked at
    /// all that has changed.
    pub(crate) fn is_at_rest(&self) -> bool {
        // Asked before and after: who rests may have handed the writer something on the way.
        let idle = || self.queue.is_idle();
        let signals = self.signals();
        idle() && self.rested.iter().all(|rested| rested.load(Ordering::SeqCst) == signals) && idle() && self.signals() == signals
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("storage", &self.storage).finish_non_exhaustive()
    }
}
