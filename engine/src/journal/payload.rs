//! [`Payload`]: the events of one batch as a frame stores them.
//!
//! Either as text, the lengths of the events as varints and then their bytes one after another, or as numbers ([`numbered`]), where that
//! is shorter; compressed as a whole when that is worth it. It is made on the caller's thread, before a sequence is known, so
//! that the one writer has nothing left to compute.

use std::cell::RefCell;
use std::ops::Range;

use crate::codec::checksum::crc32;
use crate::codec::compress::{compress, decompress};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Batch;
use crate::journal::numbered;
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX};

/// The longest payload before compression: the bytes of a batch, and a length of at most 3 bytes for each event.
pub(super) const RAW_BYTES_MAX: usize = BATCH_BYTES_MAX + 3 * BATCH_EVENTS_MAX;

/// Shorter batches are stored as plain text: setting up the compressor costs about as much as writing them, and little recurs in them.
/// Figures: `DESIGN.md`.
const COMPRESS_BYTES_MIN: usize = 16 << 10;

/// The zstd levels of text and of numbers; the figures are in `DESIGN.md`.
const TEXT_LEVEL: i32 = 1;
const NUMBERED_LEVEL: i32 = -5;

/// A buffer of so many bytes is used again for a payload of any length.
const ROOM_KEPT_BYTES: usize = 16 << 10;

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
    /// As [`numbered`] makes it.
    Numbered = 2,
    /// The same as one zstd frame.
    NumberedZstd = 3,
}

impl Codec {
    /// The codec of a number in a frame header.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a number of a later version.
    pub(crate) fn from_number(number: u8) -> Result<Codec> {
        match number {
            0 => Ok(Codec::Plain),
            1 => Ok(Codec::Zstd),
            2 => Ok(Codec::Numbered),
            3 => Ok(Codec::NumberedZstd),
            _ => Err(Error::new(ErrorKind::Unsupported, "the codec of a frame is unknown").expected("0 to 3", number)),
        }
    }

    fn of(is_numbered: bool, is_compressed: bool) -> Codec {
        match (is_numbered, is_compressed) {
            (false, false) => Codec::Plain,
            (false, true) => Codec::Zstd,
            (true, false) => Codec::Numbered,
            (true, true) => Codec::NumberedZstd,
        }
    }

    fn is_numbered(self) -> bool {
        matches!(self, Codec::Numbered | Codec::NumberedZstd)
    }

    fn is_compressed(self) -> bool {
        matches!(self, Codec::Zstd | Codec::NumberedZstd)
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
    /// Makes the payload of some events, as text. The events are walked twice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is no event; [`ErrorKind::Limit`] when an event or the batch is larger than it may be.
    pub(crate) fn encode<'a>(events: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Payload> {
        let measured = measure(events.clone())?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.write(measured, events);
            scratch.finish(measured, false, Vec::new())
        })
    }

    /// Makes the payload of a whole batch, in a buffer that is done with.
    ///
    /// # Errors
    /// As [`Payload::encode`].
    pub(crate) fn of_batch(batch: &Batch, room: Vec<u8>) -> Result<Payload> {
        let events = batch.events.iter().map(|event| batch.text_of(event));
        let measured = measure(events.clone())?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.raw.clear();
            let may_be_numbered = measured.bytes >= COMPRESS_BYTES_MIN && numbered::fits(batch);
            if may_be_numbered {
                numbered::encode(batch, &mut scratch.raw);
            }
            let is_numbered = may_be_numbered && scratch.raw.len() < measured.bytes;
            if !is_numbered {
                scratch.write(measured, events);
            }
            scratch.finish(measured, is_numbered, room)
        })
    }

    /// The buffer, for another payload.
    pub(crate) fn into_room(self) -> Vec<u8> {
        self.stored
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
        let unfolded = if codec.is_numbered() { unfold_numbered } else { unfold_text };
        unfolded(stored, codec, raw_bytes, events, out).map_err(|e| e.in_component("payload"))
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

/// How many events a payload has, and how many bytes of text.
#[derive(Debug, Clone, Copy)]
struct Measured {
    events: usize,
    bytes: usize,
}

/// Counts the events and their bytes, within the limits.
fn measure<'a>(events: impl Iterator<Item = &'a [u8]>) -> Result<Measured> {
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
    Ok(Measured { events: count, bytes })
}

