//! [`Caches`]: what was unfolded of all segments, within bounds of memory: pages of dictionaries and what was found in them, units of blocks,
//! the terms of documents, the texts of some.
//!
//! Sharded by key, so that queries on different threads seldom wait for each other. Each shard is a clock: what was used since the
//! hand last passed it is spared once. What is new counts as unused until it is hit, so what is looked at once goes when the hand comes by. What
//! belongs to dropped segments is never hit again and goes the same way; segment ids are never reused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::error::Result;
use crate::id::SegmentId;
use crate::segment::dictionary::page::Page;
use crate::segment::postings::by_document::TermNumbers;
use crate::segment::read::remembered::ColumnTests;
use crate::segment::resident::Resident;

const SHARDS: usize = 16;

/// What an entry takes in the cache beside itself: slot, map entry and counts, generously.
const SLOT_BYTES: usize = 96;

/// A segment, and the number of what is held within it.
type Key = (SegmentId, u64);

/// What a cache holds.
pub(crate) trait Held {
    /// What it takes in memory, in bytes.
    fn memory_bytes(&self) -> usize;
}

impl Held for Page {
    fn memory_bytes(&self) -> usize {
        Page::memory_bytes(self)
    }
}

impl<T: Held> Held for Option<T> {
    fn memory_bytes(&self) -> usize {
        self.as_ref().map_or(size_of::<Option<T>>(), T::memory_bytes)
    }
}

impl Held for ColumnTests {
    fn memory_bytes(&self) -> usize {
        ColumnTests::memory_bytes(self)
    }
}

impl Held for TermNumbers {
    fn memory_bytes(&self) -> usize {
        TermNumbers::memory_bytes(self)
    }
}

impl Held for Vec<u8> {
    fn memory_bytes(&self) -> usize {
        self.capacity() + size_of::<Vec<u8>>()
    }
}

/// The caches that all segments of an engine share.
#[derive(Debug)]
pub(crate) struct Caches {
    /// Pages of dictionaries, by their numbers.
    pub(crate) pages: Cache<Page>,
    /// The raw parts of units, by [`unit_key`].
    pub(crate) units: Cache<Vec<u8>>,
    /// The texts of documents whose blocks nobody else may want soon.
    pub(crate) texts: Cache<Vec<u8>>,
    /// The terms of all documents, by dimensions; `None` where they are not worth their memory.
    pub(crate) terms: Cache<Option<TermNumbers>>,
    /// Which values pass a test, by hashes of tests.
    pub(crate) tests: Cache<ColumnTests>,
    /// What of the maps of all segments is in memory.
    pub(crate) resident: Resident,
}

impl Caches {
    /// Caches that hold at most this many bytes each, of documents' terms twice as many, of tests and of texts an eighth; with 0 they hold nothing.
    pub(crate) fn new(bytes_max: usize) -> Caches {
        Caches {
            resident: Resident::default(),
            tests: Cache::new(bytes_max / 8),
            pages: Cache::new(bytes_max),
            units: Cache::new(bytes_max),
            texts: Cache::new(bytes_max / 8),
            terms: Cache::in_one(bytes_max * 2),
        }
    }

    /// Lets everything go; what is in use stays until it is not.
    pub(crate) fn clear(&self) {
        self.pages.clear();
        self.units.clear();
        self.texts.clear();
        self.terms.clear();
        self.tests.clear();
    }
}

/// The number of a unit within its segment.
pub(crate) fn unit_key(block: usize, unit: u32) -> u64 {
    (block as u64) << 32 | u64::from(unit)
}

/// What was unfolded, within a bound of memory.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    shards: Vec<Mutex<Shard<V>>>,
    shard_bytes_max: usize,
}

#[derive(Debug)]
struct Slot<V> {
    key: Key,
    held: Arc<V>,
    bytes: usize,
    used: bool,
}

#[derive(Debug)]
struct Shard<V> {
    places: HashMap<Key, usize, RandomState>,
    slots: Vec<Slot<V>>,
    hand: usize,
    bytes: usize,
}

impl<V> Default for Shard<V> {
    fn default() -> Shard<V> {
        Shard { places: HashMap::default(), slots: Vec::new(), hand: 0, bytes: 0 }
    }
}

impl<V: Held> Cache<V> {
    /// A cache that holds at most this many bytes; with 0 it holds nothing.
    pub(crate) fn new(bytes_max: usize) -> Cache<V> {
        Cache { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), shard_bytes_max: bytes_max / SHARDS }
    }

    /// The same for few and large things, any of which may take all of it.
    fn in_one(bytes_max: usize) -> Cache<V> {
        Cache { shards: vec![Mutex::default()], shard_bytes_max: bytes_max }
    }

    /// What it holds at most, in bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.shard_bytes_max * self.shards.len()
    }

    /// What is held under a number.
    pub(crate) fn get(&self, segment: SegmentId, number: u64) -> Option<Arc<V>> {
        let key = (segment, number);
        let mut shard = self.shard(key)?;
        let place = *shard.places.get(&key)?;
        let slot = shard.slots.get_mut(place)?;
        slot.used = true;
        Some(Arc::clone(&slot.held))
    }

    /// What is held under a number, or else is made by `unfold` and held from now on. No lock is held meanwhile; two callers may both
    /// make it.
    ///
    /// # Errors
    /// What `unfold` gives.
    pub(crate) fn get_or(&self, segment: SegmentId, number: u64, unfold: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        if let Some(held) = self.get(segment, number) {
            return Ok(held);
        }
        Ok(self.put(segment, number, unfold()?))
    }

    /// Holds what was made from now on.
    pub(crate) fn put(&self, segment: SegmentId, number: u64, made: V) -> Arc<V> {
        let made = Arc::new(made);
        if let Some(mut shard) = self.shard((segment, number)) {
            shard.insert((segment, number), Arc::clone(&made), self.shard_bytes_max);
        }
        made
    }

    /// Lets everything go.
    fn clear(&self) {
        for shard in &self.shards {
            // Dropping takes a while: not under the lock.
            let before = std::mem::take(&mut *lock(shard));
            drop(before);
        }
    }

    /// What is held takes this many bytes.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    fn shard(&self, (segment, number): Key) -> Option<MutexGuard<'_, Shard<V>>> {
        let mixed = (segment.0 ^ number.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.shards.get((mixed >> 32) as usize % self.shards.len().max(1)).map(lock)
    }
}

