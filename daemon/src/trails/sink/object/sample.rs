//! Batches for the tests of formats.

use std::sync::Arc;

use trail_engine::event::read_time;
use trail_engine::id::{Sequence, Timestamp};
use trail_engine::index::StoredEvent;

use crate::trails::sink::batch::Batch;

/// The batch 41 of a trail, of events that were received one a second from ten o'clock on.
pub(super) fn batch(trail: &str, texts: &[&str]) -> Batch {
    let start = read_time("2026-11-22T10:00:00Z").unwrap();
    let event = |(i, text): (usize, &&str)| {
        let at = start.shift(i as i64 * 1_000_000_000);
        let event_time = Timestamp(at.0 - 3_600_000_000_000);
        let text = text.as_bytes().to_vec();
        Arc::new(StoredEvent { sequence: Sequence(7 + i as u64), received_at: at, event_time, time_is_received: false, text })
    };
    let bytes = texts.iter().map(|text| text.len() as u64).sum();
    let events = texts.iter().enumerate().map(event).collect();
    Batch { trail: trail.into(), number: 41, first: Sequence(5), last: Sequence(99), day: start.day(), events, bytes }
}
