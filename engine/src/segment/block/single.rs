//! One value of a chunk, without what reading many would take.
//!
//! Problem: who wants one document wants one value of each of some thirty chunks, and reading a chunk prepares for all of its values: it adds
//! up all numbers and notes where each text ends. Mechanism: a number is added up as far as it stands; of the texts only the lengths are
//! added up. Limits: no more is checked than what was looked at, beside that the parts have the lengths that they say.

use crate::codec::read::Reader;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, EVENT_BYTES_MAX, EVENT_LEAVES_MAX, LEAF_BYTES_MAX};
use crate::segment::block::chunk::{Encoding, read_uuids};
use crate::segment::block::planes::Planes;
use crate::segment::block::strings::{TEXT, UUID_LOWER, UUID_UPPER, read_kind};
use crate::segment::block::typed::{print_integer, print_time, print_uuid};

/// The code of the value at an index, or `None` in a chunk without codes: then the value was appended to `out`.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`], also when there are fewer values.
pub(crate) fn read_one(encoding: Encoding, raw: &[u8], plain: &[u8], index: usize, out: &mut Vec<u8>) -> Result<Option<u32>> {
    let mut reader = Reader::new(raw);
    let count = reader.length(BLOCK_DOCUMENTS * EVENT_LEAVES_MAX)?;
    if index >= count {
        return Err(Error::corrupt("a column has too few values"));
    }
    match encoding {
        Encoding::Constant => return Err(Error::corrupt("a constant column has a chunk")),
        Encoding::Codes => {
            let base = reader.varint()?;
            let above = Planes::read(&mut reader, count)?.get(index);
            return Ok(Some(u32::try_from(base.wrapping_add(above)).unwrap_or(u32::MAX)));
        }
        Encoding::Integers => print_integer(number(&mut reader, count, index)?, out),
        Encoding::Times(form) => print_time(number(&mut reader, count, index)?, form, out),
        Encoding::Strings => string(&mut reader, plain, (count, index), out)?,
    }
    Ok(None)
}

/// The first number and the differences up to the one at the index.
fn number(reader: &mut Reader<'_>, count: usize, index: usize) -> Result<i64> {
    let first = reader.signed_varint()?;
    let differences = Planes::read(reader, count.saturating_sub(1))?;
    let unfold = |zigzag: u64| (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    let sum = |differences: &mut dyn Iterator<Item = u64>| differences.fold(first, |sum, zigzag| sum.wrapping_add(unfold(zigzag)));
    Ok(match differences.narrow() {
        Some((low, [])) => sum(&mut low.iter().take(index).map(|low| u64::from(*low))),
        Some((low, high)) => sum(&mut low.iter().zip(high).take(index).map(|(low, high)| u64::from(*low) | u64::from(*high) << 8)),
        None => sum(&mut (0..index).map(|at| differences.get(at))),
    })
}

fn string<'a>(reader: &mut Reader<'a>, plain: &'a [u8], (count, index): (usize, usize), out: &mut Vec<u8>) -> Result<()> {
    let (kind, are_random) = read_kind(reader)?;
    let (kind, texts, place) = match kind {
        TEXT => (TEXT, count, index),
        UUID_LOWER | UUID_UPPER => (kind, 0, index),
        _ => {
            let kinds = reader.bytes(count)?;
            let of = |kinds: &[u8]| kinds.iter().filter(|kind| **kind == TEXT).count();
            let (kind, before) = (kinds.get(index).copied().unwrap_or(TEXT), of(kinds.get(..index).unwrap_or_default()));
            (kind, of(kinds), if kind == TEXT { before } else { index - before })
        }
    };
    let text = if texts > 0 { text(reader, texts, place)? } else { &[] };
    match kind {
        TEXT => out.extend_from_slice(text),
        UUID_LOWER | UUID_UPPER => {
            let uuid = read_uuids(reader, plain, (count - texts, are_random))?.get(place);
            uuid.into_iter().for_each(|uuid| print_uuid(uuid, kind == UUID_UPPER, out));
        }
        other => return Err(Error::corrupt("unknown kind of value").expected("0 to 2", other)),
    }
    Ok(())
}

/// The text at an index of so many; none past the end. The reader is behind all of them afterwards.
fn text<'a>(reader: &mut Reader<'a>, count: usize, index: usize) -> Result<&'a [u8]> {
    let (mut range, mut end) = (0..0, 0usize);
    for at in 0..count {
        let start = end;
        end = start.saturating_add(reader.length(LEAF_BYTES_MAX.max(EVENT_BYTES_MAX))?);
        if at == index {
            range = start..end;
        }
    }
    Ok(reader.bytes(end)?.get(range).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::block::chunk::{Chunk, encode_codes, encode_numbers, encode_strings};
    use crate::segment::block::typed::TimeForm;
    use proptest::prelude::*;

    /// Each value alone, and as the chunk read whole has it.
    fn compare(encoding: Encoding, raw: &[u8], plain: &[u8]) {
        let chunk = Chunk::read(encoding, raw, plain, BLOCK_DOCUMENTS).unwrap();
        for index in 0..chunk.len() {
            let (mut whole, mut alone) = (Vec::new(), Vec::new());
            chunk.value(index, &mut whole);
            let code = read_one(encoding, raw, plain, index, &mut alone).unwrap();
            assert_eq!((code, alone), (chunk.code(index), whole), "{encoding:?} {index}");
        }
        assert!(read_one(encoding, raw, plain, chunk.len(), &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn one_value_is_what_it_is_among_all(
            codes in prop::collection::vec(prop_oneof![0u32..3, 0u32..70_000, any::<u32>()], 1..90),
            numbers in prop::collection::vec(prop_oneof![0i64..3, 0i64..70_000, any::<i64>()], 1..90),
            strings in prop::collection::vec(prop_oneof![
                "[a-z]{0,5}",
                "[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}",
                "[A-F0-9]{8}(-[A-F0-9]{4}){3}-[A-F0-9]{12}",
            ], 1..60),
            only in 0usize..3,
        ) {
            let mut raw = Vec::new();
            encode_codes(&codes, &mut raw);
            compare(Encoding::Codes, &raw, &[]);
            raw.clear();
            encode_numbers(&numbers, &mut raw);
            compare(Encoding::Integers, &raw, &[]);
            raw.clear();
            encode_numbers(&numbers.iter().map(|n| n % 4_000_000_000).collect::<Vec<_>>(), &mut raw);
            compare(Encoding::Times(TimeForm::Seconds), &raw, &[]);
            let form = |text: &&String| only == 2 || (text.len() == 36) == (only == 1);
            let (mut raw, mut plain) = (Vec::new(), Vec::new());
            encode_strings(strings.iter().filter(form).map(|text| text.as_bytes()), &mut raw, &mut plain);
            compare(Encoding::Strings, &raw, &plain);
            raw.append(&mut plain);
            compare(Encoding::Strings, &raw, &[]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(encoding in 0u8..6, raw: Vec<u8>, plain: Vec<u8>, index in 0usize..300) {
            let _ = read_one(Encoding::from_byte(encoding).unwrap(), &raw, &plain, index, &mut Vec::new());
        }
    }
}
