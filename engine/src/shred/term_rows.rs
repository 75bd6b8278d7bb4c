//! [`TermRows`]: which terms of one dimension each document has.
//!
//! Most documents have one term of a dimension or none, so the first term of every document stands in an array, and the few further
//! ones in a list. Appending writes where the last append wrote; lists of documents by term, which appending would touch all over the
//! memory, are made from the rows when they are asked for, by counting.

use crate::shred::columns::Code;
use crate::shred::select::CodeSet;

/// In [`TermRows::first`]: a document without a term. Other entries are a code and one.
const NONE: u32 = 0;

/// How many rows are looked at before a closer look: a multiple of what a vector register holds.
const LANES: usize = 64;

/// The terms of one dimension by document, in the order of documents.
#[derive(Debug, Default)]
pub(crate) struct TermRows {
    /// For each document the code of its first term and one, or [`NONE`]. Documents at the end that have none may be missing.
    first: Vec<u32>,
    /// Further terms, in the order of documents.
    more: Vec<(u32, Code)>,
    /// For each code how many documents have it.
    counts: Vec<u32>,
}

/// Documents by term.
#[derive(Debug)]
pub(crate) struct TermGroups {
    /// For each code where its documents begin; one more for the end.
    starts: Vec<u32>,
    documents: Vec<u32>,
}

impl TermGroups {
    /// The documents with a term, ascending.
    pub(crate) fn of(&self, code: Code) -> &[u32] {
        let place = |code: usize| self.starts.get(code).copied().unwrap_or(0) as usize;
        self.documents.get(place(code as usize)..place(code as usize + 1)).unwrap_or_default()
    }
}

