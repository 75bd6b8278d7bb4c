//! A chunk: the values that one column has in one block, in the order of the documents.
//!
//! A chunk has a raw part, which is compressed, and a plain part, which is not: the bits of UUIDs do not compress and would only
//! disturb what does. A chunk begins with the number of its values (`count: varint`), so that a scan need not know the shapes of the
//! block's documents before it has found something.

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, EVENT_BYTES_MAX, EVENT_LEAVES_MAX, LEAF_BYTES_MAX};
use crate::segment::block::planes::{self, Planes};
use crate::segment::block::strings::{StringValues, TEXT, UUID_LOWER, UUID_UPPER, read_kind};
use crate::segment::block::typed::{TimeForm, print_integer, print_time, print_uuid};
use crate::segment::block::uuids::Uuids;
use crate::shred::texts::Texts;

/// How a column keeps its values, in all blocks of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Every value is the one in the dictionary; there are no chunks.
    Constant,
    /// Ordinals into the column's part of the dictionary.
    Codes,
    /// Integers that print back, as differences.
    Integers,
    /// Timestamps that print back, as differences.
    Times(TimeForm),
    /// The values themselves.
    Strings,
}

impl Encoding {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Encoding::Constant => 0,
            Encoding::Codes => 1,
            Encoding::Integers => 2,
            Encoding::Times(TimeForm::Seconds) => 3,
            Encoding::Times(TimeForm::Millis) => 4,
            Encoding::Strings => 5,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Encoding> {
        Ok(match byte {
            0 => Encoding::Constant,
            1 => Encoding::Codes,
            2 => Encoding::Integers,
            3 => Encoding::Times(TimeForm::Seconds),
            4 => Encoding::Times(TimeForm::Millis),
            5 => Encoding::Strings,
            _ => return Err(Error::corrupt("unknown column encoding").expected("0 to 5", byte)),
        })
    }
}

/// Appends codes: `count: varint`, `base: varint`, then the planes of code - base.
pub(crate) fn encode_codes(codes: &[u32], raw: &mut Vec<u8>) {
    raw.put_varint(codes.len() as u64);
    let base = codes.iter().copied().min().unwrap_or(0);
    raw.put_varint(u64::from(base));
    planes::encode_above(codes, base, raw);
}

/// Appends numbers: `count: varint`, `first: signed varint`, then the planes of the zigzag differences.
pub(crate) fn encode_numbers(numbers: &[i64], raw: &mut Vec<u8>) {
    raw.put_varint(numbers.len() as u64);
    raw.put_signed_varint(numbers.first().copied().unwrap_or(0));
    let differences = numbers.iter().zip(numbers.iter().skip(1)).map(|(a, b)| {
        let difference = b.wrapping_sub(*a);
        ((difference << 1) ^ (difference >> 63)) as u64
    });
    planes::encode(&differences.collect::<Vec<_>>(), raw);
}

/// Appends strings, as [`StringValues::encode`] does.
pub(crate) fn encode_strings<'a>(values: impl Iterator<Item = &'a [u8]>, raw: &mut Vec<u8>, plain: &mut Vec<u8>) {
    let mut strings = StringValues::default();
    values.for_each(|value| strings.push(value));
    strings.encode(raw, plain);
}

