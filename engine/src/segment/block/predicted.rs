//! The codes of a column as a function of another column's codes: only what the function gets wrong is stored.
//!
//! The name, the id and the keys of a user nearly determine each other, and the shape of an event nearly its name. A *prediction* names a
//! column's parent, another column of codes or the shapes, and has a map from the parent's codes to the column's. Within a block it
//! learns: what was stored for a code of the parent is expected with that code from then on, so that a user's address is stored once a
//! block and not with every event.
//!
//! Who unfolds a unit for good expands it at once to the codes that it would hold without a prediction. Who wants the value of one
//! document walks back from it over what was stored: nothing else knows of predictions.

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, EVENT_LEAVES_MAX};
use crate::segment::block::chunk::encode_codes;
use crate::segment::block::planes::{self, Planes};

/// How many of the parent's codes a block remembers. A code takes the place of another that is the same modulo this.
const RECENT: usize = 256;

/// No code of a parent.
const NOTHING: u32 = u32::MAX;

/// What was last stored for codes of the parent.
struct Recent([(u32, u32); RECENT]);

impl Recent {
    fn new() -> Recent {
        Recent([(NOTHING, 0); RECENT])
    }

    #[inline]
    fn get(&self, parent: u32) -> Option<u32> {
        self.0.get(parent as usize % RECENT).filter(|(known, _)| *known == parent).map(|(_, code)| *code)
    }

    #[inline]
    fn set(&mut self, parent: u32, code: u32) {
        if let Some(slot) = self.0.get_mut(parent as usize % RECENT) {
            *slot = (parent, code);
        }
    }
}

/// Appends `count: varint`, a bit for each value, set where it was not predicted, and of those `base: varint` and the planes of code -
/// base. `parents` has the parent's code for each value; `map` gives the code that goes with one of them.
pub(crate) fn encode(codes: &[u32], parents: &[u32], map: impl Fn(u32) -> u32, raw: &mut Vec<u8>) {
    let (mut missed, mut bits, mut recent) = (Vec::new(), vec![0u8; codes.len().div_ceil(8)], Recent::new());
    for (at, (code, parent)) in codes.iter().zip(parents).enumerate() {
        if recent.get(*parent).unwrap_or_else(|| map(*parent)) != *code {
            recent.set(*parent, *code);
            missed.push(*code);
            if let Some(byte) = bits.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
    }
    raw.put_varint(codes.len() as u64);
    raw.put_bytes(&bits);
    let base = missed.iter().copied().min().unwrap_or(0);
    raw.put_varint(u64::from(base));
    planes::encode_above(&missed, base, raw);
}

/// How many of the values [`encode`] would store, of those whose parent's code `map` knows; and how many those are.
pub(crate) fn misses(codes: &[u32], parents: &[u32], map: impl Fn(u32) -> Option<u32>) -> (u32, u32) {
    let (mut missed, mut known, mut recent) = (0, 0, Recent::new());
    for (code, parent) in codes.iter().zip(parents) {
        let Some(expected) = recent.get(*parent).or_else(|| map(*parent)) else { continue };
        known += 1;
        if expected != *code {
            recent.set(*parent, *code);
            missed += 1;
        }
    }
    (missed, known)
}

/// Appends the chunk of codes that a predicted chunk stands for.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`].
pub(crate) fn expand(raw: &[u8], parents: &[u32], map: impl Fn(u32) -> u32, out: &mut Vec<u8>) -> Result<()> {
    let stored = Stored::read(raw, parents.len())?;
    if stored.count != parents.len() {
        return Err(other_count(parents.len(), stored.count));
    }
    encode_codes(&stored.codes(parents, map), out);
    Ok(())
}

/// The first codes that a predicted chunk stands for: as many as there are parents.
///
/// # Errors
/// As [`expand`].
pub(crate) fn first_codes(raw: &[u8], parents: &[u32], map: impl Fn(u32) -> u32) -> Result<Vec<u32>> {
    let stored = Stored::read(raw, VALUES_MAX)?;
    if stored.count < parents.len() {
        return Err(other_count(parents.len(), stored.count));
    }
    Ok(stored.codes(parents, map))
}

/// A predicted chunk, read in place.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    count: usize,
    bits: &'a [u8],
    base: u64,
    planes: Planes<'a>,
}

/// As many values as a block's documents can have.
const VALUES_MAX: usize = BLOCK_DOCUMENTS * EVENT_LEAVES_MAX;

