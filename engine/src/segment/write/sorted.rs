//! Terms in byte order, with the codes that they had.
//!
//! Most of the time of sorting goes to fetching texts from all over the memory. So each is fetched once, for its eight bytes behind what
//! all have in common, and further only where these do not decide.

/// Terms in byte order, each with its place in the order given.
pub(super) fn sorted<'a>(terms: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<(&'a [u8], u32)> {
    let shared = shared_bytes(terms.clone());
    let mut keyed: Vec<(u64, &[u8], u32)> = terms.zip(0..).map(|(term, code)| (key(term, shared), term, code)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    keyed.into_iter().map(|(_, term, code)| (term, code)).collect()
}

/// How many bytes all terms begin with.
fn shared_bytes<'a>(mut terms: impl Iterator<Item = &'a [u8]>) -> usize {
    let first = terms.next().unwrap_or_default();
    terms.fold(first.len(), |shared, term| first.iter().take(shared).zip(term).take_while(|(a, b)| a == b).count())
}

/// The eight bytes from a place on as a number: what is shorter goes first, by the comparison of the whole where it must.
fn key(term: &[u8], from: usize) -> u64 {
    let rest = term.get(from..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => (0..8).fold(0, |key, at| key << 8 | u64::from(rest.get(at).copied().unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_bytes(
            prefix in prop::collection::vec(any::<u8>(), 0..12),
            terms in prop::collection::btree_set(prop::collection::vec(0u8..3, 0..14), 0..60),
            seed: u64,
        ) {
            let mut terms: Vec<Vec<u8>> = terms.into_iter().map(|term| [prefix.clone(), term].concat()).collect();
            let expected = terms.clone();
            terms.sort_by_key(|term| crate::codec::checksum::hash64(term) ^ seed);
            let found = sorted(terms.iter().map(Vec::as_slice));
            prop_assert_eq!(found.iter().map(|(term, _)| term.to_vec()).collect::<Vec<_>>(), expected);
            prop_assert!(found.iter().all(|(term, code)| terms[*code as usize] == *term));
        }
    }
}
