//! The front of a term as a number: one comparison orders most terms.

/// The first 8 bytes as a number, filled up with zeros: never greater for a lesser term.
pub(super) fn start_of(term: &[u8]) -> u64 {
    match term.first_chunk::<8>() {
        Some(start) => u64::from_be_bytes(*start),
        None => {
            let mut start = [0; 8];
            start.iter_mut().zip(term).for_each(|(slot, byte)| *slot = *byte);
            u64::from_be_bytes(start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_never_greater_for_a_lesser_term(a in prop::collection::vec(0u8..3, 0..12), b in prop::collection::vec(0u8..3, 0..12)) {
            let (less, more) = if a <= b { (&a, &b) } else { (&b, &a) };
            prop_assert!(start_of(less) <= start_of(more));
        }
    }
}