/// A decoded chunk, read in place.
#[derive(Debug)]
pub(crate) enum Chunk<'a> {
    /// Codes: their number, base and planes.
    Codes(usize, u64, Planes<'a>),
    /// Integers or timestamps, decoded.
    Numbers(Vec<i64>, Option<TimeForm>),
    /// UUIDs of one case.
    Uuids(Uuids<'a>, bool),
    /// Texts: where each ends, and all of them.
    Texts(Vec<u32>, &'a [u8]),
    /// Texts and UUIDs.
    Mixed(Mixed<'a>),
}

/// Texts and UUIDs in one chunk, read in place.
#[derive(Debug)]
pub(crate) struct Mixed<'a> {
    /// The kind of every value.
    kinds: &'a [u8],
    /// The place of every value among those that are texts, or among those that are UUIDs.
    places: Vec<u32>,
    ends: Vec<u32>,
    texts: &'a [u8],
    uuids: Uuids<'a>,
}

impl<'a> Chunk<'a> {
    /// Reads a chunk of at most `values_max` values: as many as the block's documents can have in the column. The plain part follows the
    /// raw part where a unit keeps them together.
    pub(crate) fn read(encoding: Encoding, raw: &'a [u8], plain: &'a [u8], values_max: usize) -> Result<Chunk<'a>> {
        let mut reader = Reader::new(raw);
        let count = reader.length(values_max.min(BLOCK_DOCUMENTS * EVENT_LEAVES_MAX))?;
        match encoding {
            Encoding::Constant => Err(Error::corrupt("a constant column has a chunk")),
            Encoding::Codes => {
                let base = reader.varint()?;
                Ok(Chunk::Codes(count, base, Planes::read(&mut reader, count)?))
            }
            Encoding::Integers => Ok(Chunk::Numbers(read_numbers(&mut reader, count)?, None)),
            Encoding::Times(form) => Ok(Chunk::Numbers(read_numbers(&mut reader, count)?, Some(form))),
            Encoding::Strings => read_strings(&mut reader, plain, count),
        }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Chunk::Codes(count, ..) => *count,
            Chunk::Numbers(numbers, _) => numbers.len(),
            Chunk::Uuids(uuids, _) => uuids.len(),
            Chunk::Texts(ends, _) => ends.len(),
            Chunk::Mixed(mixed) => mixed.kinds.len(),
        }
    }

    /// The code at an index; `None` in a chunk without codes.
    #[inline]
    pub(crate) fn code(&self, index: usize) -> Option<u32> {
        match self {
            Chunk::Codes(_, base, planes) => u32::try_from(base.wrapping_add(planes.get(index))).ok(),
            _ => None,
        }
    }

    /// All codes; none from a chunk without.
    pub(crate) fn codes(&self) -> Vec<u32> {
        let Chunk::Codes(_, base, planes) = self else { return Vec::new() };
        let above = |code: u64| u32::try_from(base.wrapping_add(code)).unwrap_or(u32::MAX);
        match planes.narrow() {
            Some((low, [])) => low.iter().map(|low| above(u64::from(*low))).collect(),
            Some((low, high)) => low.iter().zip(high).map(|(low, high)| above(u64::from(*low) | u64::from(*high) << 8)).collect(),
            None => planes.to_vec().into_iter().map(above).collect(),
        }
    }

    /// Appends what `map` has in place of each code; nothing from a chunk without codes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] for a code that `map` does not have.
    pub(crate) fn map_codes<T: Copy + Default>(&self, map: &[T], out: &mut Vec<T>) -> Result<()> {
        let Chunk::Codes(count, base, planes) = self else { return Ok(()) };
        let (count, map) = (*count, usize::try_from(*base).ok().and_then(|base| map.get(base..)).unwrap_or_default());
        let mut largest = 0usize;
        let mut take = |code: usize| {
            largest = largest.max(code);
            map.get(code).copied().unwrap_or_default()
        };
        match planes.narrow() {
            Some((low, [])) => out.extend(low.iter().map(|low| take(usize::from(*low)))),
            Some((low, high)) => out.extend(low.iter().zip(high).map(|(low, high)| take(usize::from(*low) | usize::from(*high) << 8))),
            None => out.extend((0..count).map(|index| take(usize::try_from(planes.get(index)).unwrap_or(usize::MAX)))),
        }
        if count > 0 && largest >= map.len() {
            return Err(Error::corrupt("a code is not in the dictionary").expected(format_args!("below {}", map.len()), largest));
        }
        Ok(())
    }

    /// The numbers; none in other chunks.
    pub(crate) fn numbers(&self) -> &[i64] {
        match self {
            Chunk::Numbers(numbers, _) => numbers,
            _ => &[],
        }
    }

    /// Appends the text of all numbers; nothing from other chunks.
    pub(crate) fn number_texts(&self, out: &mut StringValues) {
        let mut text = Vec::new();
        for index in 0..self.numbers().len() {
            text.clear();
            self.value(index, &mut text);
            out.push_text(&text);
        }
    }

    /// Whether a value could hold the text, by the letters that its form has: it saves printing all numbers, times and UUIDs.
    pub(crate) fn may_hold(&self, needle: &str) -> bool {
        match self {
            Chunk::Numbers(..) => needle.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 't' | 'Z' | 'z')),
            Chunk::Uuids(..) => may_be_in_uuid(needle),
            _ => true,
        }
    }

    /// The texts among the values, to be searched as one, with the index of each of them where there are UUIDs too.
    pub(crate) fn texts(&self) -> Option<(Texts<'_>, Option<Vec<u32>>)> {
        match self {
            Chunk::Texts(ends, bytes) => Some((Texts { start: 0, ends, bytes }, None)),
            Chunk::Mixed(mixed) => {
                let indexes = (0u32..).zip(mixed.kinds).filter(|(_, kind)| **kind == TEXT).map(|(index, _)| index).collect();
                Some((Texts { start: 0, ends: &mixed.ends, bytes: mixed.texts }, Some(indexes)))
            }
            _ => None,
        }
    }

    /// Whether all values that could hold the text are in [`Chunk::texts`].
    pub(crate) fn only_texts_hold(&self, needle: &str) -> bool {
        match self {
            Chunk::Texts(..) => true,
            Chunk::Mixed(_) => !may_be_in_uuid(needle),
            _ => false,
        }
    }

    /// Appends the value at an index of a chunk without codes.
    pub(crate) fn value(&self, index: usize, out: &mut Vec<u8>) {
        match self {
            Chunk::Codes(..) => {}
            Chunk::Numbers(numbers, form) => match (numbers.get(index), form) {
                (Some(number), Some(form)) => print_time(*number, *form, out),
                (Some(number), None) => print_integer(*number, out),
                (None, _) => {}
            },
            Chunk::Uuids(uuids, upper) => put_uuid(*uuids, index, *upper, out),
            Chunk::Texts(ends, texts) => out.extend_from_slice(text_at(ends, texts, index)),
            Chunk::Mixed(mixed) => match (mixed.kinds.get(index), mixed.places.get(index)) {
                (Some(&TEXT), Some(place)) => out.extend_from_slice(text_at(&mixed.ends, mixed.texts, *place as usize)),
                (Some(kind), Some(place)) => put_uuid(mixed.uuids, *place as usize, *kind == UUID_UPPER, out),
                _ => {}
            },
        }
    }
}

