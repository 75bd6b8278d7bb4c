//! The event times of a segment's documents, in document order, which is their order: ascending nanoseconds.
//!
//! Most sources write whole seconds or milliseconds, so a unit that divides every time is taken out; what is left is packed in
//! groups of 128 as differences from the first of the group. Times from 1677 to 2262 may stand in one segment: such a group
//! is 64 bits wide. See [`crate::segment::documents::groups`] for the layout.

use std::ops::Range;

use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::SEGMENT_DOCUMENTS_MAX;
use crate::segment::documents::groups::{GROUP, Groups, GroupsWriter, Numbers, stored_width};
use crate::segment::file::fixed::{i64_at, partition};

/// What a time may be a whole number of, in nanoseconds; the index is written.
const UNITS: [i64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];

/// A group's place and its first time.
const ENTRY_BYTES: usize = 4 + 8;

/// Appends ascending times.
pub(crate) fn encode(times: &[i64], out: &mut Vec<u8>) {
    debug_assert!(times.is_sorted());
    let code = (1..UNITS.len()).rev().find(|&c| times.iter().all(|t| t % unit(c as u32) == 0)).unwrap_or(0) as u32;
    let mut writer = TimestampsWriter::new(code);
    times.iter().for_each(|time| writer.push(*time));
    writer.finish(out);
}

/// Builds the component time by time.
#[derive(Debug)]
pub(crate) struct TimestampsWriter {
    code: u32,
    count: u32,
    group: Vec<i64>,
    groups: GroupsWriter,
}

impl TimestampsWriter {
    /// For times that are all whole numbers of a unit: see [`Timestamps::unit_code`].
    pub(crate) fn new(code: u32) -> TimestampsWriter {
        TimestampsWriter { code, count: 0, group: Vec::with_capacity(GROUP), groups: GroupsWriter::default() }
    }

    /// Adds the next time, which is not before the last.
    pub(crate) fn push(&mut self, time: i64) {
        self.group.push(time / unit(self.code));
        self.count += 1;
        if self.group.len() == GROUP {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        let Some(base) = self.group.first().copied() else { return };
        let differences = self.group.iter().map(|time| time.wrapping_sub(base) as u64);
        let width = stored_width(differences.clone().max().unwrap_or(0));
        self.groups.entry().put_i64(base);
        self.groups.numbers(differences, width);
        self.group.clear();
    }

    /// Appends the component.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        self.end_group();
        self.groups.finish(self.count, self.code, out);
    }
}

fn unit(code: u32) -> i64 {
    UNITS.get(code as usize).copied().unwrap_or(1)
}

/// Event times, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamps<'a> {
    groups: Groups<'a>,
    unit: i64,
}

impl<'a> Timestamps<'a> {
    /// Takes the bytes of the component; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Timestamps<'a>> {
        let groups = Groups::read(bytes, ENTRY_BYTES, SEGMENT_DOCUMENTS_MAX)?;
        if groups.detail() as usize >= UNITS.len() {
            return Err(Error::corrupt("unknown unit of time").at(4).expected("0 to 3", groups.detail()));
        }
        Ok(Timestamps { groups, unit: unit(groups.detail()) })
    }

    /// How many times there are.
    pub(crate) fn len(&self) -> u32 {
        self.groups.count()
    }

    /// The number of the largest unit that all times are whole numbers of, as it was when they were written.
    pub(crate) fn unit_code(&self) -> u32 {
        self.groups.detail()
    }

    /// The time of a document; 0 past the end.
    #[inline]
    pub(crate) fn get(&self, document: u32) -> i64 {
        if document >= self.len() {
            return 0;
        }
        self.group(document as usize / GROUP).get(document as usize % GROUP)
    }

    /// The first document whose time is not before `time`; [`Timestamps::len`] when all are.
    pub(crate) fn lower_bound(&self, time: i64) -> u32 {
        let after = partition(self.groups.groups(), |g| self.base(g).wrapping_mul(self.unit) < time);
        let Some(group) = after.checked_sub(1) else {
            return 0;
        };
        let times = self.group(group);
        (group * GROUP + partition(self.groups.group_len(group), |i| times.get(i) < time)) as u32
    }

    /// Calls `visit` with each document of a range and its time.
    pub(crate) fn for_range(&self, documents: Range<u32>, mut visit: impl FnMut(u32, i64)) {
        let (mut next, end) = (documents.start, documents.end.min(self.len()));
        while next < end {
            let group = next as usize / GROUP;
            let group_end = end.min(((group + 1) * GROUP) as u32);
            let times = self.group(group);
            (next..group_end).for_each(|document| visit(document, times.get(document as usize % GROUP)));
            next = group_end;
        }
    }

    /// Walks everything: groups where they must be, times ascending.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        self.groups.check_directory(64)?;
        let (mut last, mut found) = (i64::MIN, None);
        self.for_range(0..self.len(), |document, time| {
            if time < last && found.is_none() {
                found = Some(document);
            }
            last = time;
        });
        match found {
            None => Ok(()),
            Some(document) => Err(Error::corrupt(format!("the event time of document {document} is before the one in front of it"))),
        }
    }

    fn base(&self, group: usize) -> i64 {
        i64_at(self.groups.entry(group), 0)
    }

    fn group(&self, group: usize) -> Times<'a> {
        Times { base: self.base(group), unit: self.unit, differences: self.groups.numbers(group, 0, self.groups.width(group)) }
    }
}

