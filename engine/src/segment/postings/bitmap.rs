//! What a serialised roaring bitmap says about itself, without building it: how many documents, and the largest.
//!
//! The portable format: a cookie (with runs: 12347 and the number of containers less one in the upper half; without: 12346
//! and the number in a word of its own), with runs one bit a container, then key and cardinality less one of each container, then
//! the containers, the last of them at the very end. The largest number is therefore in the last container alone. That
//! the containers are well-formed is seen by who builds the bitmap.

use crate::codec::read::Reader;
use crate::error::{Error, Result};
use crate::segment::file::fixed::u16_at;

const COOKIE_PLAIN: u32 = 12_346;
const COOKIE_RUNS: u32 = 12_347;

/// Containers with more documents than this are stored as one bit for each number.
const ARRAY_MAX: u64 = 4_096;

const BITS_BYTES: usize = 8_192;

/// How many numbers a bitmap has, and the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) max: u32,
}

/// Reads the summary of a bitmap that is not empty.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when the bytes cannot be such a bitmap.
pub(crate) fn summary(bytes: &[u8]) -> Result<Summary> {
    let mut reader = Reader::new(bytes);
    let cookie = reader.u32()?;
    let (containers, runs): (usize, &[u8]) = match cookie & 0xffff {
        _ if cookie == COOKIE_PLAIN => (reader.u32()? as usize, &[]),
        COOKIE_RUNS => {
            let containers = (cookie >> 16) as usize + 1;
            (containers, reader.bytes(containers.div_ceil(8))?)
        }
        _ => return Err(Error::corrupt("no bitmap").at(0).expected(COOKIE_PLAIN, cookie)),
    };
    let last = containers
        .checked_sub(1)
        .filter(|last| *last < 1 << 16)
        .ok_or_else(|| Error::corrupt("a bitmap has a wrong number of parts").at(4))?;
    let descriptions = reader.bytes(containers * 4)?;
    let count = (0..containers).map(|i| u64::from(u16_at(descriptions, i * 4 + 2)) + 1).sum();
    let is_run = runs.get(last / 8).is_some_and(|byte| byte >> (last % 8) & 1 == 1);
    let low = last_of(bytes, u64::from(u16_at(descriptions, last * 4 + 2)) + 1, is_run)?;
    Ok(Summary { count, max: u32::from(u16_at(descriptions, last * 4)) << 16 | low })
}

/// The largest number of the last container, which ends where the bytes end.
fn last_of(bytes: &[u8], cardinality: u64, is_run: bool) -> Result<u32> {
    let end = |len: usize| bytes.len().checked_sub(len).ok_or_else(|| Error::corrupt("a bitmap ends too early").at(bytes.len() as u64));
    if is_run {
        let start = end(4)?;
        return Ok(u32::from(u16_at(bytes, start).saturating_add(u16_at(bytes, start + 2))));
    }
    if cardinality <= ARRAY_MAX {
        return Ok(u32::from(u16_at(bytes, end(2)?)));
    }
    let start = end(BITS_BYTES)?;
    let bits = bytes.get(start..).unwrap_or_default();
    let byte = bits.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let top = bits.get(byte).map_or(0, |value| 7u32.saturating_sub(value.leading_zeros()));
    Ok(byte as u32 * 8 + top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use roaring::RoaringBitmap;

    fn any_bitmap() -> impl Strategy<Value = RoaringBitmap> {
        let part = (0u32..300_000, 1u32..70_000, 1u32..900);
        proptest::collection::vec(part, 1..6)
            .prop_map(|parts| parts.into_iter().flat_map(|(start, len, step)| (start..start + len).step_by(step as usize)).collect())
    }

    proptest! {
        #[test]
        fn says_what_the_bitmap_says(bitmap in any_bitmap(), optimise: bool, top in proptest::option::of(any::<u32>())) {
            let mut bitmap = bitmap;
            top.map(|top| bitmap.insert(top));
            if optimise {
                bitmap.optimize();
            }
            let mut bytes = Vec::new();
            bitmap.serialize_into(&mut bytes).unwrap();
            prop_assert_eq!(summary(&bytes).unwrap(), Summary { count: bitmap.len(), max: bitmap.max().unwrap() });
        }

        #[test]
        fn damaged_bytes_do_no_harm(bitmap in any_bitmap(), at: prop::sample::Index, mask in 1u8.., random: Vec<u8>) {
            let mut bytes = Vec::new();
            bitmap.serialize_into(&mut bytes).unwrap();
            let at = at.index(bytes.len().min(40));
            bytes[at] ^= mask;
            let _ = (summary(&bytes), summary(&random));
        }
    }
}
