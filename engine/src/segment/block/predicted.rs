//! The codes of a column as a function of another column's codes: only what the function gets wrong is stored.
//!
//! The name, the id and the keys of a user nearly determine each other, and the shape of an event nearly its name. A *prediction* names a
//! column's parent, another column of codes or the shapes, and has a map from the parent's codes to the column's. Within a block it
//! learns: what was stored for a code of the parent is expected with that code from then on, so that a user's address is stored once a
//! block and not with every event.
//!
//! Who reads a unit expands it at once to the codes that it would hold without a prediction; nothing else knows of predictions.

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
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
    let mut reader = Reader::new(raw);
    let count = reader.length(parents.len())?;
    if count != parents.len() {
        return Err(Error::corrupt("a predicted column has another number of values than its documents").expected(parents.len(), count));
    }
    let bits = reader.bytes(count.div_ceil(8))?;
    let missed: usize = bits.iter().map(|byte| byte.count_ones() as usize).sum();
    let base = reader.varint()?;
    let mut missed = stored(base, Planes::read(&mut reader, missed)?).into_iter();
    reader.finish()?;
    // Up to the first value that was stored, nothing is remembered.
    let fresh = bits.iter().position(|byte| *byte != 0).map_or(count, |byte| byte * 8);
    let (known, rest) = parents.split_at_checked(fresh).unwrap_or((parents, &[]));
    let (mut codes, mut recent) = (Vec::with_capacity(count), Recent::new());
    codes.extend(known.iter().map(|parent| map(*parent)));
    for (parents, bits) in rest.chunks(8).zip(bits.iter().skip(fresh / 8)) {
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
    encode_codes(&codes, out);
    Ok(())
}

fn stored(base: u64, planes: Planes<'_>) -> Vec<u32> {
    planes.to_vec().into_iter().map(|code| u32::try_from(base.wrapping_add(code)).unwrap_or(NOTHING)).collect()
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
        }
    }
}
