//! [`Payload`]: the events of one batch as a frame stores them.
//!
//! The lengths of the events as varints, then their bytes one after another; compressed as a whole when that is worth it. It is made
//! on the caller's thread, before a sequence is known, so that the one writer has nothing left to compute.

use std::cell::RefCell;
use std::ops::Range;

use crate::codec::checksum::crc32;
use crate::codec::compress::{compress, decompress};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX};

/// The longest payload before compression: the bytes of a batch, and a length of at most 3 bytes for each event.
pub(super) const RAW_BYTES_MAX: usize = BATCH_BYTES_MAX + 3 * BATCH_EVENTS_MAX;

/// Shorter payloads are stored plain: setting up the compressor costs about as much as writing them. Figures: `DESIGN.md`.
const COMPRESS_BYTES_MIN: usize = 16 << 10;

/// The zstd level; the figures are in `DESIGN.md`.
const LEVEL: i32 = 1;

/// What a thread keeps of each of its two buffers at most.
const SCRATCH_BYTES_MAX: usize = 4 << 20;

/// What a zstd block can unfold to at most, and the fewest bytes that it takes (RFC 8878, 3.1.1.2).
const ZSTD_BLOCK_BYTES_MAX: usize = 128 << 10;
const ZSTD_BLOCK_BYTES_MIN: usize = 3;

/// How a payload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// As it is.
    Plain = 0,
    /// As one zstd frame without magic number and content size.
    Zstd = 1,
}

impl Codec {
    /// The codec of a number in a frame header.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a number of a later version.
    pub(super) fn from_number(number: u8) -> Result<Codec> {
        match number {
            0 => Ok(Codec::Plain),
            1 => Ok(Codec::Zstd),
            _ => Err(Error::new(ErrorKind::Unsupported, "the codec of a frame is unknown").expected("0 or 1", number)),
        }
    }
}

/// The events of one batch, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    stored: Vec<u8>,
    codec: Codec,
    raw_bytes: u32,
    events: u32,
    event_bytes: u64,
    crc: u32,
}

impl Payload {
    /// Makes the payload of a batch. The events are walked twice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is no event; [`ErrorKind::Limit`] when an event or the batch is larger than it may be.
    pub(crate) fn encode<'a>(events: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Payload> {
        let (count, event_bytes) = measure(events.clone())?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.raw.clear();
            scratch.raw.reserve(event_bytes + 3 * count);
            for event in events.clone() {
                scratch.raw.put_varint(event.len() as u64);
            }
            for event in events {
                scratch.raw.put_bytes(event);
            }
            let raw_bytes = scratch.raw.len() as u32;
            let (stored, codec) = scratch.pack()?;
            scratch.shrink();
            Ok(Payload { crc: crc32(&stored), stored, codec, raw_bytes, events: count as u32, event_bytes: event_bytes as u64 })
        })
    }

    /// Unfolds a payload into `out`, which is emptied first; the ranges are those of the events in it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the bytes are not what [`Payload::encode`] makes. Nothing is allocated for a length that is
    /// beyond the limits or beyond what the stored bytes can unfold to.
    pub(crate) fn decode(stored: &[u8], codec: Codec, raw_bytes: usize, events: usize, out: &mut Vec<u8>) -> Result<Vec<Range<usize>>> {
        out.clear();
        if events > BATCH_EVENTS_MAX
            || raw_bytes > RAW_BYTES_MAX
            || events > raw_bytes
            || raw_bytes > unfolds_to_at_most(stored.len(), codec)
        {
            return Err(Error::corrupt("a batch is larger than it can be").in_component("payload"));
        }
        match codec {
            Codec::Plain if stored.len() == raw_bytes => out.put_bytes(stored),
            Codec::Plain => return Err(Error::corrupt("the length of a payload differs").expected(raw_bytes, stored.len())),
            Codec::Zstd => decompress(stored, raw_bytes, out).map_err(|e| e.in_component("payload"))?,
        }
        ranges(out, events).map_err(|e| e.in_component("payload"))
    }

    /// The bytes as they are written.
    pub(crate) fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// How they are stored.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Their length before compression, the lengths of the events included.
    pub(crate) fn raw_bytes(&self) -> u32 {
        self.raw_bytes
    }

    /// How many events there are; at least one.
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// The bytes of the events' text.
    pub(crate) fn event_bytes(&self) -> u64 {
        self.event_bytes
    }

    pub(super) fn crc(&self) -> u32 {
        self.crc
    }
}

/// Counts the events and their bytes, within the limits.
fn measure<'a>(events: impl Iterator<Item = &'a [u8]>) -> Result<(usize, usize)> {
    let (mut count, mut bytes) = (0usize, 0usize);
    for event in events {
        if event.len() > EVENT_BYTES_MAX {
            return Err(
                Error::new(ErrorKind::Limit, "an event is too long").expected(format_args!("at most {EVENT_BYTES_MAX} bytes"), event.len())
            );
        }
        count += 1;
        bytes += event.len();
        if count > BATCH_EVENTS_MAX || bytes > BATCH_BYTES_MAX {
            return Err(Error::new(ErrorKind::Limit, "a batch is too large")
                .expected(format_args!("at most {BATCH_EVENTS_MAX} events and {BATCH_BYTES_MAX} bytes"), "more"));
        }
    }
    if count == 0 {
        return Err(Error::invalid("a batch has no events"));
    }
    Ok((count, bytes))
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { raw: Vec::new(), packed: Vec::new() }) };
}

