//! Log groups: what one request of PutLogs carries.
//!
//! A log has the event as it is under `event` and its place in the log under `traild_sequence`, by which a reader can tell repeats. Its time is the
//! event's where the service takes that (it refuses whole requests for one log that is older than a week or in the future), and the time of
//! delivery otherwise; the event has its own time inside. The topic is that of ActionTrail's deliveries unless the trail says otherwise.

use trail_engine::id::Timestamp;

use crate::trails::sink::batch::Batch;
use crate::trails::sink::protobuf::Message;

/// The most logs and bytes of one request that every region and age of the service takes.
pub const LOGS_MAX: usize = 4_096;
/// See [`LOGS_MAX`].
pub const RAW_BYTES_MAX: usize = 5_000_000;
/// The oldest and the newest time that is safely taken, in seconds from now.
const OLDEST_SECONDS: i64 = 6 * 86_400;
const NEWEST_SECONDS: i64 = 10 * 60;
/// What ActionTrail's own deliveries are called.
pub const TOPIC: &str = "actiontrail_audit_event";

/// What all groups of a sink have.
#[derive(Debug, Clone)]
pub struct Label {
    /// The topic.
    pub topic: String,
    /// More tags.
    pub tags: Vec<(String, String)>,
}

/// The topic of what is written to find out whether it may.
const PROBE: &str = "traild_probe";

/// How a group is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// A raw LZ4 block, without length or frame.
    Lz4,
    /// A zstd frame.
    Zstd,
    /// As it is.
    None,
}

impl Packing {
    /// What the header says, when there is one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Packing::Lz4 => Some("lz4"),
            Packing::Zstd => Some("zstd"),
            Packing::None => None,
        }
    }

    /// Packs a group.
    ///
    /// # Errors
    /// None in practice: it writes to memory.
    pub fn pack(self, raw: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Packing::Lz4 => Ok(lz4_flex::block::compress(&raw)),
            Packing::Zstd => zstd::bulk::compress(&raw, 1),
            Packing::None => Ok(raw),
        }
    }
}

impl Label {
    /// The events of a batch as a `LogGroup`; `None` when they are too many for one.
    #[must_use]
    pub fn group(&self, batch: &Batch, now: Timestamp) -> Option<Vec<u8>> {
        if batch.events.len() > LOGS_MAX {
            return None;
        }
        let mut group = Message::with_capacity(usize::try_from(batch.bytes).unwrap_or(0).min(RAW_BYTES_MAX) + 64 * batch.events.len());
        for event in &batch.events {
            let time = log_time(event.event_time, now);
            let mut log = Message::with_capacity(event.text.len() + 64);
            log.varint(1, u64::try_from(time.0.div_euclid(1_000_000_000)).unwrap_or(0));
            // A value must be UTF-8; events are, and if one were not it would take all others with it.
            log.message(2, &pair("event", String::from_utf8_lossy(&event.text).as_bytes()));
            log.message(2, &pair("traild_sequence", event.sequence.to_string().as_bytes()));
            log.fixed32(4, u32::try_from(time.0.rem_euclid(1_000_000_000)).unwrap_or(0));
            group.message(1, &log);
            if group.len() > RAW_BYTES_MAX {
                return None;
            }
        }
        self.end(&mut group, &self.topic, &batch.trail);
        Some(group.into_bytes())
    }

    /// One log that is no event: it has a topic of its own, and says what it is.
    #[must_use]
    pub fn probe(&self, now: Timestamp) -> Vec<u8> {
        let (mut log, mut group) = (Message::default(), Message::default());
        log.varint(1, u64::try_from(now.0.div_euclid(1_000_000_000)).unwrap_or(0));
        log.message(2, &pair(PROBE, b"written to find out whether it may"));
        group.message(1, &log);
        self.end(&mut group, PROBE, "probe");
        group.into_bytes()
    }

