//! [`StringValues`]: the values of a column of strings as a chunk holds them, texts and UUIDs apart.

use std::ops::Range;

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, EVENT_BYTES_MAX, EVENT_LEAVES_MAX};
use crate::segment::block::typed::{parse_uuid, print_uuid};
use crate::segment::block::uuids::{self, Uuids, are_random};

/// A value that is written as it is.
pub(crate) const TEXT: u8 = 0;
/// A UUID in lower case, or without letters.
pub(crate) const UUID_LOWER: u8 = 1;
/// A UUID in upper case.
pub(crate) const UUID_UPPER: u8 = 2;
/// In place of a common kind: the kinds stand value by value.
pub(crate) const MIXED: u8 = 3;
/// Added to a common kind or to [`MIXED`]: all UUIDs are random ones.
pub(crate) const RANDOM: u8 = 4;

/// Values of one column, in order.
#[derive(Debug, Default)]
pub(crate) struct StringValues {
    kinds: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
    texts: Vec<u8>,
    /// 16 bytes for each UUID.
    uuids: Vec<u8>,
}

/// A place among values: how many lie before it, and how many texts and UUIDs among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) value: usize,
    pub(crate) text: usize,
}

impl StringValues {
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn clear(&mut self) {
        self.kinds.clear();
        self.ends.clear();
        self.texts.clear();
        self.uuids.clear();
    }

    /// Appends a value, whatever it is.
    pub(crate) fn push(&mut self, value: &[u8]) {
        match parse_uuid(value) {
            Some((uuid, upper)) => self.push_uuid(uuid, upper),
            None => self.push_text(value),
        }
    }

    /// Appends a value that is known to be no UUID.
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        self.kinds.push(TEXT);
        self.texts.put_bytes(text);
        self.ends.push(self.texts.len());
    }

    fn push_uuid(&mut self, uuid: u128, upper: bool) {
        self.kinds.push(if upper { UUID_UPPER } else { UUID_LOWER });
        self.uuids.put_bytes(&uuid.to_le_bytes());
    }

    /// Appends a chunk, as [`StringValues::encode`] wrote it. The plain part follows the raw part where a unit keeps them together.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`]; some of the values may then have been appended.
    pub(crate) fn read(&mut self, raw: &[u8], plain: &[u8]) -> Result<()> {
        let mut reader = Reader::new(raw);
        let count = reader.length(BLOCK_DOCUMENTS * EVENT_LEAVES_MAX)?;
        let (kind, are_random) = read_kind(&mut reader)?;
        let texts = if kind == MIXED {
            let kinds = reader.bytes(count)?;
            if kinds.iter().any(|kind| *kind > UUID_UPPER) {
                return Err(Error::corrupt("unknown kind of value").expected("0 to 2", "more"));
            }
            self.kinds.put_bytes(kinds);
            kinds.iter().filter(|kind| **kind == TEXT).count()
        } else if kind <= UUID_UPPER {
            // A text takes a byte of length at least, a UUID 15: a damaged count cannot allocate more than there is.
            let least = if kind == TEXT { reader.remaining() } else { (reader.remaining() + plain.len()) / 15 };
            if count > least {
                return Err(Error::corrupt("a chunk has fewer values than it says").expected(count, least));
            }
            self.kinds.resize(self.kinds.len() + count, kind);
            if kind == TEXT { count } else { 0 }
        } else {
            return Err(Error::corrupt("unknown kind of value").expected("0 to 3", kind));
        };
        let before = self.texts.len();
        let mut end = before;
        for _ in 0..texts {
            end += reader.length(EVENT_BYTES_MAX)?;
            self.ends.push(end);
        }
        self.texts.put_bytes(reader.bytes(end - before)?);
        let rest = reader.bytes(reader.remaining())?;
        let uuids = if plain.is_empty() { rest } else { plain };
        if texts < count {
            Uuids::read(uuids, count - texts, are_random)?.append_to(&mut self.uuids);
        }
        Ok(())
    }

    /// Calls `visit` with the text of each value.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&[u8])) {
        let (mut texts, mut uuids, mut printed) = (0, self.uuids.chunks_exact(16), Vec::with_capacity(36));
        for kind in &self.kinds {
            if *kind == TEXT {
                visit(self.texts.get(self.range(texts)).unwrap_or_default());
                texts += 1;
            } else {
                let uuid = uuids.next().and_then(|bytes| bytes.first_chunk::<16>()).map_or(0, |bytes| u128::from_le_bytes(*bytes));
                printed.clear();
                print_uuid(uuid, *kind == UUID_UPPER, &mut printed);
                visit(&printed);
            }
        }
    }

    /// Appends the values of another from a place on; returns the place behind them.
    pub(crate) fn append(&mut self, other: &StringValues, from: Place, count: usize) -> Place {
        let kinds = other.kinds.get(from.value..from.value + count).unwrap_or_default();
        let texts = kinds.iter().filter(|kind| **kind == TEXT).count();
        let to = Place { value: from.value + kinds.len(), text: from.text + texts };
        self.kinds.extend_from_slice(kinds);
        if texts > 0 {
            let bytes = other.text_start(from.text)..other.text_start(to.text);
            let (before, skipped) = (self.texts.len(), bytes.start);
            self.texts.put_bytes(other.texts.get(bytes).unwrap_or_default());
            let ends = other.ends.get(from.text..to.text).unwrap_or_default();
            self.ends.extend(ends.iter().map(|end| before + (end - skipped)));
        }
        let uuids = |place: Place| (place.value - place.text) * 16;
        self.uuids.put_bytes(other.uuids.get(uuids(from)..uuids(to)).unwrap_or_default());
        to
    }

    fn text_start(&self, text: usize) -> usize {
        text.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// Appends the chunk: `count: varint`, `kind: u8`, for mixed kinds one byte a value, for texts `length: varint` each, the texts; UUIDs
    /// go to `plain`.
    pub(crate) fn encode(&self, raw: &mut Vec<u8>, plain: &mut Vec<u8>) {
        let first = self.kinds.first().copied().unwrap_or(TEXT);
        let are_random = !self.uuids.is_empty() && are_random(&self.uuids);
        let random = if are_random { RANDOM } else { 0 };
        raw.put_varint(self.kinds.len() as u64);
        if self.kinds.iter().all(|kind| *kind == first) {
            raw.put_u8(first | random);
        } else {
            raw.put_u8(MIXED | random);
            raw.put_bytes(&self.kinds);
        }
        (0..self.ends.len()).map(|text| self.range(text)).for_each(|range| raw.put_varint(range.len() as u64));
        raw.put_bytes(&self.texts);
        uuids::encode(&self.uuids, are_random, plain);
    }

    fn range(&self, text: usize) -> Range<usize> {
        self.text_start(text)..self.text_start(text + 1)
    }
}