/// Memory that a thread keeps between batches: fresh pages for each cost more than the compression.
#[derive(Debug)]
struct Scratch {
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Scratch {
    /// Compresses what is long enough and gets shorter by it; the result has no spare capacity, since batches wait in a queue.
    fn pack(&mut self) -> Result<(Vec<u8>, Codec)> {
        if self.raw.len() >= COMPRESS_BYTES_MIN {
            self.packed.clear();
            compress(&self.raw, LEVEL, &mut self.packed)?;
            if self.packed.len() < self.raw.len() {
                return Ok((self.packed.as_slice().to_vec(), Codec::Zstd));
            }
        }
        Ok((self.raw.as_slice().to_vec(), Codec::Plain))
    }

    fn shrink(&mut self) {
        for kept in [&mut self.raw, &mut self.packed] {
            if kept.capacity() > SCRATCH_BYTES_MAX {
                *kept = Vec::new();
            }
        }
    }
}

fn unfolds_to_at_most(stored: usize, codec: Codec) -> usize {
    match codec {
        Codec::Plain => stored,
        Codec::Zstd => (stored / ZSTD_BLOCK_BYTES_MIN).saturating_mul(ZSTD_BLOCK_BYTES_MAX),
    }
}

/// Where the events are in a raw payload.
fn ranges(raw: &[u8], events: usize) -> Result<Vec<Range<usize>>> {
    let mut reader = Reader::new(raw);
    let mut lengths = Vec::with_capacity(events);
    for _ in 0..events {
        lengths.push(reader.length(EVENT_BYTES_MAX)?);
    }
    let mut ranges = Vec::with_capacity(events);
    for length in lengths {
        let start = reader.position();
        reader.bytes(length)?;
        ranges.push(start..start + length);
    }
    reader.finish()?;
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unfold(payload: &Payload) -> Vec<Vec<u8>> {
        let mut out = vec![1, 2, 3];
        let ranges =
            Payload::decode(payload.stored(), payload.codec(), payload.raw_bytes() as usize, payload.events() as usize, &mut out).unwrap();
        ranges.into_iter().map(|r| out[r].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn events_come_back(events in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..60), repeat in 1usize..20) {
            let events: Vec<Vec<u8>> = events.iter().map(|e| e.repeat(repeat)).collect();
            let payload = Payload::encode(events.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(unfold(&payload), events);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, raw in 0usize..5_000, events in 0usize..50, zstd: bool) {
            let codec = if zstd { Codec::Zstd } else { Codec::Plain };
            let mut out = Vec::new();
            if let Ok(ranges) = Payload::decode(&bytes, codec, raw, events, &mut out) {
                prop_assert_eq!(ranges.len(), events);
                prop_assert!(ranges.iter().all(|r| r.end <= out.len()));
            }
        }
    }

    #[test]
    fn long_batches_are_compressed_and_short_or_random_ones_are_not() {
        let long = vec![b"{\"eventName\":\"GetObject\"}".as_slice(); 1_000];
        let payload = Payload::encode(long.iter().copied()).unwrap();
        assert_eq!((payload.codec(), payload.events(), payload.event_bytes()), (Codec::Zstd, 1_000, 25_000));
        assert!(payload.stored().len() < 1_000);
        assert_eq!(Payload::encode(long.iter().copied().take(10)).unwrap().codec(), Codec::Plain);
        let mut state = 1u64;
        let noise: Vec<u8> = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        assert_eq!(Payload::encode([noise.as_slice()].into_iter()).unwrap().codec(), Codec::Plain);
    }

    #[test]
    fn limits_are_kept() {
        let kind = |result: Result<Payload>| result.unwrap_err().kind();
        assert_eq!(kind(Payload::encode([].into_iter())), ErrorKind::Invalid);
        assert_eq!(kind(Payload::encode([vec![0; EVENT_BYTES_MAX + 1].as_slice()].into_iter())), ErrorKind::Limit);
        assert_eq!(kind(Payload::encode(std::iter::repeat_n(b"{}".as_slice(), BATCH_EVENTS_MAX + 1))), ErrorKind::Limit);
        let mebibyte = vec![0; EVENT_BYTES_MAX];
        assert_eq!(kind(Payload::encode(std::iter::repeat_n(mebibyte.as_slice(), 65))), ErrorKind::Limit);
        assert_eq!(Payload::encode(std::iter::repeat_n(b"".as_slice(), BATCH_EVENTS_MAX)).unwrap().events(), BATCH_EVENTS_MAX as u32);
    }

    #[test]
    fn huge_claims_allocate_nothing() {
        let mut out = Vec::new();
        for (codec, raw, events) in [
            (Codec::Zstd, RAW_BYTES_MAX, 1),
            (Codec::Zstd, usize::MAX, 1),
            (Codec::Plain, RAW_BYTES_MAX, BATCH_EVENTS_MAX),
            (Codec::Plain, 8, usize::MAX),
        ] {
            let error = Payload::decode(&[0; 8], codec, raw, events, &mut out).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(out.capacity(), 0);
        }
    }
}
