//! Record batches (form 2), as brokers keep them.
//!
//! The same events with the same numbers give the same bytes. A batch has a CRC-32C over all that the broker does not change.

use std::io::Write as _;

use trail_engine::index::StoredEvent;

use crate::trails::sink::kafka::wire::Writer;

/// How records are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// By what a broker knows a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Of the producer; -1 for one without.
    pub producer: i64,
    /// Of its generation; -1 without.
    pub epoch: i16,
    /// Of the first record, within producer and partition; -1 without.
    pub first: i32,
}

impl Numbers {
    /// A producer that brokers do not know again.
    pub const NONE: Numbers = Numbers { producer: -1, epoch: -1, first: -1 };
}

/// An event on its way.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What it is known by.
    pub key: &'a [u8],
    /// The event.
    pub event: &'a StoredEvent,
    /// The trail that delivers it.
    pub trail: &'a str,
}

/// The form of a batch.
const MAGIC: i8 = 2;
/// What stands before the bytes that the sum covers.
const LEVEL: i32 = 3;

fn write(record: &Record<'_>, number: usize, base: i64, out: &mut Writer) {
    let mut body = Writer::default();
    body.int8(0);
    body.varint(record.event.received_at.as_millis() - base);
    body.varint(number as i64);
    body.short_bytes(record.key);
    body.short_bytes(&record.event.text);
    body.varint(2);
    body.short_bytes(b"traild.trail");
    body.short_bytes(record.trail.as_bytes());
    body.short_bytes(b"traild.sequence");
    body.short_bytes(record.event.sequence.to_string().as_bytes());
    out.short_bytes(&body.into_bytes());
}

fn packed(packing: Packing, records: Vec<u8>) -> std::io::Result<Vec<u8>> {
    match packing {
        Packing::None => Ok(records),
        Packing::Zstd => zstd::encode_all(&records[..], LEVEL),
        Packing::Gzip => {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packed.write_all(&records)?;
            packed.finish()
        }
    }
}

/// A batch of records. Their time is that of receipt, which a broker's rules for times and retention expect to be about now.
///
/// # Errors
/// When they cannot be packed.
pub fn batch(records: &[Record<'_>], numbers: Numbers, packing: Packing) -> std::io::Result<Vec<u8>> {
    let times = || records.iter().map(|record| record.event.received_at.as_millis());
    let (base, last) = (times().next().unwrap_or(0), times().max().unwrap_or(0));
    let mut body = Writer::default();
    records.iter().enumerate().for_each(|(number, record)| write(record, number, base, &mut body));
    let mut summed = Writer::default();
    summed.int16(match packing {
        Packing::None => 0,
        Packing::Gzip => 1,
        Packing::Zstd => 4,
    });
    summed.int32(i32::try_from(records.len()).unwrap_or(i32::MAX) - 1);
    summed.int64(base);
    summed.int64(last);
    summed.int64(numbers.producer);
    summed.int16(numbers.epoch);
    summed.int32(numbers.first);
    summed.length(records.len());
    summed.raw(&packed(packing, body.into_bytes())?);
    let summed = summed.into_bytes();
    let mut out = Writer::default();
    out.int64(0);
    out.length(summed.len() + 9);
    out.int32(-1);
    out.int8(MAGIC);
    out.raw(&crc32c(&summed).to_be_bytes());
    out.raw(&summed);
    Ok(out.into_bytes())
}

/// The polynomial of Castagnoli, from the low bit on.
const CASTAGNOLI: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ CASTAGNOLI } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| TABLE.get(usize::from(sum as u8 ^ byte)).copied().unwrap_or(0) ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use trail_engine::id::{Sequence, Timestamp};

    use super::*;

    fn event(sequence: u64, text: &str) -> StoredEvent {
        let received_at = Timestamp::from_millis(1_795_334_400_000 + sequence as i64).unwrap();
        StoredEvent { sequence: Sequence(sequence), received_at, event_time: Timestamp(0), time_is_received: false, text: text.into() }
    }

    fn made(numbers: Numbers, packing: Packing) -> Vec<u8> {
        let events = [event(7, "{\"a\":1}"), event(9, "{}")];
        let records: Vec<Record<'_>> = events.iter().map(|event| Record { key: b"k", event, trail: "t" }).collect();
        batch(&records, numbers, packing).unwrap()
    }

    #[test]
    fn the_sum_is_castagnolis() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_batch_has_the_form_of_the_specification() {
        let bytes = made(Numbers { producer: 5, epoch: 1, first: 40 }, Packing::None);
        let number = |at: usize, length: usize| bytes[at..at + length].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        assert_eq!((number(0, 8), number(8, 4), number(16, 1)), (0, bytes.len() as i64 - 12, 2));
        assert_eq!(number(17, 4) as u32, crc32c(&bytes[21..]));
        assert_eq!((number(21, 2), number(23, 4), number(43, 8), number(51, 2), number(53, 4), number(57, 4)), (0, 1, 5, 1, 40, 2));
        assert_eq!((number(27, 8), number(35, 8)), (1_795_334_400_007, 1_795_334_400_009));
        let first =
            [&[94, 0, 0, 0, 2, b'k', 14][..], b"{\"a\":1}", &[4, 24], b"traild.trail", &[2, b't', 30], b"traild.sequence", &[2, b'7']]
                .concat();
        assert_eq!(&bytes[61..61 + first.len()], first);
    }

    #[test]
    fn packed_records_are_the_same() {
        let plain = made(Numbers::NONE, Packing::None)[61..].to_vec();
        assert_eq!(zstd::decode_all(&made(Numbers::NONE, Packing::Zstd)[61..]).unwrap(), plain);
        let packed = made(Numbers::NONE, Packing::Gzip);
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[61..]), &mut read).unwrap();
        assert_eq!(read, plain);
        assert_eq!(packed[22], 1);
    }
}
