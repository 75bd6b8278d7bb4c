//! From document to sequence offset and back: a permutation of `0..n` that is nearly the identity.
//!
//! Documents are in event-time order and offsets in order of arrival; events arrive nearly in order. So what is stored is
//! offset minus document, packed in groups of 128 as differences from the smallest of the group. For the way back each group
//! carries the largest offset up to it and the smallest from it on; both ascend, so the groups that can hold an offset are
//! found by binary search, and a run of late events makes only the groups between its two places candidates.

use std::ops::Range;

use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::SEGMENT_DOCUMENTS_MAX;
use crate::segment::documents::groups::{GROUP, Groups, GroupsWriter, Numbers, stored_width};
use crate::segment::file::fixed::{partition, u32_at};

/// A group's place, its smallest difference (signed), the largest offset up to it, the smallest offset from it on.
const ENTRY_BYTES: usize = 4 + 4 + 4 + 4;

/// Appends the offsets of all documents: a permutation of `0..offsets.len()`, of at most 2^28.
pub(crate) fn encode(offsets: &[u32], out: &mut Vec<u8>) {
    let smallest_after = smallest_after(offsets);
    let mut writer = GroupsWriter::default();
    let mut largest = 0;
    for ((index, group), smallest) in offsets.chunks(GROUP).enumerate().zip(smallest_after) {
        let first = (index * GROUP) as i64;
        let differences = group.iter().zip(first..).map(|(offset, document)| i64::from(*offset) - document);
        let base = differences.clone().min().unwrap_or(0);
        let width = stored_width(differences.clone().max().map_or(0, |max| (max - base) as u64));
        largest = group.iter().copied().fold(largest, u32::max);
        let entry = writer.entry();
        entry.put_u32(base as i32 as u32);
        entry.put_u32(largest);
        entry.put_u32(smallest);
        writer.numbers(differences.map(|difference| (difference - base) as u64), width);
    }
    writer.finish(offsets.len() as u32, 0, out);
}

/// For each group, the smallest offset in it or after it.
fn smallest_after(offsets: &[u32]) -> Vec<u32> {
    let mut smallest = u32::MAX;
    let mut all: Vec<u32> = offsets
        .chunks(GROUP)
        .rev()
        .map(|group| {
            smallest = group.iter().copied().fold(smallest, u32::min);
            smallest
        })
        .collect();
    all.reverse();
    all
}

/// Sequence offsets, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequences<'a> {
    groups: Groups<'a>,
}

impl<'a> Sequences<'a> {
    /// Takes the bytes of the component; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Sequences<'a>> {
        Ok(Sequences { groups: Groups::read(bytes, ENTRY_BYTES, SEGMENT_DOCUMENTS_MAX)? })
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> u32 {
        self.groups.count()
    }

    /// The offset of a document from the segment's first sequence; 0 past the end.
    #[inline]
    pub(crate) fn get(&self, document: u32) -> u32 {
        if document >= self.len() {
            return 0;
        }
        self.group(document as usize / GROUP).get(document as usize % GROUP)
    }

    /// The document at an offset from the segment's first sequence.
    pub(crate) fn find(&self, offset: u32) -> Option<u32> {
        if offset >= self.len() {
            return None;
        }
        let first = partition(self.groups.groups(), |g| u32_at(self.groups.entry(g), 4) < offset);
        let end = partition(self.groups.groups(), |g| u32_at(self.groups.entry(g), 8) <= offset);
        (first..end).find_map(|group| {
            let offsets = self.group(group);
            let len = self.groups.group_len(group);
            let index = offsets.may_hold(offset, len).then(|| (0..len).find(|i| offsets.get(*i) == offset))??;
            Some((group * GROUP + index) as u32)
        })
    }

    /// Calls `visit` with each document of a range and its offset.
    pub(crate) fn for_range(&self, documents: Range<u32>, mut visit: impl FnMut(u32, u32)) {
        let (mut next, end) = (documents.start, documents.end.min(self.len()));
        while next < end {
            let group = next as usize / GROUP;
            let group_end = end.min(((group + 1) * GROUP) as u32);
            let offsets = self.group(group);
            (next..group_end).for_each(|document| visit(document, offsets.get(document as usize % GROUP)));
            next = group_end;
        }
    }

