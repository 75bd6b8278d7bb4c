//! [`FrameHeader`]: the 64 bytes before each payload.
//!
//! The header carries its own checksum, so that a length in it can be trusted before it is used, and a frame can be found again by
//! its magic number behind damaged bytes.

use crate::codec::checksum::{check_crc32, crc32};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::journal::file_header::VERSION;
use crate::journal::payload::{Codec, Payload, RAW_BYTES_MAX};
use crate::limits::BATCH_EVENTS_MAX;
use crate::mutants;

/// The length of a header.
pub(super) const FRAME_HEADER_BYTES: usize = 64;

/// Frames start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// The first bytes of every frame; not text, so that no event that is stored plain can contain it.
pub(super) const MAGIC: [u8; 4] = *b"TJF\x01";

/// The frame is a mark: it has no events, and was written when the log was closed.
const FLAG_MARK: u16 = 1;

const CRC_AT: usize = FRAME_HEADER_BYTES - 4;

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) codec: Codec,
    pub(super) mark: bool,
    /// The id of the file that it was written for.
    pub(super) journal_id: u64,
    /// The sequence of its first event.
    pub(super) first_sequence: Sequence,
    /// Everything below was durable before this frame was written.
    pub(super) durable_before: Sequence,
    /// When its batch came in.
    pub(super) received_at: Timestamp,
    pub(super) events: u32,
    /// The length of the payload as stored.
    pub(super) stored_bytes: u32,
    /// The length of the payload as it was before compression.
    pub(super) raw_bytes: u32,
    /// Of the payload as stored.
    pub(super) payload_crc: u32,
}

impl FrameHeader {
    /// The header of a payload; sequences and file are the writer's.
    pub(super) fn of(payload: &Payload, journal_id: u64, first: Sequence, durable_before: Sequence, received_at: Timestamp) -> FrameHeader {
        FrameHeader {
            codec: payload.codec(),
            mark: false,
            journal_id,
            first_sequence: first,
            durable_before,
            received_at,
            events: payload.events(),
            stored_bytes: payload.stored().len() as u32,
            raw_bytes: payload.raw_bytes(),
            payload_crc: payload.crc(),
        }
    }

    /// The mark of a closed log: everything below `next` is durable.
    pub(super) fn mark(journal_id: u64, next: Sequence, now: Timestamp) -> FrameHeader {
        FrameHeader {
            codec: Codec::Plain,
            mark: true,
            journal_id,
            first_sequence: next,
            durable_before: next,
            received_at: now,
            events: 0,
            stored_bytes: 0,
            raw_bytes: 0,
            payload_crc: 0,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_bytes(&MAGIC);
        out.put_u8(VERSION);
        out.put_u8(self.codec as u8);
        out.put_u16(if self.mark { FLAG_MARK } else { 0 });
        out.put_u64(self.journal_id);
        out.put_u64(self.first_sequence.0);
        out.put_u64(self.durable_before.0);
        out.put_i64(self.received_at.0);
        out.put_u32(self.events);
        out.put_u32(self.stored_bytes);
        out.put_u32(self.raw_bytes);
        out.put_u32(self.payload_crc);
        out.put_u32(0);
        out.put_u32(crc32(out.get(start..).unwrap_or_default()));
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is none or says what cannot be; [`ErrorKind::Unsupported`] for an intact header of another
    /// version, codec or kind.
    pub(super) fn decode(bytes: &[u8]) -> Result<FrameHeader> {
        let mut reader = Reader::new(bytes);
        let covered = reader.bytes(CRC_AT)?;
        let crc = reader.u32()?;
        let mut reader = Reader::new(covered);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::corrupt("no frame starts here"));
        }
        if !mutants::is("frame_header_crc_unchecked") {
            check_crc32(covered, crc).map_err(|e| e.in_component("frame header"))?;
        }
        let (version, codec, flags) = (reader.u8()?, reader.u8()?, reader.u16()?);
        if version != VERSION || flags & !FLAG_MARK != 0 {
            return Err(Error::new(ErrorKind::Unsupported, "the frame is of another version")
                .expected(format_args!("version {VERSION}, no unknown flags"), format_args!("version {version}, flags {flags:#x}")));
        }
        let header = FrameHeader {
            codec: Codec::from_number(codec)?,
            mark: flags & FLAG_MARK != 0,
            journal_id: reader.u64()?,
            first_sequence: Sequence(reader.u64()?),
            durable_before: Sequence(reader.u64()?),
            received_at: Timestamp(reader.i64()?),
            events: reader.u32()?,
            stored_bytes: reader.u32()?,
            raw_bytes: reader.u32()?,
            payload_crc: reader.u32()?,
        };
        header.check()?;
        Ok(header)
    }