/// The times of one group.
struct Times<'a> {
    base: i64,
    unit: i64,
    differences: Numbers<'a>,
}

impl Times<'_> {
    fn get(&self, index: usize) -> i64 {
        self.base.wrapping_add(self.differences.get(index) as i64).wrapping_mul(self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(times: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(times, &mut bytes);
        bytes
    }

    fn use_all(bytes: &[u8], time: i64) {
        if let Ok(times) = Timestamps::read(bytes) {
            let mut sum = 0i64;
            times.for_range(0..u32::MAX, |_, t| sum = sum.wrapping_add(t));
            assert!(times.lower_bound(time) <= times.len());
            std::hint::black_box((times.get(times.len() / 2), sum));
            let _ = times.check();
        }
    }

    fn any_times() -> impl Strategy<Value = Vec<i64>> {
        let spans = prop_oneof![Just(i64::MAX), Just(1_000_000_000_000), Just(5_000)];
        (spans, 0usize..4, any::<i64>(), proptest::collection::vec(any::<i64>(), 0..700)).prop_map(|(span, code, start, raw)| {
            let unit = UNITS[code];
            let mut times: Vec<i64> = raw.iter().map(|t| start.saturating_add(t % span) / unit * unit).collect();
            times.sort_unstable();
            times
        })
    }

    proptest! {
        #[test]
        fn times_come_back(times in any_times(), probe in any::<i64>(), a in 0u32..800, b in 0u32..800) {
            let bytes = encoded(&times);
            let read = Timestamps::read(&bytes).unwrap();
            read.check().unwrap();
            prop_assert_eq!(read.len() as usize, times.len());
            let range = a.min(b)..b.max(a);
            let mut seen = Vec::new();
            read.for_range(range.clone(), |document, time| seen.push((document, time)));
            let wanted: Vec<_> = times.iter().enumerate().map(|(d, t)| (d as u32, *t)).filter(|(d, _)| range.contains(d)).collect();
            prop_assert_eq!(seen, wanted);
            for probe in times.iter().flat_map(|t| [*t, t.saturating_add(1), t.saturating_sub(1)]).chain([probe, i64::MIN, i64::MAX]) {
                prop_assert_eq!(read.lower_bound(probe) as usize, times.partition_point(|t| *t < probe));
            }
            times.iter().enumerate().for_each(|(d, t)| assert_eq!(read.get(d as u32), *t));
        }

        #[test]
        fn damaged_bytes_do_no_harm(times in any_times(), flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..6), random: Vec<u8>, probe: i64) {
            use_all(&random, probe);
            let mut bytes = encoded(&times);
            let len = bytes.len();
            flips.iter().for_each(|(at, mask)| bytes[at % len] ^= mask);
            use_all(&bytes, probe);
        }
    }

    #[test]
    fn a_day_of_a_million_events_is_small() {
        let day = 1_700_000_000_000_000_000i64;
        for (unit, bytes_max) in [(1_000_000_000, 0.7), (1_000_000, 2.0)] {
            let mut seed = 1u64;
            let mut times: Vec<i64> = (0..1_000_000)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    day + (seed >> 20) as i64 % 86_400_000_000_000 / unit * unit
                })
                .collect();
            times.sort_unstable();
            let each = encoded(&times).len() as f64 / 1e6;
            println!("timestamps in units of {unit} ns: {each:.3} bytes each");
            assert!(each < bytes_max, "{each}");
        }
    }
}
