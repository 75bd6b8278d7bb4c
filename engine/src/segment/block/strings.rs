//! [`StringValues`]: the values of a column of strings as a chunk holds them, texts and UUIDs apart.

use std::ops::Range;

use crate::codec::write::Write as _;
use crate::segment::block::typed::parse_uuid;

/// A value that is written as it is.
pub(crate) const TEXT: u8 = 0;
/// A UUID in lower case, or without letters.
pub(crate) const UUID_LOWER: u8 = 1;
/// A UUID in upper case.
pub(crate) const UUID_UPPER: u8 = 2;
/// In place of a common kind: the kinds stand value by value.
pub(crate) const MIXED: u8 = 3;

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

    pub(crate) fn push_uuid(&mut self, uuid: u128, upper: bool) {
        self.kinds.push(if upper { UUID_UPPER } else { UUID_LOWER });
        self.uuids.put_bytes(&uuid.to_le_bytes());
    }

    /// Appends UUIDs as a chunk holds them.
    pub(crate) fn push_uuids(&mut self, uuids: &[u8], upper: bool) {
        self.kinds.resize(self.kinds.len() + uuids.len() / 16, if upper { UUID_UPPER } else { UUID_LOWER });
        self.uuids.put_bytes(uuids);
    }

    /// Appends texts that are known to be no UUIDs: where each ends, and all of them.
    pub(crate) fn push_texts(&mut self, ends: &[u32], texts: &[u8]) {
        let before = self.texts.len();
        self.kinds.resize(self.kinds.len() + ends.len(), TEXT);
        self.texts.put_bytes(texts);
        self.ends.extend(ends.iter().map(|end| before + *end as usize));
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
        raw.put_varint(self.kinds.len() as u64);
        if self.kinds.iter().all(|kind| *kind == first) {
            raw.put_u8(first);
        } else {
            raw.put_u8(MIXED);
            raw.put_bytes(&self.kinds);
        }
        (0..self.ends.len()).map(|text| self.range(text)).for_each(|range| raw.put_varint(range.len() as u64));
        raw.put_bytes(&self.texts);
        plain.put_bytes(&self.uuids);
    }

    fn range(&self, text: usize) -> Range<usize> {
        self.text_start(text)..self.text_start(text + 1)
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
        }
    }
}