impl TermRows {
    /// Forgets the rows and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.first.clear();
        self.more.clear();
        self.counts.clear();
    }

    /// How many distinct terms there are.
    pub(crate) fn terms(&self) -> usize {
        self.counts.len()
    }

    /// How many documents have a term.
    pub(crate) fn count(&self, code: Code) -> u32 {
        self.counts.get(code as usize).copied().unwrap_or(0)
    }

    /// Adds a term of a document; documents come in ascending order. A term that the document has already is passed over.
    pub(crate) fn push(&mut self, document: u32, code: Code) {
        let at = document as usize;
        match self.first.get(at) {
            Some(first) if *first == code + 1 => return,
            Some(_) if self.more.iter().rev().take_while(|(d, _)| *d == document).any(|(_, c)| *c == code) => return,
            Some(_) => self.more.push((document, code)),
            None => {
                self.first.resize(at, NONE);
                self.first.push(code + 1);
            }
        }
        if self.counts.len() <= code as usize {
            self.counts.resize(code as usize + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(code as usize) {
            *count += 1;
        }
    }

    /// Calls `visit` with the documents within a range that have one of the terms: some twice, and not in order.
    pub(crate) fn for_each_with(&self, codes: &CodeSet, within: std::ops::Range<u32>, mut visit: impl FnMut(u32)) {
        let range = within.start as usize..(within.end as usize).min(self.first.len());
        let rows = self.first.get(range).unwrap_or_default();
        let single = codes.first().filter(|_| codes.len() == 1).map(|code| code + 1);
        for (rows, document) in rows.chunks(LANES).zip((within.start..).step_by(LANES)) {
            // For one term this is a comparison of whole registers; most stretches end here.
            if single.is_some_and(|wanted| !rows.iter().fold(false, |found, first| found | (*first == wanted))) {
                continue;
            }
            let has = |first: &u32| first.checked_sub(1).is_some_and(|code| codes.contains(code));
            rows.iter().zip(document..).filter(|(first, _)| has(first)).for_each(|(_, document)| visit(document));
        }
        let from = self.more.partition_point(|(document, _)| *document < within.start);
        let more = self.more.iter().skip(from).take_while(|(document, _)| *document < within.end);
        more.filter(|(_, code)| codes.contains(*code)).for_each(|(document, _)| visit(*document));
    }

    /// The documents of every term, renumbered: number `n` is given to the document `old[n]`. Those not in `old` are left out.
    pub(crate) fn grouped(&self, old: impl Iterator<Item = u32> + Clone) -> TermGroups {
        let mut starts = vec![0u32; self.counts.len() + 2];
        let mut count = |code: Code| {
            if let Some(slot) = starts.get_mut(code as usize + 2) {
                *slot += 1;
            }
        };
        let more = self.renumbered(old.clone());
        old.clone().filter_map(|old| self.first_of(old)).for_each(&mut count);
        more.iter().for_each(|(_, code)| count(*code));
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        // `starts[code + 1]` is where the next document of the code goes; in the end it is where those of the next code begin.
        let mut documents = vec![0u32; total as usize];
        let mut place = |document: u32, code: Code| {
            let next = starts.get_mut(code as usize + 1);
            if let Some((slot, next)) = next.and_then(|next| Some((documents.get_mut(*next as usize)?, next))) {
                *slot = document;
                *next += 1;
            }
        };
        let mut further = more.into_iter().peekable();
        for (document, old) in (0u32..).zip(old) {
            self.first_of(old).into_iter().for_each(|code| place(document, code));
            while let Some((document, code)) = further.next_if(|(d, _)| *d == document) {
                place(document, code);
            }
        }
        starts.pop();
        TermGroups { starts, documents }
    }

    fn first_of(&self, document: u32) -> Option<Code> {
        self.first.get(document as usize)?.checked_sub(1)
    }

    /// The further terms, under the new numbers of their documents and in their order.
    fn renumbered(&self, old: impl Iterator<Item = u32>) -> Vec<(u32, Code)> {
        if self.more.is_empty() {
            return Vec::new();
        }
        let mut new_of = vec![u32::MAX; self.first.len()];
        for (new, old) in (0u32..).zip(old) {
            if let Some(slot) = new_of.get_mut(old as usize) {
                *slot = new;
            }
        }
        let new = |document: u32| new_of.get(document as usize).copied().filter(|new| *new != u32::MAX);
        let mut more: Vec<(u32, Code)> = self.more.iter().filter_map(|(document, code)| Some((new(*document)?, *code))).collect();
        more.sort_unstable();
        more
    }

    /// The memory that is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.first.len() * 4 + self.more.len() * 8 + self.counts.len() * 4
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_and_groups_are_those_of_a_naive_index(
            documents in prop::collection::vec(prop::collection::vec(0u32..6, 0..4), 0..300),
            wanted in prop::collection::btree_set(0u32..6, 1..4),
            seed in any::<u64>(),
        ) {
            let mut rows = TermRows::default();
            for (document, codes) in (0u32..).zip(&documents) {
                codes.iter().for_each(|code| rows.push(document, *code));
            }
            let has = |document: u32, code: u32| documents[document as usize].contains(&code);
            let all = 0..documents.len() as u32;
            let within = all.end / 4..all.end - all.end / 5;
            let mut found = BTreeSet::new();
            rows.for_each_with(&wanted.iter().copied().collect(), within.clone(), |d| { found.insert(d); });
            let naive: BTreeSet<u32> = within.clone().filter(|d| wanted.iter().any(|code| has(*d, *code))).collect();
            prop_assert_eq!(found, naive);

            let mut old: Vec<u32> = within.clone().collect();
            old.sort_by_key(|d| u64::from(*d).wrapping_mul(seed | 1));
            let groups = rows.grouped(old.iter().copied());
            for code in 0..6 {
                prop_assert_eq!(rows.count(code) as usize, all.clone().filter(|d| has(*d, code)).count());
                let naive: Vec<u32> = (0..old.len() as u32).filter(|new| has(old[*new as usize], code)).collect();
                prop_assert_eq!(groups.of(code), naive);
            }
            prop_assert_eq!(groups.of(6), [0u32; 0]);
        }
    }
}
