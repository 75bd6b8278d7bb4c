//! [`Top`]: the best keys of a page, however many documents match.

use std::collections::BinaryHeap;

use crate::index::Key;
use crate::query::question::request::Order;

/// A document of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    rank: (i64, u64),
    pub(crate) key: Key,
    /// The number of its part in the context.
    pub(crate) part: usize,
    pub(crate) document: u32,
}

/// A bounded heap of hits; the worst is on top.
pub(crate) struct Top {
    order: Order,
    after: Option<(i64, u64)>,
    capacity: usize,
    hits: BinaryHeap<Hit>,
}

/// Smaller is earlier on the page, in both orders.
fn rank(order: Order, key: Key) -> (i64, u64) {
    match order {
        Order::Ascending => (key.time.0, key.sequence.0),
        // Complements turn the order around without overflow.
        Order::Descending => (!key.time.0, !key.sequence.0),
    }
}

impl Top {
    /// Holds at most `capacity` hits that come after the key `after`.
    pub(crate) fn new(order: Order, after: Option<Key>, capacity: usize) -> Top {
        Top { order, after: after.map(|key| rank(order, key)), capacity, hits: BinaryHeap::new() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Offers a document. False when it is no better than what is held: nothing that comes after it need be offered.
    pub(crate) fn offer(&mut self, key: Key, part: usize, document: u32) -> bool {
        let hit = Hit { rank: rank(self.order, key), key, part, document };
        if self.after.is_some_and(|after| hit.rank <= after) {
            return true;
        }
        if self.hits.len() < self.capacity {
            self.hits.push(hit);
            return true;
        }
        match self.hits.peek_mut() {
            Some(mut worst) if hit.rank < worst.rank => {
                *worst = hit;
                true
            }
            _ => false,
        }
    }

    /// The key that a hit must be better than; `None` while there is room.
    pub(crate) fn worst(&self) -> Option<Key> {
        if self.hits.len() < self.capacity { None } else { self.hits.peek().map(|hit| hit.key) }
    }

    /// Whether a key would be held.
    pub(crate) fn takes(&self, key: Key) -> bool {
        self.worst().is_none_or(|worst| rank(self.order, key) < rank(self.order, worst))
    }

    /// The hits in page order.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.hits.into_sorted_vec()
    }
}
