//! [`same`]: whether two short texts are equal.
//!
//! **Problem.** An event is compared in some sixty pieces, with the shapes before it and with the values before it, and most pieces have less
//! than 32 bytes: calling the library's comparison costs more than comparing. **Mechanism.** Two words from the start and
//! from the end cover a piece, overlapping in its middle. **Limits.** From 33 bytes on the library is called.

/// Whether two texts are equal.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0 => true,
        1..4 => a.first() == b.first() && a.last() == b.last() && a.get(a.len() / 2) == b.get(b.len() / 2),
        4..8 => a.first_chunk::<4>() == b.first_chunk::<4>() && a.last_chunk::<4>() == b.last_chunk::<4>(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk::<8>() && a.last_chunk::<8>() == b.last_chunk::<8>(),
        17..=32 => a.first_chunk::<16>() == b.first_chunk::<16>() && a.last_chunk::<16>() == b.last_chunk::<16>(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_byte_of_every_length() {
        for len in 0..80usize {
            let text: Vec<u8> = (0..len as u8).collect();
            assert!(same(&text, &text.clone()), "{len}");
            assert!(!same(&text, &[text.as_slice(), b"x"].concat()), "{len}");
            for at in 0..len {
                let mut other = text.clone();
                other[at] ^= 0x40;
                assert!(!same(&text, &other) && !same(&other, &text), "byte {at} of {len}");
            }
        }
    }
}
