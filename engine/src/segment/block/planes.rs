//! Numbers as byte planes: all lowest bytes, then all second bytes, and so on. Equal high bytes become runs that compress to nothing.
//!
//! `width: u8` (0 to 8), then `width` planes of `count` bytes. The count is known to the reader.

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};

/// Appends the numbers.
pub(crate) fn encode(numbers: &[u64], out: &mut Vec<u8>) {
    let widest = numbers.iter().fold(0, |all, n| all | n);
    let width = (64 - widest.leading_zeros()).div_ceil(8);
    out.put_u8(width as u8);
    for plane in 0..width {
        out.extend(numbers.iter().map(|n| (n >> (8 * plane)) as u8));
    }
}

/// Appends by how much each number is above a base that is not above any of them.
pub(crate) fn encode_above(numbers: &[u32], base: u32, out: &mut Vec<u8>) {
    let widest = numbers.iter().fold(0, |all, n| all | n.wrapping_sub(base));
    let width = (32 - widest.leading_zeros()).div_ceil(8);
    out.put_u8(width as u8);
    for plane in 0..width {
        out.extend(numbers.iter().map(|n| (n.wrapping_sub(base) >> (8 * plane)) as u8));
    }
}

/// Numbers in planes, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes<'a> {
    bytes: &'a [u8],
    count: usize,
    width: usize,
}

impl<'a> Planes<'a> {
    /// Takes `count` numbers from a reader.
    pub(crate) fn read(reader: &mut Reader<'a>, count: usize) -> Result<Planes<'a>> {
        let at = reader.position() as u64;
        let width = usize::from(reader.u8()?);
        if width > 8 {
            return Err(Error::corrupt("numbers are wider than 8 bytes").at(at).expected("at most 8", width));
        }
        let length = count.checked_mul(width).ok_or_else(|| Error::corrupt("too many numbers").at(at))?;
        Ok(Planes { bytes: reader.bytes(length)?, count, width })
    }

    /// The number at an index; 0 past the end.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> u64 {
        if index >= self.count {
            return 0;
        }
        (0..self.width).fold(0, |n, plane| n | self.bytes.get(plane * self.count + index).map_or(0, |byte| u64::from(*byte) << (8 * plane)))
    }

    /// The low bytes and the high bytes of numbers that have one byte or two; of one, there are no high bytes.
    pub(crate) fn narrow(&self) -> Option<(&'a [u8], &'a [u8])> {
        matches!(self.width, 1 | 2).then(|| self.bytes.split_at_checked(self.count)).flatten()
    }

    /// All numbers, in order. The memory is bounded by what was read: without planes all numbers are 0, and the caller bounds the count.
    pub(crate) fn to_vec(self) -> Vec<u64> {
        let mut numbers = vec![0u64; self.count];
        for (plane, bytes) in self.bytes.chunks(self.count.max(1)).enumerate() {
            for (number, byte) in numbers.iter_mut().zip(bytes) {
                *number |= u64::from(*byte) << (8 * plane);
            }
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(prop_oneof![0u64..4, 0u64..70_000, any::<u64>()], 0..200)) {
            let mut bytes = Vec::new();
            encode(&numbers, &mut bytes);
            let mut reader = Reader::new(&bytes);
            let planes = Planes::read(&mut reader, numbers.len()).unwrap();
            prop_assert!(reader.finish().is_ok());
            if let Some((low, high)) = planes.narrow() {
                let joined = low.iter().enumerate().map(|(i, low)| u64::from(*low) | high.get(i).map_or(0, |high| u64::from(*high) << 8));
                prop_assert_eq!(joined.collect::<Vec<_>>(), numbers.clone());
            }
            prop_assert_eq!(planes.to_vec(), numbers);
        }

        #[test]
        fn numbers_above_a_base_are_those_of_the_differences(numbers in prop::collection::vec(prop_oneof![0u32..4, 0u32..70_000, any::<u32>()], 1..200)) {
            let base = *numbers.iter().min().unwrap();
            let differences: Vec<u64> = numbers.iter().map(|n| u64::from(n - base)).collect();
            let (mut above, mut plain) = (Vec::new(), Vec::new());
            encode_above(&numbers, base, &mut above);
            encode(&differences, &mut plain);
            prop_assert_eq!(above, plain);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, count: usize) {
            if let Ok(planes) = Planes::read(&mut Reader::new(&bytes), count) {
                planes.get(count.wrapping_sub(1));
            }
        }
    }
}