/// The bytes of a payload before compression.
fn unpack(stored: &[u8], codec: Codec, raw_bytes: usize, out: &mut Vec<u8>) -> Result<()> {
    match codec.is_compressed() {
        true => decompress(stored, raw_bytes, out),
        false if stored.len() == raw_bytes => {
            out.put_bytes(stored);
            Ok(())
        }
        false => Err(Error::corrupt("the length of a payload differs").expected(raw_bytes, stored.len())),
    }
}

fn unfold_text(stored: &[u8], codec: Codec, raw_bytes: usize, events: usize, out: &mut Vec<u8>) -> Result<Vec<Range<usize>>> {
    unpack(stored, codec, raw_bytes, out)?;
    ranges(out, events)
}

fn unfold_numbered(stored: &[u8], codec: Codec, raw_bytes: usize, events: usize, out: &mut Vec<u8>) -> Result<Vec<Range<usize>>> {
    let mut raw = Vec::new();
    unpack(stored, codec, raw_bytes, &mut raw)?;
    numbered::decode(&raw, events, out)
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
    /// Writes events as text.
    fn write<'a>(&mut self, measured: Measured, events: impl Iterator<Item = &'a [u8]> + Clone) {
        self.raw.clear();
        self.raw.reserve(measured.bytes + 3 * measured.events);
        for event in events.clone() {
            self.raw.put_varint(event.len() as u64);
        }
        for event in events {
            self.raw.put_bytes(event);
        }
    }

    /// The payload of what was written.
    fn finish(&mut self, measured: Measured, is_numbered: bool, room: Vec<u8>) -> Result<Payload> {
        let raw_bytes = self.raw.len() as u32;
        let level = if is_numbered { NUMBERED_LEVEL } else { TEXT_LEVEL };
        let (stored, is_compressed) = self.pack(measured.bytes, level, room)?;
        self.shrink();
        Ok(Payload {
            crc: crc32(&stored),
            stored,
            codec: Codec::of(is_numbered, is_compressed),
            raw_bytes,
            events: measured.events as u32,
            event_bytes: measured.bytes as u64,
        })
    }

    /// Compresses what is long enough and gets shorter by it; the result has hardly more capacity than it needs, since batches wait in a
    /// queue.
    fn pack(&mut self, text_bytes: usize, level: i32, room: Vec<u8>) -> Result<(Vec<u8>, bool)> {
        if text_bytes >= COMPRESS_BYTES_MIN {
            self.packed.clear();
            compress(&self.raw, level, &mut self.packed)?;
            if self.packed.len() < self.raw.len() {
                return Ok((put(&self.packed, room), true));
            }
        }
        Ok((put(&self.raw, room), false))
    }

    fn shrink(&mut self) {
        for kept in [&mut self.raw, &mut self.packed] {
            if kept.capacity() > SCRATCH_BYTES_MAX {
                *kept = Vec::new();
            }
        }
    }
}

/// Bytes in a buffer: the one that is given, if they fill half of it.
fn put(bytes: &[u8], mut room: Vec<u8>) -> Vec<u8> {
    if room.capacity() / 2 > bytes.len().max(ROOM_KEPT_BYTES) {
        return bytes.to_vec();
    }
    room.clear();
    room.reserve_exact(bytes.len());
    room.extend_from_slice(bytes);
    room
}

