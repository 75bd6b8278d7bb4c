//! Ascending numbers in the form of Elias and Fano: the low bits of each side by side, the high bits as gaps in unary.
//!
//! A number costs about two bits more than the logarithm of the mean gap, whatever the gaps are, and reading one takes no branch that
//! depends on the data. After S. Vigna, "Quasi-succinct indices", WSDM 2013.
//!
//! `width: u8`; `count` numbers of `width` bits, least significant bit first; then for number `i` the bit `i + (number >> width)` is
//! set. The count is known to the reader.

use crate::codec::bits::pack_tight;
use crate::error::{Error, Result};

/// The widest low part: numbers have 32 bits.
const WIDTH_MAX: u8 = 32;

/// The low part has as many bits as the logarithm of the mean gap.
fn width_for(count: usize, max: u32) -> u32 {
    ((u64::from(max) + 1) / (count as u64).max(1)).checked_ilog2().unwrap_or(0)
}

/// How many bytes [`encode`] would append.
pub(crate) fn encoded_len(numbers: &[u32]) -> usize {
    let Some(max) = numbers.last() else { return 1 };
    let width = width_for(numbers.len(), *max);
    1 + (numbers.len() * width as usize).div_ceil(8) + (numbers.len() + (*max as usize >> width)).div_ceil(8)
}

/// Appends strictly ascending numbers.
pub(crate) fn encode(numbers: &[u32], out: &mut Vec<u8>) {
    let width = numbers.last().map_or(0, |max| width_for(numbers.len(), *max));
    out.push(width as u8);
    let low = |number: &u32| u64::from(*number) & ((1 << width) - 1);
    pack_tight(numbers.iter().map(low), width, out);
    let high = out.len();
    for (at, number) in numbers.iter().enumerate() {
        let bit = at + (*number as usize >> width);
        out.resize(out.len().max(high + bit / 8 + 1), 0);
        if let Some(byte) = out.get_mut(high + bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
}

/// Calls `visit` with `count` numbers, which ascend and are below `end`. There may be more bytes than they take.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`]; some numbers were visited then.
pub(crate) fn for_each(bytes: &[u8], count: u32, end: u32, mut visit: impl FnMut(u32)) -> Result<()> {
    let (width, bytes) = bytes.split_first().ok_or_else(|| Error::corrupt("the numbers of a list are missing"))?;
    if *width > WIDTH_MAX {
        return Err(Error::corrupt("the numbers of a list are too wide").expected(format_args!("at most {WIDTH_MAX}"), width));
    }
    let width = usize::from(*width);
    let mask = (1u64 << width) - 1;
    let (low, high) = bytes
        .split_at_checked((count as usize * width).div_ceil(8))
        .ok_or_else(|| Error::corrupt("the numbers of a list end too early"))?;
    let (mut at, mut least) = (0usize, 0u64);
    for (word, start) in high.chunks(8).zip((0usize..).step_by(64)) {
        let mut bits = word_of(word);
        while bits != 0 && at < count as usize {
            // Every bit set before this one stands for a number, every bit not set for a step of the high part.
            let steps = (start + bits.trailing_zeros() as usize - at) as u64;
            let number = steps << width | (window(low, at * width) & mask);
            if number < least || number >= u64::from(end) {
                return Err(Error::corrupt("a number of a list is wrong").expected(format_args!("{least} to {end}"), number));
            }
            visit(number as u32);
            (at, least) = (at + 1, number + 1);
            bits &= bits - 1;
        }
        if at == count as usize {
            return Ok(());
        }
    }
    if at == count as usize { Ok(()) } else { Err(Error::corrupt("a list has too few numbers").expected(count, at)) }
}

/// Eight bytes from a bit on, of which the first `64 - 7` bits are there; bytes past the end are 0.
#[inline]
fn window(bytes: &[u8], bit: usize) -> u64 {
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    rest.first_chunk::<8>().map_or_else(|| word_of(rest), |word| u64::from_le_bytes(*word)) >> (bit % 8)
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], count: usize, end: u32) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for_each(bytes, count as u32, end, |n| numbers.push(n)).map(|()| numbers)
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in prop_oneof![
                prop::collection::btree_set(any::<u32>(), 0..300),
                prop::collection::btree_set(0u32..2_000, 0..900),
                (0u32..u32::MAX - 5_000, 0u32..900).prop_map(|(start, len)| (start..start + len).collect()),
            ],
            more in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let numbers: Vec<u32> = numbers.into_iter().filter(|n| *n < u32::MAX).collect();
            let mut bytes = Vec::new();
            encode(&numbers, &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_len(&numbers));
            if let Some(max) = numbers.last() {
                prop_assert!(decode(&bytes[..bytes.len() - 1], numbers.len(), u32::MAX).is_err());
                prop_assert!(decode(&bytes, numbers.len(), *max).is_err());
                prop_assert!(decode(&bytes, numbers.len() + 1, u32::MAX).is_err());
            }
            bytes.extend(more);
            prop_assert_eq!(decode(&bytes, numbers.len(), u32::MAX).unwrap(), numbers);
        }

        #[test]
        fn any_bytes_give_ascending_numbers_or_an_error(bytes: Vec<u8>, count in 0u32..2_000, end: u32) {
            let mut last = None;
            let _ = for_each(&bytes, count, end, |n| {
                assert!(n < end && last < Some(n));
                last = Some(n);
            });
        }
    }
}
