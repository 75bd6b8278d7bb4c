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
use crate::segment::block::strings::{MIXED, StringValues, TEXT, UUID_LOWER, UUID_UPPER};
use crate::segment::block::typed::{TimeForm, print_integer, print_time, print_uuid};

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
    /// UUIDs of one case, 16 bytes each.
    Uuids(&'a [u8], bool),
    /// Texts: where each ends, and all of them.
    Texts(Vec<u32>, &'a [u8]),
    /// Texts and UUIDs.
    Mixed(Vec<Text<'a>>),
}

/// One value of a mixed chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    Raw(&'a [u8]),
    Uuid(u128, bool),
}

impl<'a> Chunk<'a> {
    /// Reads a chunk. The plain part follows the raw part where a unit keeps them together.
    pub(crate) fn read(encoding: Encoding, raw: &'a [u8], plain: &'a [u8]) -> Result<Chunk<'a>> {
        let mut reader = Reader::new(raw);
        let count = reader.length(BLOCK_DOCUMENTS * EVENT_LEAVES_MAX)?;
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
            Chunk::Uuids(bytes, _) => bytes.len() / 16,
            Chunk::Texts(ends, _) => ends.len(),
            Chunk::Mixed(texts) => texts.len(),
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
            Chunk::Uuids(..) => needle.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
            _ => true,
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
            Chunk::Uuids(bytes, upper) => {
                if let Some(uuid) = bytes.get(index * 16..).and_then(|b| b.first_chunk::<16>()) {
                    print_uuid(u128::from_le_bytes(*uuid), *upper, out);
                }
            }
            Chunk::Texts(ends, texts) => {
                let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
                let range = ends.get(index).map(|end| start as usize..*end as usize);
                out.extend_from_slice(range.and_then(|range| texts.get(range)).unwrap_or_default());
            }
            Chunk::Mixed(texts) => match texts.get(index) {
                Some(Text::Raw(text)) => out.extend_from_slice(text),
                Some(Text::Uuid(uuid, upper)) => print_uuid(*uuid, *upper, out),
                None => {}
            },
        }
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
    match reader.u8()? {
        TEXT => read_texts(reader, count),
        kind @ (UUID_LOWER | UUID_UPPER) => {
            let packed = if plain.is_empty() { reader.bytes(reader.remaining())? } else { plain };
            if packed.len() / 16 != count || packed.len() % 16 != 0 {
                return Err(Error::corrupt("the UUIDs of a column have a wrong length").expected(count.saturating_mul(16), packed.len()));
            }
            Ok(Chunk::Uuids(packed, kind == UUID_UPPER))
        }
        common => read_mixed(common, reader, plain, count).map(Chunk::Mixed),
    }
}

fn read_texts<'a>(reader: &mut Reader<'a>, count: usize) -> Result<Chunk<'a>> {
    // A text costs at least one byte of length, so a damaged count cannot allocate more than there is.
    let mut ends = Vec::with_capacity(count.min(reader.remaining()));
    let mut end = 0u32;
    for _ in 0..count {
        let length = reader.length(LEAF_BYTES_MAX.max(EVENT_BYTES_MAX))?;
        end = end.checked_add(length as u32).ok_or_else(|| Error::corrupt("the texts of a column are too long"))?;
        ends.push(end);
    }
    let texts = reader.bytes(end as usize)?;
    Ok(Chunk::Texts(ends, texts))
}

fn read_mixed<'a>(common: u8, reader: &mut Reader<'a>, plain: &'a [u8], count: usize) -> Result<Vec<Text<'a>>> {
    let kinds = if common == MIXED { reader.bytes(count)? } else { &[] };
    let kind_of = |i: usize| kinds.get(i).copied().unwrap_or(common);
    if (0..count).any(|i| kind_of(i) > UUID_UPPER) {
        return Err(Error::corrupt("unknown kind of value").expected("0 to 2", common));
    }
    let texts = (0..count).filter(|i| kind_of(*i) == TEXT).count();
    // A text costs at least one byte of length, so a damaged count cannot allocate more than there is.
    let mut lengths = Vec::with_capacity(texts.min(reader.remaining()));
    for _ in 0..texts {
        lengths.push(reader.length(LEAF_BYTES_MAX.max(EVENT_BYTES_MAX))?);
    }
    let mut lengths = lengths.into_iter();
    let mut values = Vec::with_capacity(texts.min(reader.remaining()));
    for i in (0..count).filter(|i| kind_of(*i) == TEXT) {
        values.push((i, Text::Raw(reader.bytes(lengths.next().unwrap_or(0))?)));
    }
    if texts == count {
        return Ok(values.into_iter().map(|(_, text)| text).collect());
    }
    let packed = if plain.is_empty() { reader.bytes(reader.remaining())? } else { plain };
    merge_uuids(values, packed, count, kind_of)
}

fn merge_uuids<'a>(texts: Vec<(usize, Text<'a>)>, packed: &[u8], count: usize, kind_of: impl Fn(usize) -> u8) -> Result<Vec<Text<'a>>> {
    let (mut texts, mut uuids) = (texts.into_iter(), Reader::new(packed));
    let mut values = Vec::with_capacity(count.min(packed.len() / 16 + texts.len()));
    for i in 0..count {
        values.push(match kind_of(i) {
            TEXT => texts.next().map_or(Text::Raw(&[]), |(_, text)| text),
            kind => {
                let low = u128::from(uuids.u64()?);
                Text::Uuid(u128::from(uuids.u64()?) << 64 | low, kind == UUID_UPPER)
            }
        });
    }
    uuids.finish()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    proptest! {
        #[test]
        fn strings_come_back(values in prop::collection::vec(any_text(), 0..40), together: bool) {
            let (mut raw, mut plain) = (Vec::new(), Vec::new());
            encode_strings(values.iter().map(Vec::as_slice), &mut raw, &mut plain);
            if together {
                raw.append(&mut plain);
            }
            let chunk = Chunk::read(Encoding::Strings, &raw, &plain).unwrap();
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(&value_at(&chunk, i), value);
            }
        }

        #[test]
        fn numbers_and_codes_come_back(numbers: Vec<i64>, codes: Vec<u32>) {
            let mut raw = Vec::new();
            encode_numbers(&numbers, &mut raw);
            let chunk = Chunk::read(Encoding::Integers, &raw, &[]).unwrap();
            for (i, number) in numbers.iter().enumerate() {
                prop_assert_eq!(value_at(&chunk, i), number.to_string().into_bytes());
            }
            raw.clear();
            encode_codes(&codes, &mut raw);
            let chunk = Chunk::read(Encoding::Codes, &raw, &[]).unwrap();
            for (i, code) in codes.iter().enumerate() {
                prop_assert_eq!(chunk.code(i), Some(*code));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(raw: Vec<u8>, plain: Vec<u8>, encoding in 0u8..7) {
            if let Ok(encoding) = Encoding::from_byte(encoding)
                && let Ok(chunk) = Chunk::read(encoding, &raw, &plain)
            {
                value_at(&chunk, chunk.len().saturating_sub(1));
                chunk.code(chunk.len());
            }
        }
    }
}
