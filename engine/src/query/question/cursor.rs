//! [`Cursor`]: where a page ended, as text that a client hands back.
//!
//! It carries all that makes the next page a page of the same answer: the resolved time range, the present moment, the last
//! visible sequence of the first page, and a hash of the filter. Events that arrive between two pages are therefore never seen by them.
//! A checksum tells a damaged cursor from a foreign one; it is no protection against forgery and needs none, because a
//! cursor gives access to nothing that a query does not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::{Error, Result};
use crate::id::{Sequence, Timestamp};
use crate::index::{Key, TimeRange};
use crate::limits::CURSOR_BYTES_MAX;
use crate::query::question::request::Order;

/// Byte 0: version. 1: order. Then eight numbers of 8 bytes, little-endian, the last of which is the checksum of all before it.
const VERSION: u8 = 1;
const NUMBERS: usize = 8;
const LENGTH: usize = 2 + NUMBERS * 8;
const CHECK_SEED: u64 = 0x7472_6169_6c2d_6375;

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) order: Order,
    /// What `now` meant on the first page.
    pub(crate) now: Timestamp,
    /// The range of event times asked for on the first page.
    pub(crate) range: TimeRange,
    /// The last sequence that was visible on the first page.
    pub(crate) upper: Sequence,
    /// The key of the last event of the page.
    pub(crate) last: Key,
    /// The hash of the filter's text.
    pub(crate) query: u64,
}

/// The hash by which a cursor knows its filter.
pub(crate) fn query_hash(q: &str) -> u64 {
    xxh3_64(q.trim().as_bytes())
}

impl Cursor {
    /// As text.
    pub(crate) fn write(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend([VERSION, u8::from(self.order == Order::Ascending)]);
        for time in [self.now, self.range.from, self.range.to, self.last.time] {
            bytes.extend(time.0.to_le_bytes());
        }
        for number in [self.upper.0, self.last.sequence.0, self.query] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(xxh3_64_with_seed(&bytes, CHECK_SEED).to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the cursor of a query.
    pub(crate) fn read(text: &str, q: &str, order: Order) -> Result<Cursor> {
        let cursor = decode(text)?;
        if cursor.query != query_hash(q) {
            return Err(Error::invalid("the cursor belongs to another query; send the same `q` with it, or start without a cursor"));
        }
        if cursor.order != order {
            return Err(Error::invalid("the cursor belongs to the other order; send the same `order` with it, or start without a cursor"));
        }
        Ok(cursor)
    }
}

fn decode(text: &str) -> Result<Cursor> {
    if text.len() > CURSOR_BYTES_MAX {
        return Err(Error::invalid("the cursor is too long").expected(format!("at most {CURSOR_BYTES_MAX} bytes"), text.len()));
    }
    let damaged = || Error::invalid("the cursor is damaged; send it as it was given, or start without a cursor");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
    let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
    if *version != VERSION {
        return Err(Error::invalid("the cursor is of another version; start without a cursor").expected(VERSION, version));
    }
    let (order, numbers) = rest.split_first().ok_or_else(damaged)?;
    let numbers: Vec<u64> = numbers.chunks(8).map_while(|n| n.try_into().ok().map(u64::from_le_bytes)).collect();
    let checked = bytes.get(..LENGTH - 8).map(|b| xxh3_64_with_seed(b, CHECK_SEED)).ok_or_else(damaged)?;
    let [now, from, to, time, upper, sequence, query, check] = numbers[..] else {
        return Err(damaged());
    };
    if bytes.len() != LENGTH || checked != check || *order > 1 {
        return Err(damaged());
    }
    let at = |bits: u64| Timestamp(bits.cast_signed());
    Ok(Cursor {
        order: if *order == 1 { Order::Ascending } else { Order::Descending },
        now: at(now),
        range: TimeRange { from: at(from), to: at(to) },
        upper: Sequence(upper),
        last: Key { time: at(time), sequence: Sequence(sequence) },
        query,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            order: Order::Ascending,
            now: Timestamp(-5),
            range: TimeRange { from: Timestamp::MIN, to: Timestamp(9) },
            upper: Sequence(u64::MAX),
            last: Key { time: Timestamp(7), sequence: Sequence(8) },
            query: query_hash("a"),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        assert_eq!(Cursor::read(&cursor().write(), " a ", Order::Ascending).unwrap(), cursor());
        assert!(cursor().write().len() <= CURSOR_BYTES_MAX);
    }

    #[test]
    fn every_change_is_noticed() {
        let text = cursor().write();
        for i in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(Cursor::read(&changed, "a", Order::Ascending).is_err(), "byte {i}");
            assert!(Cursor::read(&text[..i], "a", Order::Ascending).is_err(), "cut at {i}");
        }
        assert!(Cursor::read(&text, "b", Order::Ascending).unwrap_err().message().contains("another query"));
        assert!(Cursor::read(&text, "a", Order::Descending).unwrap_err().message().contains("other order"));
        assert!(Cursor::read(&"A".repeat(513), "a", Order::Ascending).unwrap_err().message().contains("too long"));
        assert!(Cursor::read(&(text + "AAAA"), "a", Order::Ascending).unwrap_err().message().contains("damaged"));
    }
}
