//! [`Batch`]: events that are delivered together, and how many may be.

use std::ops::Range;
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
    /// Some of its events as a batch; `None` when there are no such events. Parts that follow each other cover the sequences of the whole. All keep its number:
    /// what a sink that names them calls them is the sequences.
    #[must_use]
    pub fn part(&self, part: Range<usize>) -> Option<Batch> {
        let events = self.events.get(part.clone()).filter(|events| !events.is_empty())?;
        let first = if part.start == 0 { self.first } else { events.first()?.sequence };
        let last = self.events.get(part.end).map_or(self.last, |next| Sequence(next.sequence.0.saturating_sub(1)));
        let bytes = events.iter().map(|event| event.text.len() as u64).sum();
        Some(Batch { trail: self.trail.clone(), number: self.number, first, last, day: self.day, events: events.to_vec(), bytes })
    }
}

#[cfg(test)]
mod tests {
    use trail_engine::id::Timestamp;

    use super::*;

    #[test]
    fn parts_cover_the_whole() {
        let event = |sequence| {
            let at = Timestamp(sequence as i64);
            let text = vec![b'x'; sequence as usize];
            Arc::new(StoredEvent { sequence: Sequence(sequence), received_at: at, event_time: at, time_is_received: false, text })
        };
        let events: Vec<_> = [12, 15, 19].map(event).to_vec();
        let batch = Batch { trail: "t".into(), number: 3, first: Sequence(10), last: Sequence(20), day: Day(0), events, bytes: 46 };
        let (early, late) = (batch.part(0..1).unwrap(), batch.part(1..3).unwrap());
        assert_eq!((early.first.0, early.last.0, early.bytes, early.number), (10, 14, 12, 3));
        assert_eq!((late.first.0, late.last.0, late.bytes, late.events.len()), (15, 20, 34, 2));
        let whole = batch.part(0..3).unwrap();
        assert_eq!((whole.first, whole.last, whole.bytes), (batch.first, batch.last, 46));
        assert!(batch.part(1..1).is_none() && batch.part(2..4).is_none());
    }
}
