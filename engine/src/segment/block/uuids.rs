//! UUIDs as they lie in the plain part of a chunk: 16 bytes each or, where all are random ones, 15 and a quarter.
//!
//! A random UUID (version 4 of RFC 9562) has six bits that say so; the other 122 are what is stored: of each the lowest 120 in 15
//! bytes, and behind them all the highest two, four to a byte.

use crate::codec::write::Write as _;
use crate::error::{Error, Result};

/// The bits of version and variant, and what they are in a random UUID.
const FIXED_MASK: u128 = 0xf << 76 | 0b11 << 62;
const FIXED: u128 = 0x4 << 76 | 0b10 << 62;

/// The bits below the variant, between variant and version, and above the version.
const LOW_BITS: u32 = 62;
const MIDDLE_BITS: u32 = 12;

const LOW_MASK: u128 = (1 << LOW_BITS) - 1;
const MIDDLE_MASK: u128 = (1 << MIDDLE_BITS) - 1;

/// UUIDs, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uuids<'a> {
    bytes: &'a [u8],
    count: usize,
    are_random: bool,
}

/// Whether all of these (16 bytes each) are random ones.
pub(crate) fn are_random(uuids: &[u8]) -> bool {
    uuids.chunks_exact(16).all(|bytes| of(bytes) & FIXED_MASK == FIXED)
}

/// How many bytes so many UUIDs take.
fn stored_bytes(count: usize, are_random: bool) -> usize {
    if are_random { count.saturating_mul(15).saturating_add(count.div_ceil(4)) } else { count.saturating_mul(16) }
}

/// Appends UUIDs (16 bytes each), all of them random or as they are.
pub(crate) fn encode(uuids: &[u8], are_random: bool, out: &mut Vec<u8>) {
    if !are_random {
        return out.put_bytes(uuids);
    }
    let mut tops = vec![0u8; (uuids.len() / 16).div_ceil(4)];
    for (at, bytes) in uuids.chunks_exact(16).enumerate() {
        let uuid = of(bytes);
        let above = uuid >> 80 << (LOW_BITS + MIDDLE_BITS);
        let kept = uuid & LOW_MASK | (uuid >> 64 & MIDDLE_MASK) << LOW_BITS | above;
        out.put_bytes(kept.to_le_bytes().get(..15).unwrap_or_default());
        tops.get_mut(at / 4).into_iter().for_each(|top| *top |= ((kept >> 120) as u8 & 3) << (at % 4 * 2));
    }
    out.put_bytes(&tops);
}

impl<'a> Uuids<'a> {
    /// So many UUIDs, which are all of the bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the bytes have another length.
    pub(crate) fn read(bytes: &'a [u8], count: usize, are_random: bool) -> Result<Uuids<'a>> {
        let expected = stored_bytes(count, are_random);
        if bytes.len() != expected {
            return Err(Error::corrupt("the UUIDs of a column have a wrong length").expected(expected, bytes.len()));
        }
        Ok(Uuids { bytes, count, are_random })
    }

    /// None.
    pub(crate) fn none() -> Uuids<'static> {
        Uuids { bytes: &[], count: 0, are_random: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The UUID at an index.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<u128> {
        if !self.are_random {
            return self.bytes.get(index * 16..)?.first_chunk::<16>().map(|bytes| u128::from_le_bytes(*bytes));
        }
        let (low, tops) = self.bytes.split_at_checked(self.count * 15)?;
        let mut kept = [0; 16];
        kept.iter_mut().zip(low.get(index * 15..index * 15 + 15)?).for_each(|(to, from)| *to = *from);
        let kept = u128::from_le_bytes(kept) | u128::from(tops.get(index / 4)? >> (index % 4 * 2) & 3) << 120;
        let above = kept >> (LOW_BITS + MIDDLE_BITS) << 80;
        Some(kept & LOW_MASK | (kept >> LOW_BITS & MIDDLE_MASK) << 64 | above | FIXED)
    }

    /// Appends all of them, 16 bytes each.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match self.are_random {
            false => out.put_bytes(self.bytes),
            true => (0..self.count).filter_map(|index| self.get(index)).for_each(|uuid| out.put_bytes(&uuid.to_le_bytes())),
        }
    }
}

fn of(bytes: &[u8]) -> u128 {
    bytes.first_chunk::<16>().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn uuids_come_back(values in prop::collection::vec(any::<u128>(), 0..40), random: bool) {
            let values: Vec<u128> = values.into_iter().map(|value| if random { value & !FIXED_MASK | FIXED } else { value }).collect();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let (kept, mut stored, mut back) = (are_random(&bytes), Vec::new(), Vec::new());
            prop_assert!(kept || !random);
            encode(&bytes, kept, &mut stored);
            prop_assert!(!kept || stored.len() == values.len() * 15 + values.len().div_ceil(4));
            let read = Uuids::read(&stored, values.len(), kept).unwrap();
            prop_assert_eq!((0..=values.len()).filter_map(|at| read.get(at)).take(values.len()).collect::<Vec<_>>(), values.clone());
            read.append_to(&mut back);
            prop_assert_eq!(back, bytes);
            prop_assert!(Uuids::read(&stored, values.len() + 1, kept).is_err());
        }
    }
}