    /// Walks everything: groups where they must be, offsets below the count and each only once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        self.groups.check_directory(64)?;
        let mut seen = vec![0u64; (self.len() as usize).div_ceil(64)];
        let mut found = None;
        self.for_range(0..self.len(), |document, offset| {
            let bit = 1u64 << (offset % 64);
            match seen.get_mut(offset as usize / 64) {
                Some(word) if *word & bit == 0 && offset < self.len() => *word |= bit,
                _ => found = found.or(Some((document, offset))),
            }
        });
        match found {
            None => Ok(()),
            Some((document, offset)) => {
                Err(Error::corrupt(format!("the sequence offset {offset} of document {document} is too large or taken")))
            }
        }
    }

    fn group(&self, group: usize) -> Offsets<'a> {
        let width = self.groups.width(group);
        let base = u32_at(self.groups.entry(group), 0) as i32;
        Offsets { base: (group * GROUP) as i64 + i64::from(base), width, differences: self.groups.numbers(group, 0, width) }
    }
}

/// The offsets of one group; `base` is the offset of its first document if that has the smallest difference.
struct Offsets<'a> {
    base: i64,
    width: u32,
    differences: Numbers<'a>,
}

impl Offsets<'_> {
    fn get(&self, index: usize) -> u32 {
        self.base.wrapping_add(index as i64).wrapping_add(self.differences.get(index) as i64) as u32
    }

    /// Whether the offset lies between what the width allows at least and at most.
    fn may_hold(&self, offset: u32, len: usize) -> bool {
        let reach = 1i64.checked_shl(self.width).unwrap_or(i64::MAX);
        let past = self.base.saturating_add(len as i64).saturating_add(reach);
        self.base <= i64::from(offset) && i64::from(offset) < past
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(offsets: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(offsets, &mut bytes);
        bytes
    }

    fn use_all(bytes: &[u8], offset: u32) {
        if let Ok(read) = Sequences::read(bytes) {
            let mut sum = 0u32;
            read.for_range(0..u32::MAX, |_, o| sum = sum.wrapping_add(o));
            assert!(read.find(offset).is_none_or(|d| d < read.len()));
            assert!(read.find(read.len() / 2).is_none_or(|d| d < read.len()));
            std::hint::black_box((read.get(offset), sum));
            let _ = read.check();
        }
    }

    /// The order of `0..n` by arrival plus a delay.
    fn permutation() -> impl Strategy<Value = Vec<u32>> {
        let delays = prop_oneof![Just(1u32), Just(50), Just(1_000)];
        (delays, proptest::collection::vec(any::<u32>(), 0..900)).prop_map(|(delay, raw)| {
            let mut order: Vec<u32> = (0..raw.len() as u32).collect();
            order.sort_by_key(|i| i + raw[*i as usize] % delay);
            order
        })
    }

    proptest! {
        #[test]
        fn offsets_come_back(offsets in permutation(), a in 0u32..1_000, b in 0u32..1_000) {
            let bytes = encoded(&offsets);
            let read = Sequences::read(&bytes).unwrap();
            read.check().unwrap();
            let range = a.min(b)..b.max(a);
            let mut seen = Vec::new();
            read.for_range(range.clone(), |document, offset| seen.push((document, offset)));
            let wanted: Vec<_> = offsets.iter().enumerate().map(|(d, o)| (d as u32, *o)).filter(|(d, _)| range.contains(d)).collect();
            prop_assert_eq!(seen, wanted);
            for (document, offset) in offsets.iter().enumerate() {
                prop_assert_eq!(read.get(document as u32), *offset);
                prop_assert_eq!(read.find(*offset), Some(document as u32));
            }
            prop_assert_eq!(read.find(offsets.len() as u32), None);
        }

        #[test]
        fn damaged_bytes_do_no_harm(offsets in permutation(), flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..6), random: Vec<u8>, probe: u32) {
            use_all(&random, probe);
            let mut bytes = encoded(&offsets);
            let len = bytes.len();
            flips.iter().for_each(|(at, mask)| bytes[at % len] ^= mask);
            use_all(&bytes, probe % 2_000);
        }
    }

    #[test]
    fn a_million_nearly_ordered_events_are_small() {
        for (delay, bytes_max) in [(1u64, 0.13), (3_000, 1.8), (1_000_000, 2.9)] {
            let mut seed = 1u64;
            let mut order: Vec<(u64, u32)> = (0..1_000_000u32)
                .map(|i| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (u64::from(i) + (seed >> 33) % delay, i)
                })
                .collect();
            order.sort_unstable();
            let offsets: Vec<u32> = order.into_iter().map(|(_, i)| i).collect();
            let each = encoded(&offsets).len() as f64 / 1e6;
            println!("sequences with delays below {delay}: {each:.3} bytes each");
            assert!(each < bytes_max, "{each}");
        }
    }
}