impl<'a> Stored<'a> {
    /// Reads a chunk of at most so many values.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(raw: &'a [u8], values_max: usize) -> Result<Stored<'a>> {
        let mut reader = Reader::new(raw);
        let count = reader.length(values_max)?;
        let bits = reader.bytes(count.div_ceil(8))?;
        let missed: usize = bits.iter().map(|byte| byte.count_ones() as usize).sum();
        let base = reader.varint()?;
        let planes = Planes::read(&mut reader, missed)?;
        reader.finish()?;
        Ok(Stored { count, bits, base, planes })
    }

    /// A chunk of any length that a block can have.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(crate) fn read_any(raw: &'a [u8]) -> Result<Stored<'a>> {
        Stored::read(raw, VALUES_MAX)
    }

    /// The codes of the first values, of which these are the parents.
    fn codes(&self, parents: &[u32], map: impl Fn(u32) -> u32) -> Vec<u32> {
        let above = |code: u64| u32::try_from(self.base.wrapping_add(code)).unwrap_or(NOTHING);
        let mut missed = self.planes.to_vec().into_iter().map(above);
        // Up to the first value that was stored, nothing is remembered.
        let fresh = self.bits.iter().position(|byte| *byte != 0).map_or(self.count, |byte| byte * 8);
        let (known, rest) = parents.split_at_checked(fresh).unwrap_or((parents, &[]));
        let (mut codes, mut recent) = (Vec::with_capacity(parents.len()), Recent::new());
        codes.extend(known.iter().map(|parent| map(*parent)));
        for (parents, bits) in rest.chunks(8).zip(self.bits.iter().skip(fresh / 8)) {
            for (bit, parent) in parents.iter().enumerate() {
                codes.push(if bits >> bit & 1 == 0 {
                    recent.get(*parent).unwrap_or_else(|| map(*parent))
                } else {
                    let code = missed.next().unwrap_or(NOTHING);
                    recent.set(*parent, code);
                    code
                });
            }
        }
        codes
    }

    /// What is known of the value at an index without the parents.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when there are fewer values.
    pub(crate) fn at(&self, index: usize) -> Result<At> {
        if index >= self.count {
            return Err(other_count(index + 1, self.count));
        }
        let (whole, last) = (self.bits.get(..index / 8).unwrap_or_default(), self.bits.get(index / 8).copied().unwrap_or(0));
        let below = last & ((1u8 << (index % 8)) - 1);
        let before = whole.iter().map(|byte| byte.count_ones() as usize).sum::<usize>() + below.count_ones() as usize;
        Ok(match (last >> (index % 8) & 1, before) {
            (1, before) => At::Stored(self.code(before)),
            (_, 0) => At::Mapped,
            (_, before) => At::Expected { before },
        })
    }

    /// The code of the value at an index that is [`At::Expected`], if one is remembered for its parent; `parents` reach up to it.
    pub(crate) fn remembered(&self, index: usize, before: usize, parents: &[u32]) -> Option<u32> {
        let parent = *parents.get(index)?;
        let mut rank = before;
        for (at, byte) in self.bits.iter().enumerate().take(index / 8 + 1).rev() {
            let mut bits = if at == index / 8 { byte & ((1u8 << (index % 8)) - 1) } else { *byte };
            while bits != 0 {
                let bit = 7 - bits.leading_zeros() as usize;
                bits ^= 1 << bit;
                rank = rank.checked_sub(1)?;
                let other = *parents.get(at * 8 + bit)?;
                if other as usize % RECENT == parent as usize % RECENT {
                    return (other == parent).then(|| self.code(rank));
                }
            }
        }
        None
    }

    fn code(&self, rank: usize) -> u32 {
        u32::try_from(self.base.wrapping_add(self.planes.get(rank))).unwrap_or(NOTHING)
    }
}

/// Where the code of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// It is stored.
    Stored(u32),
    /// The map has it: nothing was stored before.
    Mapped,
    /// It is what was last stored for its parent, if that is remembered, or else in the map; so many were stored before it.
    Expected {
        /// How many.
        before: usize,
    },
}

fn other_count(expected: usize, found: usize) -> Error {
    Error::corrupt("a predicted column has another number of values than its documents").expected(expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_come_back(
            pairs in prop::collection::vec((prop_oneof![0u32..3, 0u32..2_000], prop_oneof![0u32..3, 0u32..70_000]), 0..900),
            map in prop::collection::vec(0u32..3, 2_000),
        ) {
            let (parents, codes): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let (mut raw, mut wanted, mut expanded) = (Vec::new(), Vec::new(), Vec::new());
            let of = |parent: u32| map[parent as usize];
            encode(&codes, &parents, of, &mut raw);
            encode_codes(&codes, &mut wanted);
            expand(&raw, &parents, of, &mut expanded).unwrap();
            prop_assert_eq!(expanded, wanted);
            let stored = Stored::read_any(&raw).unwrap();
            for (index, code) in codes.iter().enumerate() {
                let mapped = of(parents[index]);
                let found = match stored.at(index).unwrap() {
                    At::Stored(code) => code,
                    At::Mapped => mapped,
                    At::Expected { before } => stored.remembered(index, before, &parents[..=index]).unwrap_or(mapped),
                };
                prop_assert_eq!(found, *code, "{}", index);
            }
            prop_assert!(stored.at(codes.len()).is_err());
            let some = codes.len() / 2;
            prop_assert_eq!(first_codes(&raw, &parents[..some], of).unwrap(), &codes[..some]);
            let (missed, known) = misses(&codes, &parents, |parent| Some(of(parent)));
            prop_assert_eq!(known as usize, codes.len());
            let stored: u32 = raw.iter().skip(raw.len().min(1 + usize::from(codes.len() > 127))).take(codes.len().div_ceil(8)).map(|b| b.count_ones()).sum();
            prop_assert_eq!(stored, missed);
            prop_assert!(expand(&raw, &[&parents[..], &[0]].concat(), of, &mut Vec::new()).is_err());
        }

        #[test]
        fn what_is_determined_costs_a_bit_each(parents in prop::collection::vec(0u32..500, 1..900)) {
            let codes: Vec<u32> = parents.iter().map(|parent| parent * 7 % 91).collect();
            let mut raw = Vec::new();
            encode(&codes, &parents, |parent| parent * 7 % 91, &mut raw);
            prop_assert!(raw.len() <= codes.len().div_ceil(8) + 4);
        }

        #[test]
        fn any_bytes_are_read_or_refused(raw: Vec<u8>, parents in prop::collection::vec(any::<u32>(), 0..40)) {
            let mut out = Vec::new();
            if expand(&raw, &parents, |parent| parent, &mut out).is_ok() {
                prop_assert!(!out.is_empty());
            }
            if let Ok(stored) = Stored::read_any(&raw) {
                for index in 0..parents.len() {
                    if let Ok(At::Expected { before }) = stored.at(index) {
                        stored.remembered(index, before, &parents);
                    }
                }
            }
        }
    }
}
