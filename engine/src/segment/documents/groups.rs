//! A column of numbers in groups of 128: a directory with one fixed-size entry a group, then the groups, bit-packed.
//!
//! A group of 128 numbers of `w` bits takes exactly `16 * w` bytes, so places in the data are counted in units of 16 bytes
//! and the width of a group is the distance to the next group. Number `i` is read in constant time. Numbers wider than
//! 56 bits are stored in 64, because a number must be readable by one unaligned 8-byte load. The last group is filled up
//! with zeros.
//!
//! Opening is cheap: it compares lengths only. A damaged entry (which the checksum of the component finds first) makes wrong
//! numbers, never a read out of bounds; `check` of each column walks all of it.

use crate::codec::bits::{WIDTH_MAX, pack, packed_len, width_of};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::segment::file::fixed::{u32_at, u64_at};

/// How many numbers a group has.
pub(crate) const GROUP: usize = 128;

/// What one bit of width costs a group, in bytes.
const UNIT: usize = GROUP / 8;

/// The zero bytes after the last group.
const PADDING: usize = 8;

/// The width in which numbers up to `widest` are stored.
pub(crate) fn stored_width(widest: u64) -> u32 {
    match width_of(widest) {
        width if width <= WIDTH_MAX => width,
        _ => 64,
    }
}

/// Builds a column.
#[derive(Debug, Default)]
pub(crate) struct GroupsWriter {
    directory: Vec<u8>,
    data: Vec<u8>,
}

impl GroupsWriter {
    /// Starts a group: puts its place into the directory and hands out the directory for the rest of the entry.
    pub(crate) fn entry(&mut self) -> &mut Vec<u8> {
        self.directory.put_u32((self.data.len() / UNIT) as u32);
        &mut self.directory
    }

    /// Appends at most 128 numbers in a width from [`stored_width`].
    pub(crate) fn numbers(&mut self, numbers: impl Iterator<Item = u64>, width: u32) {
        let full = numbers.chain(std::iter::repeat(0)).take(GROUP);
        if width > WIDTH_MAX {
            full.for_each(|number| self.data.put_u64(number));
            return;
        }
        pack(full, width, &mut self.data);
        self.data.truncate(self.data.len() - packed_len(0, 0));
    }

    /// Appends the column: header, directory, data.
    pub(crate) fn finish(self, count: u32, detail: u32, out: &mut Vec<u8>) {
        out.put_u32(count);
        out.put_u32(detail);
        out.put_u32((self.data.len() / UNIT) as u32);
        out.put_u32(0);
        out.put_bytes(&self.directory);
        out.put_bytes(&self.data);
        out.put_bytes(&[0; PADDING]);
    }
}

/// A column, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups<'a> {
    count: u32,
    detail: u32,
    units: u32,
    entry_bytes: usize,
    directory: &'a [u8],
    data: &'a [u8],
}