fn unfolds_to_at_most(stored: usize, codec: Codec) -> usize {
    match codec.is_compressed() {
        false => stored,
        true => (stored / ZSTD_BLOCK_BYTES_MIN).saturating_mul(ZSTD_BLOCK_BYTES_MAX),
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

    fn batch(texts: &[String]) -> Batch {
        let extractor = crate::event::extract::Extractor::new(crate::event::DimensionSchema::default());
        let (batch, rejected) = extractor.prepare(&mut texts.iter().map(String::as_bytes)).unwrap();
        assert_eq!(rejected, []);
        batch
    }

    /// Events of few shapes and values; one in eight is kept whole.
    fn event() -> impl Strategy<Value = String> {
        let value = prop_oneof![Just("same".to_owned()), "[a-c]{0,2}", any::<String>()];
        (value.clone(), value, 0u32..40, 0u8..8).prop_map(|(a, b, n, kind)| match kind {
            0 => format!("{{\"whole\":\"{}\"}}", "w".repeat(crate::limits::LEAF_BYTES_MAX + n as usize)),
            1..=3 => serde_json::json!({ "a": a, "l": [n, b, null] }).to_string(),
            _ => serde_json::json!({ "a": a, "b": { "n": n } }).to_string(),
        })
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_from_its_numbers(events in proptest::collection::vec(event(), 1..60), repeat in 1usize..6) {
            let events = vec![events; repeat].concat();
            let payload = Payload::of_batch(&batch(&events), Vec::new()).unwrap();
            prop_assert_eq!(unfold(&payload), events.iter().map(|e| e.as_bytes().to_vec()).collect::<Vec<_>>());
            let mut raw = Vec::new();
            numbered::encode(&batch(&events), &mut raw);
            let mut out = Vec::new();
            let ranges = numbered::decode(&raw, events.len(), &mut out).unwrap();
            prop_assert!(ranges.iter().zip(&events).all(|(range, event)| out[range.clone()] == *event.as_bytes()));
            for cut in 0..raw.len().min(200) {
                prop_assert!(numbered::decode(&raw[..cut], events.len(), &mut Vec::new()).is_err(), "cut at {}", cut);
            }
            prop_assert!(numbered::decode(&raw, events.len() + 1, &mut Vec::new()).is_err());
        }

        #[test]
        fn any_numbers_are_read_or_refused(raw in proptest::collection::vec(prop_oneof![3 => 0u8..6, 1 => any::<u8>()], 0..300), events in 0usize..20) {
            let mut out = Vec::new();
            if let Ok(ranges) = numbered::decode(&raw, events, &mut out) {
                prop_assert_eq!((ranges.len(), ranges.last().map_or(0, |r| r.end)), (events, out.len()));
            }
        }
    }

    #[test]
    fn numbers_cannot_unfold_to_more_than_a_batch() {
        // One shape of a thousand strings, and one value of 64 KiB at each: 64 MiB from 70 KB.
        let mut raw = Vec::new();
        raw.put_varint(1);
        raw.put_varint(1_000);
        raw.put_bytes(&[0; 1_000]);
        raw.put_bytes(&[0; 1_000]);
        raw.put_varint(1);
        raw.put_varint(64 << 10);
        raw.put_bytes(&[0, 1]);
        raw.put_bytes(&[0; 999]);
        raw.put_bytes(&vec![b'x'; 64 << 10]);
        let mut out = Vec::new();
        let error = numbered::decode(&raw, 1, &mut out).unwrap_err();
        assert_eq!((error.kind(), out.capacity()), (ErrorKind::Corrupt, 0));
    }

    #[test]
    fn batches_worth_it_are_numbered() {
        let events: Vec<String> = (0..1_000).map(|i| format!("{{\"eventName\":\"GetObject\",\"n\":{}}}", i % 7)).collect();
        let payload = Payload::of_batch(&batch(&events), Vec::new()).unwrap();
        assert_eq!((payload.codec(), payload.events()), (Codec::NumberedZstd, 1_000));
        assert_eq!(Payload::of_batch(&batch(&events[..10]), Vec::new()).unwrap().codec(), Codec::Plain);
        // Nothing recurs: as text it is shorter.
        let events: Vec<String> = (0..2_000).map(|i| format!("{{\"k{i}\":{i}}}")).collect();
        assert_eq!(Payload::of_batch(&batch(&events), Vec::new()).unwrap().codec(), Codec::Zstd);
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
