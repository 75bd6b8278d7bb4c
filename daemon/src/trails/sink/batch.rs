//! [`Batch`]: events that are delivered together, and how many may be.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::id::{Day, Sequence};
use trail_engine::index::StoredEvent;

/// The most that is delivered at once, and how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// The most events.
    pub events: usize,
    /// The most bytes of their texts; a single event may be larger.
    pub bytes: u64,
    /// How long the first event waits for others.
    pub delay: Duration,
}

/// Events in the order of their sequences, received on one day.
///
/// A batch is named by its number and the sequences that were looked at for it: the same range with the same filter gives the same events,
/// as long as they are retained, so that a repeat can be recognised and overwrites itself.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The name of the trail.
    pub trail: Arc<str>,
    /// From 1, without holes, in the order of delivery to this sink.
    pub number: u64,
    /// The first sequence that was looked at.
    pub first: Sequence,
    /// The last sequence that was looked at.
    pub last: Sequence,
    /// The UTC day on which its events were received.
    pub day: Day,
    /// The events; at least one.
    pub events: Vec<Arc<StoredEvent>>,
    /// The bytes of their texts.
    pub bytes: u64,
}

impl Batch {
    /// The two halves of a batch of several events, for a sink that finds it too large. Both keep its number: what they are called by a
    /// sink that names them is the sequences.
    #[must_use]
    pub fn halves(&self) -> Option<(Batch, Batch)> {
        let (early, late) = self.events.split_at(self.events.len() / 2);
        let border = late.first().filter(|_| !early.is_empty())?.sequence;
        let part = |events: &[Arc<StoredEvent>], first, last| Batch {
            first,
            last,
            bytes: events.iter().map(|event| event.text.len() as u64).sum(),
            events: events.to_vec(),
            ..self.clone()
        };
        Some((part(early, self.first, Sequence(border.0.saturating_sub(1))), part(late, border, self.last)))
    }
}

#[cfg(test)]
mod tests {
    use trail_engine::id::Timestamp;

    use super::*;

    #[test]
    fn halves_cover_the_whole() {
        let event = |sequence| {
            let at = Timestamp(sequence as i64);
            let text = vec![b'x'; sequence as usize];
            Arc::new(StoredEvent { sequence: Sequence(sequence), received_at: at, event_time: at, time_is_received: false, text })
        };
        let events: Vec<_> = [12, 15, 19].map(event).to_vec();
        let batch = Batch { trail: "t".into(), number: 3, first: Sequence(10), last: Sequence(20), day: Day(0), events, bytes: 46 };
        let (early, late) = batch.halves().unwrap();
        assert_eq!((early.first.0, early.last.0, early.bytes, early.number), (10, 14, 12, 3));
        assert_eq!((late.first.0, late.last.0, late.bytes, late.events.len()), (15, 20, 34, 2));
        assert!(early.halves().is_none());
    }
}