fn may_be_in_uuid(needle: &str) -> bool {
    needle.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn text_at<'a>(ends: &[u32], texts: &'a [u8], index: usize) -> &'a [u8] {
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let range = ends.get(index).map(|end| start as usize..*end as usize);
    range.and_then(|range| texts.get(range)).unwrap_or_default()
}

fn put_uuid(uuids: Uuids<'_>, index: usize, upper: bool, out: &mut Vec<u8>) {
    if let Some(uuid) = uuids.get(index) {
        print_uuid(uuid, upper, out);
    }
}

fn read_numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>> {
    let mut number = reader.signed_varint()?;
    let differences = Planes::read(reader, count.saturating_sub(1))?;
    let mut numbers = Vec::with_capacity(count.min(BLOCK_DOCUMENTS));
    numbers.extend((count > 0).then_some(number));
    for zigzag in differences.to_vec() {
        number = number.wrapping_add((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        numbers.push(number);
    }
    Ok(numbers)
}

fn read_strings<'a>(reader: &mut Reader<'a>, plain: &'a [u8], count: usize) -> Result<Chunk<'a>> {
    let (kind, are_random) = read_kind(reader)?;
    match kind {
        TEXT => {
            let (ends, texts) = read_texts(reader, count)?;
            Ok(Chunk::Texts(ends, texts))
        }
        kind @ (UUID_LOWER | UUID_UPPER) => Ok(Chunk::Uuids(read_uuids(reader, plain, (count, are_random))?, kind == UUID_UPPER)),
        _ => read_mixed(reader, plain, (count, are_random)).map(Chunk::Mixed),
    }
}

/// Where each of `count` texts ends, and all of them.
fn read_texts<'a>(reader: &mut Reader<'a>, count: usize) -> Result<(Vec<u32>, &'a [u8])> {
    // A text costs at least one byte of length, so a damaged count cannot allocate more than there is.
    let mut ends = Vec::with_capacity(count.min(reader.remaining()));
    let mut end = 0u32;
    for _ in 0..count {
        let length = reader.length(LEAF_BYTES_MAX.max(EVENT_BYTES_MAX))?;
        end = end.checked_add(length as u32).ok_or_else(|| Error::corrupt("the texts of a column are too long"))?;
        ends.push(end);
    }
    Ok((ends, reader.bytes(end as usize)?))
}

/// The plain part, or what is left of the raw one.
pub(super) fn read_uuids<'a>(reader: &mut Reader<'a>, plain: &'a [u8], (count, are_random): (usize, bool)) -> Result<Uuids<'a>> {
    let uuids = if plain.is_empty() { reader.bytes(reader.remaining())? } else { plain };
    Uuids::read(uuids, count, are_random)
}

fn read_mixed<'a>(reader: &mut Reader<'a>, plain: &'a [u8], (count, are_random): (usize, bool)) -> Result<Mixed<'a>> {
    let kinds = reader.bytes(count)?;
    let (mut texts, mut uuids) = (0u32, 0u32);
    let mut places = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let next = match *kind {
            TEXT => &mut texts,
            UUID_LOWER | UUID_UPPER => &mut uuids,
            other => return Err(Error::corrupt("unknown kind of value").expected("0 to 2", other)),
        };
        places.push(*next);
        *next += 1;
    }
    let (ends, texts) = read_texts(reader, texts as usize)?;
    let uuids = if uuids == 0 { Uuids::none() } else { read_uuids(reader, plain, (uuids as usize, are_random))? };
    Ok(Mixed { kinds, places, ends, texts, uuids })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::block::strings::MIXED;
    use proptest::prelude::*;

    fn value_at(chunk: &Chunk<'_>, index: usize) -> Vec<u8> {
        let mut out = Vec::new();
        chunk.value(index, &mut out);
        out
    }

    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<String>().prop_map(String::into_bytes),
            (any::<u128>(), any::<bool>()).prop_map(|(uuid, upper)| {
                let mut text = Vec::new();
                print_uuid(uuid, upper, &mut text);
                text
            }),
        ]
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let error = Chunk::read(Encoding::Strings, &[2, MIXED, 0, 9], &[], 2).unwrap_err();
        assert!(error.to_string().ends_with("expected 0 to 2, found 9"), "{error}");
    }

    proptest! {
        #[test]
        fn strings_come_back(values in prop::collection::vec(any_text(), 0..40), together: bool) {
            let (mut raw, mut plain) = (Vec::new(), Vec::new());
            encode_strings(values.iter().map(Vec::as_slice), &mut raw, &mut plain);
            if together {
                raw.append(&mut plain);
            }
            let chunk = Chunk::read(Encoding::Strings, &raw, &plain, usize::MAX).unwrap();
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(&value_at(&chunk, i), value);
            }
        }

        #[test]
        fn numbers_and_codes_come_back(numbers: Vec<i64>, codes: Vec<u32>) {
            let mut raw = Vec::new();
            encode_numbers(&numbers, &mut raw);
            let chunk = Chunk::read(Encoding::Integers, &raw, &[], usize::MAX).unwrap();
            for (i, number) in numbers.iter().enumerate() {
                prop_assert_eq!(value_at(&chunk, i), number.to_string().into_bytes());
            }
            raw.clear();
            encode_codes(&codes, &mut raw);
            let chunk = Chunk::read(Encoding::Codes, &raw, &[], usize::MAX).unwrap();
            for (i, code) in codes.iter().enumerate() {
                prop_assert_eq!(chunk.code(i), Some(*code));
            }
        }

        #[test]
        fn a_count_is_bounded_by_what_the_documents_can_have(most in 0usize..5_000, more in 1usize..1_000) {
            // Without planes a count costs nothing: three bytes would ask for as much memory as they like.
            for (count, is_read) in [(most, true), (most + more, false)] {
                let mut raw = Vec::new();
                raw.put_varint(count as u64);
                raw.put_signed_varint(7);
                raw.put_u8(0);
                prop_assert_eq!(Chunk::read(Encoding::Integers, &raw, &[], most).is_ok(), is_read);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(raw: Vec<u8>, plain: Vec<u8>, encoding in 0u8..7) {
            if let Ok(encoding) = Encoding::from_byte(encoding)
                && let Ok(chunk) = Chunk::read(encoding, &raw, &plain, BLOCK_DOCUMENTS)
            {
                value_at(&chunk, chunk.len().saturating_sub(1));
                chunk.code(chunk.len());
            }
        }
    }
}
