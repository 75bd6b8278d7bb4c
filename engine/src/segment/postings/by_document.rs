//! [`TermNumbers`]: for every document of a segment the number of its term in one dimension, the other way round from postings.
//!
//! Ranking the terms of a few documents by postings reads the documents of every term, most of which were not asked for. Counted from
//! the documents it is one look-up each. The numbers are gathered from the postings once, and live in a cache: one byte a document where a dimension
//! has less than 256 terms, two where it has less than 65,536, else four. A document with more terms than one has the others in a list of
//! their own. Where that list would be long, nothing is gathered, and postings have to do.

use roaring::RoaringBitmap;

use crate::error::Result;
use crate::segment::postings::lists::PostingsReader;

/// There is at most one further term for so many documents; each takes as much as four numbers or more.
const DOCUMENTS_A_FURTHER_TERM: u32 = 8;

/// The terms of all documents.
#[derive(Debug)]
pub(crate) struct TermNumbers {
    /// One more than the number of a document's first term; 0 where it has none.
    first: Numbers,
    /// (document, one more than the number of a further term), ascending.
    further: Vec<(u32, u32)>,
    terms: usize,
}

#[derive(Debug)]
enum Numbers {
    Bytes(Vec<u8>),
    Halves(Vec<u16>),
    Words(Vec<u32>),
}

/// A number that stands for a term.
trait Number: Copy + Default + TryFrom<u32> + Into<u32> {}

impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}

impl TermNumbers {
    /// What the numbers of so many documents take at least, in bytes.
    pub(crate) fn bytes_for(documents: u32, terms: u32) -> usize {
        documents as usize
            * if terms < 1 << 8 {
                1
            } else if terms < 1 << 16 {
                2
            } else {
                4
            }
    }

    /// Reads all postings of a dimension; `None` when too many documents have several terms.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn gather(postings: &PostingsReader<'_>, documents: u32) -> Result<Option<TermNumbers>> {
        let mut further = Vec::new();
        let first = match TermNumbers::bytes_for(1, postings.len()) {
            1 => number_all(postings, documents, &mut further)?.map(Numbers::Bytes),
            2 => number_all(postings, documents, &mut further)?.map(Numbers::Halves),
            _ => number_all(postings, documents, &mut further)?.map(Numbers::Words),
        };
        further.sort_unstable();
        further.shrink_to_fit();
        Ok(first.map(|first| TermNumbers { first, further, terms: postings.len() as usize }))
    }

    /// For each term how many of the documents have it.
    pub(crate) fn count(&self, documents: &RoaringBitmap) -> Vec<u32> {
        let mut counts = vec![0; self.terms + 1];
        match &self.first {
            Numbers::Bytes(numbers) => tally(numbers, documents, &mut counts),
            Numbers::Halves(numbers) => tally(numbers, documents, &mut counts),
            Numbers::Words(numbers) => tally(numbers, documents, &mut counts),
        }
        for (_, number) in self.further.iter().filter(|(document, _)| documents.contains(*document)) {
            add_one(&mut counts, *number);
        }
        counts.remove(0);
        counts
    }

    /// What they take in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let first = match &self.first {
            Numbers::Bytes(numbers) => numbers.len(),
            Numbers::Halves(numbers) => numbers.len() * 2,
            Numbers::Words(numbers) => numbers.len() * 4,
        };
        first + self.further.capacity() * size_of::<(u32, u32)>() + size_of::<TermNumbers>()
    }
}

fn number_all<T: Number>(postings: &PostingsReader<'_>, documents: u32, further: &mut Vec<(u32, u32)>) -> Result<Option<Vec<T>>> {
    let mut numbers = vec![T::default(); documents as usize];
    let further_max = (documents / DOCUMENTS_A_FURTHER_TERM) as usize;
    for term in 0..postings.len() {
        // Wide enough for all terms, as the caller has chosen it.
        let number = T::try_from(term + 1).unwrap_or_default();
        postings.for_each(term, |document| match numbers.get_mut(document as usize) {
            Some(slot) if (*slot).into() == 0 => *slot = number,
            _ => further.push((document, term + 1)),
        })?;
        if further.len() > further_max {
            return Ok(None);
        }
    }
    Ok(Some(numbers))
}

fn tally<T: Number>(numbers: &[T], documents: &RoaringBitmap, counts: &mut [u32]) {
    documents.iter().for_each(|document| {
        if let Some(number) = numbers.get(document as usize) {
            add_one(counts, (*number).into());
        }
    });
}

#[inline]
fn add_one(counts: &mut [u32], number: u32) {
    if let Some(count) = counts.get_mut(number as usize) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::postings::lists::PostingsWriter;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DOCUMENTS: u32 = 3_000;

    fn numbers_of(terms: &[Vec<u32>]) -> Option<TermNumbers> {
        let (mut writer, mut bytes) = (PostingsWriter::default(), Vec::new());
        terms.iter().for_each(|documents| writer.push(documents).unwrap());
        writer.finish(&mut bytes);
        TermNumbers::gather(&PostingsReader::read(&bytes, DOCUMENTS).unwrap(), DOCUMENTS).unwrap()
    }

    /// The terms of each document; some have none, some two.
    fn any_terms() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let term = prop_oneof![Just(0usize), 1usize..8, 0usize..900];
        let document = prop_oneof![20 => term.clone().prop_map(|t| vec![t]), 1 => prop::collection::vec(term, 0..3)];
        prop::collection::vec(document, DOCUMENTS as usize).prop_map(|documents| {
            let mut terms = vec![BTreeSet::new(); 900];
            documents.iter().zip(0u32..).for_each(|(of, document)| {
                terms.iter_mut().enumerate().filter(|(t, _)| of.contains(t)).for_each(|(_, set)| _ = set.insert(document))
            });
            terms.into_iter().map(|documents| documents.into_iter().collect()).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn counts_are_those_of_the_postings(mut terms in any_terms(), few in 1usize..900, asked in prop::collection::btree_set(0..DOCUMENTS + 70, 0..2_000)) {
            terms.truncate(few);
            let asked: RoaringBitmap = asked.into_iter().collect();
            let wanted: Vec<u32> = terms.iter().map(|documents| documents.iter().filter(|d| asked.contains(**d)).count() as u32).collect();
            let numbers = numbers_of(&terms).unwrap();
            prop_assert_eq!(numbers.count(&asked), wanted);
            prop_assert!(numbers.memory_bytes() >= TermNumbers::bytes_for(DOCUMENTS, few as u32));
        }
    }

    #[test]
    fn many_documents_with_several_terms_are_not_gathered() {
        let all: Vec<u32> = (0..DOCUMENTS).collect();
        assert!(numbers_of(&[all.clone(), all[..300].to_vec()]).is_some());
        assert!(numbers_of(&[all.clone(), all[..500].to_vec()]).is_none());
    }

    #[test]
    fn more_terms_need_wider_numbers() {
        for terms in [255, 256] {
            let lists: Vec<Vec<u32>> = (0..terms).map(|t| vec![t, t + 1_000]).collect();
            let numbers = numbers_of(&lists).unwrap();
            assert_eq!(numbers.count(&(0..DOCUMENTS).collect()), vec![2; terms as usize]);
            assert_eq!(matches!(numbers.first, Numbers::Bytes(_)), terms < 256);
        }
        assert_eq!(TermNumbers::bytes_for(10, 65_536), 40);
    }
}
