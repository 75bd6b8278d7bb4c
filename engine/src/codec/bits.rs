//! Bit packing: unsigned numbers of one width, least significant bit first, with random access.
//!
//! The packed form is padded with 8 zero bytes, so that any number can be read by one unaligned 8-byte load. Widths go up to
//! 56 bits, which leaves room for the 7 bits by which a number can be shifted in its first byte.

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};

/// The widest number that can be packed, in bits.
pub(crate) const WIDTH_MAX: u32 = 56;

const PADDING: usize = 8;

/// The bits that `value` needs: 0 for 0.
pub(crate) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// The length of `count` numbers of `width` bits, in bytes.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8) + PADDING
}

/// Appends the numbers with their padding; each must fit into `width` bits.
pub(crate) fn pack(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    pack_tight(numbers, width, out);
    out.put_bytes(&[0; PADDING]);
}

/// Appends the numbers without padding, for a reader that minds the end itself.
pub(crate) fn pack_tight(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= WIDTH_MAX);
    let (mut buffer, mut held) = (0u64, 0u32);
    for number in numbers {
        debug_assert!(width_of(number) <= width);
        buffer |= number << held;
        held += width;
        while held >= 8 {
            out.put_u8(buffer as u8);
            buffer >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.put_u8(buffer as u8);
    }
}

/// Packed numbers, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<'a> {
    bytes: &'a [u8],
    width: u32,
    count: usize,
}

impl<'a> Packed<'a> {
    /// Takes `count` numbers of `width` bits from a reader.
    pub(crate) fn read(reader: &mut Reader<'a>, count: usize, width: u32) -> Result<Packed<'a>> {
        if width > WIDTH_MAX {
            return Err(Error::corrupt("packed numbers are too wide").at(reader.position() as u64).expected("at most 56 bits", width));
        }
        let bits = count.checked_mul(width as usize).ok_or_else(|| Error::corrupt("too many packed numbers"))?;
        let bytes = reader.bytes(bits.div_ceil(8) + PADDING)?;
        Ok(Packed { bytes, width, count })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The number at `index`; 0 past the end.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> u64 {
        if index >= self.count {
            return 0;
        }
        let bit = index * self.width as usize;
        let start = bit / 8;
        let Some(window) = self.bytes.get(start..start + 8).and_then(|w| <[u8; 8]>::try_from(w).ok()) else {
            return 0;
        };
        let mask = (1u64 << self.width) - 1;
        (u64::from_le_bytes(window) >> (bit % 8)) & mask
    }

    /// The numbers from `start` to `end`.
    pub(crate) fn range(self, start: usize, end: usize) -> impl Iterator<Item = u64> {
        (start..end.min(self.count)).map(move |i| self.get(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_numbers_come_back(width in 0u32..=WIDTH_MAX, raw in proptest::collection::vec(any::<u64>(), 0..300)) {
            let numbers: Vec<u64> = raw.iter().map(|n| n & ((1u64 << width) - 1)).collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(numbers.len(), width));
            let mut reader = Reader::new(&bytes);
            let packed = Packed::read(&mut reader, numbers.len(), width).unwrap();
            prop_assert!(reader.finish().is_ok());
            prop_assert_eq!(packed.range(0, numbers.len()).collect::<Vec<_>>(), numbers);
        }
    }

    #[test]
    fn refuses_what_is_too_wide_or_too_short() {
        assert!(Packed::read(&mut Reader::new(&[0; 100]), 1, 57).is_err());
        assert!(Packed::read(&mut Reader::new(&[0; 8]), 9, 1).is_err());
        assert!(Packed::read(&mut Reader::new(&[]), usize::MAX, 2).is_err());
    }
}