impl<'a> Groups<'a> {
    /// Reads the header and compares the lengths.
    pub(crate) fn read(bytes: &'a [u8], entry_bytes: usize, count_max: u32) -> Result<Groups<'a>> {
        let mut reader = Reader::new(bytes);
        let (count, detail, units, zero) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        if count > count_max {
            return Err(Error::corrupt("too many numbers in a column").at(0).expected(format_args!("at most {count_max}"), count));
        }
        if zero != 0 {
            return Err(Error::corrupt("a reserved field is not zero").at(12).expected(0, zero));
        }
        let directory = reader.bytes((count as usize).div_ceil(GROUP) * entry_bytes)?;
        let length = (units as usize).checked_mul(UNIT).and_then(|n| n.checked_add(PADDING));
        let data = reader.bytes(length.ok_or_else(|| Error::corrupt("a column is too long").at(8))?)?;
        reader.finish()?;
        Ok(Groups { count, detail, units, entry_bytes, directory, data })
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// What the column keeps in its header.
    pub(crate) fn detail(&self) -> u32 {
        self.detail
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> usize {
        (self.count as usize).div_ceil(GROUP)
    }

    /// How many numbers a group has: 128, fewer in the last, none past it.
    pub(crate) fn group_len(&self, group: usize) -> usize {
        (self.count as usize).saturating_sub(group.saturating_mul(GROUP)).min(GROUP)
    }

    /// The part of a group's entry after its place; empty past the end.
    #[inline]
    pub(crate) fn entry(&self, group: usize) -> &'a [u8] {
        let start = group.saturating_mul(self.entry_bytes);
        self.directory.get(start.saturating_add(4)..start.saturating_add(self.entry_bytes)).unwrap_or_default()
    }

    fn start(&self, group: usize) -> u32 {
        if group < self.groups() { u32_at(self.directory, group * self.entry_bytes) } else { self.units }
    }

    /// The width of a group: of all its numbers together, where an entry has several.
    #[inline]
    pub(crate) fn width(&self, group: usize) -> u32 {
        self.start(group + 1).saturating_sub(self.start(group))
    }

    /// The numbers of a group that lie `skip` bits of width after its start and are `width` bits wide.
    #[inline]
    pub(crate) fn numbers(&self, group: usize, skip: u32, width: u32) -> Numbers<'a> {
        let start = (self.start(group) as usize + skip as usize) * UNIT;
        let mask = u64::MAX.checked_shr(64 - width.min(64)).unwrap_or(0);
        Numbers { bytes: self.data.get(start..).unwrap_or_default(), width: width.min(64), mask }
    }

    /// Checks that the groups follow each other and that each is at most `width_max` wide.
    pub(crate) fn check_directory(&self, width_max: u32) -> Result<()> {
        if self.groups() > 0 && self.start(0) != 0 {
            return Err(Error::corrupt("the first group is not at the start").at(16).expected(0, self.start(0)));
        }
        for group in 0..self.groups() {
            let (start, next) = (self.start(group), self.start(group + 1));
            if next.checked_sub(start).is_none_or(|width| width > width_max) {
                let at = (16 + group * self.entry_bytes) as u64;
                return Err(Error::corrupt("a group is not where it must be")
                    .at(at)
                    .expected(format_args!("{start} to {width_max} more"), next));
            }
        }
        Ok(())
    }
}

/// The numbers of one group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers<'a> {
    bytes: &'a [u8],
    width: u32,
    mask: u64,
}

impl Numbers<'_> {
    /// The number at `index`.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> u64 {
        let bit = index * self.width as usize;
        (u64_at(self.bytes, bit / 8) >> (bit % 8)) & self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_come_back(parts in proptest::collection::vec((0u32..=64, proptest::collection::vec(any::<u64>(), GROUP)), 0..6), last in 1..=GROUP) {
            let mut writer = GroupsWriter::default();
            let mut expected: Vec<Vec<u64>> = Vec::new();
            for (index, (bits, raw)) in parts.iter().enumerate() {
                let len = if index + 1 == parts.len() { last } else { GROUP };
                let numbers: Vec<u64> = raw.iter().take(len).map(|n| n & u64::MAX.checked_shr(64 - bits).unwrap_or(0)).collect();
                writer.entry();
                writer.numbers(numbers.iter().copied(), stored_width(numbers.iter().copied().max().unwrap_or(0)));
                expected.push(numbers);
            }
            let count = expected.iter().map(Vec::len).sum::<usize>() as u32;
            let mut bytes = Vec::new();
            writer.finish(count, 5, &mut bytes);
            let groups = Groups::read(&bytes, 4, count).unwrap();
            groups.check_directory(64).unwrap();
            prop_assert_eq!(groups.detail(), 5);
            for (group, numbers) in expected.iter().enumerate() {
                prop_assert_eq!(groups.group_len(group), numbers.len());
                let stored = groups.numbers(group, 0, groups.width(group));
                prop_assert_eq!(&(0..numbers.len()).map(|i| stored.get(i)).collect::<Vec<_>>(), numbers);
            }
            prop_assert!(Groups::read(&bytes[..bytes.len() - 1], 4, count).is_err());
        }
    }
}