/// A shard stays whole when a thread dies in it: at worst something is counted that is not there.
fn lock<V>(shard: &Mutex<Shard<V>>) -> MutexGuard<'_, Shard<V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V: Held> Shard<V> {
    fn insert(&mut self, key: Key, held: Arc<V>, bytes_max: usize) {
        let bytes = held.memory_bytes() + SLOT_BYTES;
        if bytes > bytes_max || self.places.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > bytes_max && !self.slots.is_empty() {
            self.turn();
        }
        self.places.insert(key, self.slots.len());
        self.slots.push(Slot { key, held, bytes, used: false });
        self.bytes += bytes;
    }

    /// Moves the hand by one entry: spares it or lets it go. The newest takes the place of what went, behind the hand: it has a whole turn to be
    /// asked for again.
    fn turn(&mut self) {
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
        match self.slots.get_mut(self.hand) {
            Some(slot) if slot.used => {
                slot.used = false;
                self.hand += 1;
            }
            Some(_) => {
                let gone = self.slots.swap_remove(self.hand);
                self.places.remove(&gone.key);
                self.bytes = self.bytes.saturating_sub(gone.bytes);
                if let Some(moved) = self.slots.get(self.hand) {
                    self.places.insert(moved.key, self.hand);
                }
                self.hand += 1;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::dictionary::page::put_term;
    use proptest::prelude::*;

    fn page(number: u64) -> Page {
        let (mut page, mut coded) = (Page::default(), Vec::new());
        put_term(b"", &number.to_le_bytes().repeat(1 + number as usize % 500), &mut coded);
        page.unfold(&coded, 1).unwrap();
        page
    }

    proptest! {
        #[test]
        fn stays_within_its_bound_and_gives_the_right_page(asked in proptest::collection::vec((0u64..4, 0u64..200), 0..600), bytes_max in 0usize..400_000) {
            let cache = Cache::new(bytes_max);
            for (segment, number) in asked {
                let got = cache.get_or(SegmentId(segment), number, || Ok(page(number))).unwrap();
                let wanted = page(number);
                prop_assert_eq!(got.term(0), wanted.term(0));
                prop_assert!(cache.memory_bytes() <= bytes_max);
                for shard in &cache.shards {
                    let shard = lock(shard);
                    prop_assert_eq!(shard.bytes, shard.slots.iter().map(|slot| slot.bytes).sum::<usize>());
                    prop_assert!(shard.places.len() == shard.slots.len() && shard.places.iter().all(|(key, place)| shard.slots[*place].key == *key));
                }
            }
        }
    }

    #[test]
    fn a_page_in_use_outlives_pages_that_are_seen_once() {
        let cache = Cache::new(SHARDS * 64_000);
        cache.get_or(SegmentId(1), 0, || Ok(page(0))).unwrap();
        for number in 1..40_000 {
            assert!(cache.get(SegmentId(1), 0).is_some(), "gone after {number}");
            cache.get_or(SegmentId(2), number, || Ok(page(number))).unwrap();
        }
        assert!(cache.get(SegmentId(2), 1).is_none());
    }

    /// A cache that is full of what nobody wants any more takes in what is asked for round by round.
    #[test]
    fn what_is_asked_for_in_rounds_pushes_out_what_is_not() {
        let cache = Cache::new(SHARDS * 200_000);
        let fits = (SHARDS * 200_000 / (page(0).memory_bytes() + SLOT_BYTES)) as u64;
        let round = |segment: u64, pages: u64| {
            let mut missed = 0;
            for number in 0..pages {
                let unfolded = || {
                    missed += 1;
                    Ok(page(0))
                };
                cache.get_or(SegmentId(segment), number, unfolded).unwrap();
            }
            missed
        };
        for _ in 0..3 {
            round(1, fits / 2);
        }
        round(1, fits * 2);
        let missed: Vec<u64> = (0..4).map(|_| round(2, fits / 3)).collect();
        assert_eq!((missed[0], missed[3]), (fits / 3, 0), "{missed:?} of {}", fits / 3);
    }

    #[test]
    fn a_cleared_cache_holds_nothing_and_goes_on() {
        let caches = Caches::new(1 << 20);
        for _ in 0..2 {
            let held = caches.pages.get_or(SegmentId(1), 0, || Ok(page(3))).unwrap();
            assert!(caches.pages.memory_bytes() > 0);
            caches.clear();
            assert_eq!((caches.pages.memory_bytes(), held.term(0)), (0, page(3).term(0)));
            assert!(caches.pages.get(SegmentId(1), 0).is_none());
        }
    }

    #[test]
    fn an_error_is_handed_on_and_nothing_is_held() {
        let cache = Cache::<Page>::new(1 << 20);
        assert!(cache.get_or(SegmentId(1), 0, || Err(crate::error::Error::corrupt("x"))).is_err());
        assert_eq!(cache.memory_bytes(), 0);
    }
}