    /// Demands what every writer keeps to; a checksum is no proof of good sense.
    fn check(&self) -> Result<()> {
        let events = self.events as usize;
        let fits = events <= BATCH_EVENTS_MAX && self.raw_bytes as usize <= RAW_BYTES_MAX && self.stored_bytes <= self.raw_bytes;
        let kind = if self.mark { events == 0 && self.raw_bytes == 0 } else { events > 0 };
        let order = self.durable_before <= self.first_sequence && self.first_sequence.0.checked_add(u64::from(self.events)).is_some();
        if fits && kind && order {
            return Ok(());
        }
        Err(Error::corrupt("the frame header contradicts itself or the limits").in_component("frame header"))
    }

    /// The sequence after its last event.
    pub(super) fn end_sequence(&self) -> Sequence {
        self.first_sequence.plus(u64::from(self.events))
    }

    /// Header, payload and padding, in bytes.
    pub(super) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.stored_bytes as usize)
    }
}

/// The length of a frame whose payload has `stored` bytes.
pub(super) fn frame_bytes(stored: usize) -> u64 {
    (FRAME_HEADER_BYTES + stored).next_multiple_of(ALIGNMENT) as u64
}

/// Reads any bytes as a header, checksum made right, for the fuzz targets.
///
/// # Errors
/// As [`FrameHeader::decode`].
#[cfg(feature = "fuzzing")]
pub(crate) fn read_anything(bytes: &[u8]) -> Result<()> {
    let mut covered = bytes.get(..CRC_AT).unwrap_or(bytes).to_vec();
    covered.put_u32(crc32(&covered));
    let header = FrameHeader::decode(&covered)?;
    let mut again = Vec::new();
    header.encode(&mut again);
    let same = FrameHeader::decode(&again)? == header;
    if same { Ok(()) } else { Err(Error::new(ErrorKind::Invalid, "a header that was read and written is another")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> FrameHeader {
        let payload = Payload::encode([b"{}".as_slice(), b"{\"a\":1}"].into_iter()).unwrap();
        FrameHeader::of(&payload, 3, Sequence(10), Sequence(9), Timestamp(77))
    }

    #[test]
    fn comes_back_and_tells_every_flip() {
        for header in [sample(), FrameHeader::mark(3, Sequence(12), Timestamp(1))] {
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            assert_eq!(bytes.len(), FRAME_HEADER_BYTES);
            assert_eq!(FrameHeader::decode(&bytes).unwrap(), header);
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(FrameHeader::decode(&bad).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
            }
        }
    }

    fn sealed(at: usize, value: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        bytes[at] = value;
        let crc = crc32(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn an_intact_header_of_the_future_is_refused_by_name() {
        for at in [4, 5, 6] {
            assert_eq!(FrameHeader::decode(&sealed(at, 9)).unwrap_err().kind(), ErrorKind::Unsupported, "byte {at}");
        }
    }

    #[test]
    fn lengths_beyond_the_limits_are_refused_under_a_good_checksum() {
        for at in [43, 47, 51] {
            assert_eq!(FrameHeader::decode(&sealed(at, 0xff)).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
        }
        assert_eq!(FrameHeader::decode(&sealed(31, 1)).unwrap_err().kind(), ErrorKind::Corrupt, "durable beyond its own sequence");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, magic: bool) {
            let mut bytes = bytes;
            if magic {
                bytes.splice(0..0, MAGIC);
            }
            prop_assert!(FrameHeader::decode(&bytes).is_err());
        }
    }
}
