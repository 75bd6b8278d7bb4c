//! What an event is known by, and the partition that follows from it.
//!
//! The key says trail, sequence and time of receipt, which no other event has; or it is the event's own id, for consumers that look for it. The partition is the one that
//! Kafka's own clients choose for the key (murmur2): events of one id stay together, and the same event goes to the same partition
//! every time, as long as the topic has as many partitions.

use std::borrow::Cow;

use trail_engine::index::StoredEvent;

/// What events are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Trail, sequence, time of receipt.
    Sequence,
    /// The event's own id; as before where it has none.
    Id,
}

impl Key {
    /// The key of an event, whose own id is looked for by `id`.
    #[must_use]
    pub fn of(self, trail: &str, event: &StoredEvent, id: impl Fn(&[u8]) -> Option<Cow<'_, str>>) -> Vec<u8> {
        if self == Key::Id
            && let Some(id) = id(&event.text)
        {
            return id.as_bytes().to_vec();
        }
        format!("{trail}-{}-{}", event.sequence, event.received_at.as_millis()).into_bytes()
    }
}

/// The partition of a key among so many; 0 when there are none.
#[must_use]
pub fn of_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) as usize & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

/// MurmurHash2 with the seed of Kafka's clients.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash = (hash ^ rest.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_kafkas_clients() {
        // `UtilsTest.testMurmur2` of Apache Kafka.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(of_key(b"x", 0), 0);
        assert!((0..1_000_u32).all(|n| of_key(&n.to_be_bytes(), 7) < 7));
    }
}
