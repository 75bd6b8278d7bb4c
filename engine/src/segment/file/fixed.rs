//! Fixed-width numbers read in place, where a position was checked before: what lies past the end reads as 0.
//!
//! For tables whose total length was compared with their count when they were opened. Everything else goes through
//! [`crate::codec::read::Reader`], which says where it failed.

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// The little-endian number of 2 bytes at `at`.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The little-endian number of 4 bytes at `at`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The little-endian number of 8 bytes at `at`.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The little-endian signed number of 8 bytes at `at`.
#[inline]
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array_at(bytes, at))
}

/// The first number in `0..count` for which `before` no longer holds; `before` must hold for a prefix.
#[inline]
pub(crate) fn partition(count: usize, mut before: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_past_the_end_is_zero() {
        assert_eq!(u16_at(&[1, 2, 3], 1), 0x0302);
        assert_eq!(u16_at(&[1, 2, 3], 2), 0);
        assert_eq!(u32_at(&[1, 0, 0, 0], usize::MAX), 0);
        assert_eq!(u64_at(&[0, 7, 0, 0, 0, 0, 0, 0, 0], 1), 7);
        assert_eq!(i64_at(&[255; 8], 0), -1);
    }

    #[test]
    fn partition_finds_the_border() {
        for border in 0..=9 {
            assert_eq!(partition(9, |i| i < border), border);
        }
    }
}
