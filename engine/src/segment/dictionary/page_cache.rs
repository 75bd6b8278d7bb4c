//! [`PageCache`]: unfolded pages of all segments, within a bound of memory.
//!
//! Sharded by key, so that queries on different threads seldom wait for each other. Each shard is a clock: a page that was used since
//! the hand last passed it is spared once. A new page counts as unused until it is hit, so pages that are looked at once go
//! first. Pages of dropped segments are never hit again and go the same way; segment ids are never reused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::error::Result;
use crate::id::SegmentId;
use crate::segment::dictionary::page::Page;

const SHARDS: usize = 16;

/// What a page takes in the cache beside itself: slot, map entry and counts, generously.
const SLOT_BYTES: usize = 96;

type Key = (SegmentId, u32);

/// Unfolded pages, shared by all segments of an engine.
#[derive(Debug)]
pub(crate) struct PageCache {
    shards: Vec<Mutex<Shard>>,
    shard_bytes_max: usize,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    page: Arc<Page>,
    bytes: usize,
    used: bool,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<Key, usize, RandomState>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

impl PageCache {
    /// A cache that holds at most this many bytes; with 0 it holds nothing.
    pub(crate) fn new(bytes_max: usize) -> PageCache {
        PageCache { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), shard_bytes_max: bytes_max / SHARDS }
    }

    /// A page that is held.
    pub(crate) fn get(&self, segment: SegmentId, page: u32) -> Option<Arc<Page>> {
        let mut shard = self.shard((segment, page))?;
        let place = *shard.places.get(&(segment, page))?;
        let slot = shard.slots.get_mut(place)?;
        slot.used = true;
        Some(Arc::clone(&slot.page))
    }

    /// A page: held, or else made by `unfold` and held from now on. No lock is held meanwhile; two callers may both make it.
    ///
    /// # Errors
    /// What `unfold` gives.
    pub(crate) fn get_or(&self, segment: SegmentId, page: u32, unfold: impl FnOnce() -> Result<Page>) -> Result<Arc<Page>> {
        if let Some(held) = self.get(segment, page) {
            return Ok(held);
        }
        let made = Arc::new(unfold()?);
        if let Some(mut shard) = self.shard((segment, page)) {
            shard.insert((segment, page), Arc::clone(&made), self.shard_bytes_max);
        }
        Ok(made)
    }

    /// What the held pages take, in bytes.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    fn shard(&self, (segment, page): Key) -> Option<MutexGuard<'_, Shard>> {
        let mixed = (segment.0 ^ u64::from(page).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.shards.get((mixed >> 32) as usize % SHARDS).map(lock)
    }
}

/// A shard stays whole when a thread dies in it: at worst a page is counted that is not there.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn insert(&mut self, key: Key, page: Arc<Page>, bytes_max: usize) {
        let bytes = page.memory_bytes() + SLOT_BYTES;
        if bytes > bytes_max || self.places.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > bytes_max && !self.slots.is_empty() {
            self.turn();
        }
        self.places.insert(key, self.slots.len());
        self.slots.push(Slot { key, page, bytes, used: false });
        self.bytes += bytes;
    }

    /// Moves the hand by one page: spares it or lets it go.
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

    fn page(number: u32) -> Page {
        let (mut page, mut coded) = (Page::default(), Vec::new());
        put_term(b"", &number.to_le_bytes().repeat(1 + number as usize % 500), &mut coded);
        page.unfold(&coded, 1).unwrap();
        page
    }

    proptest! {
        #[test]
        fn stays_within_its_bound_and_gives_the_right_page(asked in proptest::collection::vec((0u64..4, 0u32..200), 0..600), bytes_max in 0usize..400_000) {
            let cache = PageCache::new(bytes_max);
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
        let cache = PageCache::new(SHARDS * 8_000);
        cache.get_or(SegmentId(1), 0, || Ok(page(0))).unwrap();
        for number in 1..5_000 {
            assert!(cache.get(SegmentId(1), 0).is_some(), "gone after {number}");
            cache.get_or(SegmentId(2), number, || Ok(page(number))).unwrap();
        }
        assert!(cache.get(SegmentId(2), 1).is_none());
    }

    #[test]
    fn an_error_is_handed_on_and_nothing_is_held() {
        let cache = PageCache::new(1 << 20);
        assert!(cache.get_or(SegmentId(1), 0, || Err(crate::error::Error::corrupt("x"))).is_err());
        assert_eq!(cache.memory_bytes(), 0);
    }
}
