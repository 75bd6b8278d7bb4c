//! [`Terms`]: the distinct terms of a batch, numbered as they come.
//!
//! Terms that hardly recur (ids) are not looked for: each of them has a number of its own.

use hashbrown::HashTable;

use super::values::{column_hash, value_hash};
use crate::codec::checksum::hash64;

/// A term of a dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    /// [`value_hash`] of its text; for a unique dimension [`hash64`].
    pub(crate) hash: u64,
    /// Its text, in [`Terms`].
    start: u32,
    end: u32,
    /// The ordinal of its dimension.
    pub(crate) dimension: u16,
}

/// The distinct terms of a batch.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    terms: Vec<Term>,
    text: Vec<u8>,
}

impl Terms {
    /// Forgets the terms and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.terms.clear();
        self.text.clear();
    }

    /// The memory that is held, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.terms.capacity() * size_of::<Term>() + self.text.capacity()
    }

    /// How many distinct terms there are.
    pub(crate) fn len(&self) -> usize {
        self.terms.len()
    }

    /// A term and its text, which is UTF-8.
    pub(crate) fn get(&self, number: u32) -> Option<(&Term, &[u8])> {
        let term = self.terms.get(number as usize)?;
        Some((term, self.text.get(term.start as usize..term.end as usize)?))
    }

    /// The dimension of a term.
    pub(crate) fn dimension(&self, number: u32) -> Option<u16> {
        self.terms.get(number as usize).map(|term| term.dimension)
    }

    /// The number of a term that may recur; `table` has those of this batch.
    pub(crate) fn number(&mut self, dimension: u16, text: &str, table: &mut HashTable<u32>) -> u32 {
        let hash = value_hash(text.as_bytes());
        let same =
            |at: &u32| self.get(*at).is_some_and(|(term, of)| term.hash == hash && term.dimension == dimension && of == text.as_bytes());
        let key = column_hash(hash, u32::from(dimension));
        if let Some(number) = table.find(key, same) {
            return *number;
        }
        let number = self.push(dimension, text, hash);
        let terms = &self.terms;
        let hash_of = |at: &u32| terms.get(*at as usize).map_or(0, |t| column_hash(t.hash, u32::from(t.dimension)));
        table.insert_unique(key, number, hash_of);
        number
    }

    /// A number for a term of a unique dimension.
    pub(crate) fn unique(&mut self, dimension: u16, text: &str) -> u32 {
        self.push(dimension, text, hash64(text.as_bytes()))
    }

    fn push(&mut self, dimension: u16, text: &str, hash: u64) -> u32 {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text.as_bytes());
        self.terms.push(Term { hash, start, end: self.text.len() as u32, dimension });
        self.terms.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_terms_share_a_number_within_a_dimension_unless_it_is_unique() {
        let (mut terms, mut table) = (Terms::default(), HashTable::new());
        let numbers = [(0, "a"), (1, "a"), (0, "b"), (0, "a"), (1, "a")].map(|(dimension, text)| terms.number(dimension, text, &mut table));
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
        assert_eq!((terms.unique(2, "a"), terms.unique(2, "a"), terms.len()), (3, 4, 5));
        let (term, text) = terms.get(4).unwrap();
        assert_eq!((term.dimension, term.hash, text), (2, hash64(b"a"), b"a".as_slice()));
        assert!(terms.get(5).is_none());
    }
}