/// The kind of all values, or [`MIXED`], and whether all UUIDs are random ones.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] for a byte that is no kind.
pub(crate) fn read_kind(reader: &mut Reader<'_>) -> Result<(u8, bool)> {
    match reader.u8()? {
        kind if kind == TEXT | RANDOM || kind > MIXED | RANDOM => {
            Err(Error::corrupt("unknown kind of value").expected("0 to 3, or 5 to 7", kind))
        }
        kind => Ok((kind & !RANDOM, kind & RANDOM != 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &StringValues) -> (Vec<u8>, Vec<u8>) {
        let (mut raw, mut plain) = (Vec::new(), Vec::new());
        values.encode(&mut raw, &mut plain);
        (raw, plain)
    }

    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![".{0,9}", "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", "[0-9A-F]{8}-0000-0000-0000-[0-9]{12}"]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw: Vec<u8>, plain: Vec<u8>) {
            let mut values = StringValues::default();
            if values.read(&raw, &plain).is_ok() {
                let mut copy = StringValues::default();
                prop_assert_eq!(copy.append(&values, Place::default(), values.len()).value, values.len());
            }
        }

        /// Values that are taken over in pieces are those that would have been pushed.
        #[test]
        fn pieces_make_the_whole(values in prop::collection::vec(any_value(), 0..60), cuts in prop::collection::vec(0usize..9, 0..20)) {
            let (mut all, mut pieces, mut place) = (StringValues::default(), StringValues::default(), Place::default());
            values.iter().for_each(|value| all.push(value.as_bytes()));
            for count in cuts.into_iter().chain([values.len()]) {
                let count = count.min(all.len() - place.value);
                place = pieces.append(&all, place, count);
            }
            prop_assert_eq!(place.value, values.len());
            prop_assert_eq!(encoded(&pieces), encoded(&all));
            let mut seen = Vec::new();
            all.for_each(|value| seen.push(String::from_utf8(value.to_vec()).unwrap()));
            prop_assert_eq!(&seen, &values);
            let (mut read, (raw, plain)) = (StringValues::default(), encoded(&all));
            read.read(&raw, &plain).unwrap();
            read.read(&[raw.clone(), plain.clone()].concat(), &[]).unwrap();
            let (mut twice, start) = (StringValues::default(), Place::default());
            twice.append(&all, start, all.len());
            twice.append(&all, start, all.len());
            prop_assert_eq!(encoded(&read), encoded(&twice));
        }
    }
}