    /// What a group has behind its logs.
    fn end(&self, group: &mut Message, topic: &str, trail: &str) {
        group.bytes(3, topic.as_bytes());
        group.bytes(4, b"traild");
        group.message(6, &pair("traild_trail", trail.as_bytes()));
        for (name, value) in &self.tags {
            group.message(6, &pair(name, value.as_bytes()));
        }
    }
}

/// A `Content` or a `LogTag`.
fn pair(name: &str, value: &[u8]) -> Message {
    let mut pair = Message::with_capacity(name.len() + value.len() + 8);
    pair.bytes(1, name.as_bytes());
    pair.bytes(2, value);
    pair
}

fn log_time(event: Timestamp, now: Timestamp) -> Timestamp {
    let age = (now.as_millis() - event.as_millis()) / 1_000;
    if (-NEWEST_SECONDS..=OLDEST_SECONDS).contains(&age) { event } else { now }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trail_engine::id::{Day, Sequence};
    use trail_engine::index::StoredEvent;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_334_400_000_000_000);

    fn batch(times: &[i64], text: &[u8]) -> Batch {
        let event = |(i, time): (usize, &i64)| {
            let (sequence, event_time) = (Sequence(i as u64 + 7), Timestamp(*time));
            Arc::new(StoredEvent { sequence, received_at: NOW, event_time, time_is_received: false, text: text.to_vec() })
        };
        let events: Vec<_> = times.iter().enumerate().map(event).collect();
        Batch { trail: "all".into(), number: 1, first: Sequence(1), last: Sequence(99), day: Day(0), bytes: 0, events }
    }

    fn label() -> Label {
        Label { topic: TOPIC.into(), tags: vec![("site".into(), "b".into())] }
    }

    #[test]
    fn the_bytes_are_those_of_the_schema() {
        let raw = label().group(&batch(&[NOW.0 - 3_600_000_000_000 + 5], b"{}"), NOW).unwrap();
        // The same group, written with the classes of aliyun-log-python-sdk 0.9.52, as hexadecimal numbers.
        assert_eq!(
            raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "0a2e08f0a58ad806120b0a056576656e7412027b7d12140a0f747261696c645f73657175656e636512013725050000001a17616374696f6e747261696c5f61756469745f6576656e742206747261696c6432130a0c747261696c645f747261696c1203616c6c32090a0473697465120162"
        );
    }

    #[test]
    fn times_that_the_service_would_refuse_become_the_time_of_delivery() {
        let hour = 3_600_000_000_000;
        for (time, wanted) in [(NOW.0 - hour, NOW.0 - hour), (NOW.0 - 200 * hour, NOW.0), (NOW.0 + hour, NOW.0), (i64::MIN / 4, NOW.0)] {
            assert_eq!(log_time(Timestamp(time), NOW).0, wanted);
        }
    }

    #[test]
    fn more_than_a_request_may_carry_is_given_back() {
        assert!(label().group(&batch(&vec![NOW.0; LOGS_MAX], b"{}"), NOW).is_some());
        assert!(label().group(&batch(&vec![NOW.0; LOGS_MAX + 1], b"{}"), NOW).is_none());
        assert!(label().group(&batch(&[NOW.0; 6], &vec![b'x'; 900_000]), NOW).is_none());
    }

    #[test]
    fn packed_groups_come_back() {
        let raw = label().group(&batch(&[NOW.0; 50], b"{\"a\":1}"), NOW).unwrap();
        let packed = Packing::Lz4.pack(raw.clone()).unwrap();
        assert!(packed.len() < raw.len() / 2);
        assert_eq!(lz4_flex::block::decompress(&packed, raw.len()).unwrap(), raw);
        assert_eq!(zstd::decode_all(&Packing::Zstd.pack(raw.clone()).unwrap()[..]).unwrap(), raw);
        assert_eq!(Packing::None.pack(raw.clone()).unwrap(), raw);
    }
}
