//! When events were received: one run for each commit, from its first sequence offset on, to the millisecond.
//!
//! With single-event commits there are as many runs as events. First offsets are stored as what exceeds the least they can
//! be (each run has at least one event), which is nothing for single-event commits; times as differences from the smallest
//! of 128 runs. See [`crate::segment::documents::groups`] for the layout; here a group holds two arrays one after the other.

use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::SEGMENT_DOCUMENTS_MAX;
use crate::segment::documents::groups::{GROUP, Groups, GroupsWriter, Numbers, stored_width};
use crate::segment::file::fixed::{i64_at, partition, u32_at};

/// A group's place, its first offset, its smallest time, the width of its offsets.
const ENTRY_BYTES: usize = 4 + 4 + 8 + 1;

/// Events that were received at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The sequence offset of the first; the run ends where the next begins.
    pub(crate) first: u32,
    /// Milliseconds since the epoch.
    pub(crate) received_ms: i64,
}

/// Appends runs: the first at offset 0, offsets strictly ascending and below 2^28.
pub(crate) fn encode(runs: &[Run], out: &mut Vec<u8>) {
    let mut writer = ReceivedWriter::default();
    runs.iter().for_each(|run| writer.push(*run));
    writer.finish(out);
}

/// Builds the component run by run.
#[derive(Debug, Default)]
pub(crate) struct ReceivedWriter {
    count: u32,
    group: Vec<Run>,
    groups: GroupsWriter,
}

impl ReceivedWriter {
    /// Adds the next run.
    pub(crate) fn push(&mut self, run: Run) {
        debug_assert!(self.group.last().is_none_or(|last| last.first < run.first) && (self.count > 0 || run.first == 0));
        self.group.push(run);
        self.count += 1;
        if self.group.len() == GROUP {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        let Some(first) = self.group.first().map(|run| run.first) else { return };
        let time = self.group.iter().map(|run| run.received_ms).min().unwrap_or(0);
        let offsets = self.group.iter().zip(first..).map(|(run, least)| u64::from(run.first.saturating_sub(least)));
        let times = self.group.iter().map(|run| run.received_ms.wrapping_sub(time) as u64);
        let offset_width = stored_width(offsets.clone().max().unwrap_or(0));
        let time_width = stored_width(times.clone().max().unwrap_or(0));
        let entry = self.groups.entry();
        entry.put_u32(first);
        entry.put_i64(time);
        entry.put_u8(offset_width as u8);
        self.groups.numbers(offsets, offset_width);
        self.groups.numbers(times, time_width);
        self.group.clear();
    }

    /// Appends the component.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        self.end_group();
        self.groups.finish(self.count, 0, out);
    }
}

/// Receive times, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    groups: Groups<'a>,
}

impl<'a> Received<'a> {
    /// Takes the bytes of the component; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Received<'a>> {
        let groups = Groups::read(bytes, ENTRY_BYTES, SEGMENT_DOCUMENTS_MAX)?;
        let received = Received { groups };
        match received.first(0) {
            0 => Ok(received),
            other => Err(Error::corrupt("the first run does not begin at the first event").at(20).expected(0, other)),
        }
    }

    /// When the event at a sequence offset was received, in milliseconds since the epoch; 0 when there are no runs.
    #[inline]
    pub(crate) fn at(&self, offset: u32) -> i64 {
        let after = partition(self.groups.groups(), |g| self.first(g) <= offset);
        let Some(group) = after.checked_sub(1) else {
            return 0;
        };
        let runs = self.group(group);
        let past = partition(self.groups.group_len(group), |i| runs.first_of(i) <= u64::from(offset));
        runs.time_of(past.saturating_sub(1))
    }

    /// Calls `visit` with each run.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Run)) {
        for group in 0..self.groups.groups() {
            let runs = self.group(group);
            for index in 0..self.groups.group_len(group) {
                visit(Run { first: runs.first_of(index) as u32, received_ms: runs.time_of(index) });
            }
        }
    }

    /// Walks everything: groups where they must be, offsets ascending and below `documents`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self, documents: u32) -> Result<()> {
        self.groups.check_directory(128)?;
        let (mut least, mut found) = (0u64, None);
        self.for_each(|run| {
            if u64::from(run.first) < least || run.first >= documents {
                found = found.or(Some(run.first));
            }
            least = u64::from(run.first) + 1;
        });
        match found {
            None => Ok(()),
            Some(first) => Err(Error::corrupt(format!("a run of receive times begins at {first}, out of order or past the end"))),
        }
    }

    fn first(&self, group: usize) -> u32 {
        u32_at(self.groups.entry(group), 0)
    }

    fn group(&self, group: usize) -> Runs<'a> {
        let entry = self.groups.entry(group);
        let offset_width = u32::from(entry.get(12).copied().unwrap_or(0));
        let time_width = self.groups.width(group).saturating_sub(offset_width);
        Runs {
            first: u32_at(entry, 0),
            time: i64_at(entry, 4),
            offsets: self.groups.numbers(group, 0, offset_width),
            times: self.groups.numbers(group, offset_width, time_width),
        }
    }
}

/// The runs of one group.
struct Runs<'a> {
    first: u32,
    time: i64,
    offsets: Numbers<'a>,
    times: Numbers<'a>,
}

impl Runs<'_> {
    fn first_of(&self, index: usize) -> u64 {
        (u64::from(self.first) + index as u64).saturating_add(self.offsets.get(index))
    }

    fn time_of(&self, index: usize) -> i64 {
        self.time.wrapping_add(self.times.get(index) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(runs: &[Run]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(runs, &mut bytes);
        bytes
    }

    fn any_runs() -> impl Strategy<Value = Vec<Run>> {
        let spans = prop_oneof![Just(2i64), Just(100_000), Just(i64::MAX)];
        (spans, any::<i64>(), 1u32..300, proptest::collection::vec((any::<u32>(), any::<i64>()), 0..500)).prop_map(
            |(span, start, gap, raw)| {
                let mut next = 0;
                raw.iter()
                    .map(|(step, time)| {
                        let run = Run { first: next, received_ms: start.saturating_add(time % span) };
                        next += 1 + step % gap;
                        run
                    })
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn runs_come_back(runs in any_runs(), more in 0u32..50) {
            let bytes = encoded(&runs);
            let read = Received::read(&bytes).unwrap();
            let mut seen = Vec::new();
            read.for_each(|run| seen.push(run));
            prop_assert_eq!(&seen, &runs);
            let end = runs.last().map_or(0, |run| run.first + 1 + more);
            read.check(end).unwrap();
            prop_assert!(runs.is_empty() || read.check(end - 1 - more).is_err());
            for offset in (0..end).step_by(1 + end as usize / 2_000) {
                let run = runs[runs.partition_point(|run| run.first <= offset) - 1];
                prop_assert_eq!(read.at(offset), run.received_ms);
            }
        }

        #[test]
        fn damaged_bytes_do_no_harm(runs in any_runs(), flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..6), random: Vec<u8>, probe: u32) {
            let mut bytes = encoded(&runs);
            let len = bytes.len();
            flips.iter().for_each(|(at, mask)| bytes[at % len] ^= mask);
            for bytes in [&bytes, &random] {
                if let Ok(read) = Received::read(bytes) {
                    let mut sum = read.at(probe).wrapping_add(read.at(probe % 1_000));
                    read.for_each(|run| sum = sum.wrapping_add(run.received_ms));
                    let _ = read.check(probe);
                }
            }
        }
    }

    #[test]
    fn single_event_commits_of_a_day_are_small() {
        let runs: Vec<Run> =
            (0..1_000_000).map(|i| Run { first: i, received_ms: 1_700_000_000_000 + i64::from(i) * 86 + i64::from(i % 7) }).collect();
        let each = encoded(&runs).len() as f64 / 1e6;
        println!("received, single-event commits: {each:.3} bytes a run");
        assert!(each < 2.0, "{each}");
        let batches: Vec<Run> =
            (0..1_000).map(|i| Run { first: i * 1_000, received_ms: 1_700_000_000_000 + i64::from(i) * 86_400 }).collect();
        let each = encoded(&batches).len() as f64 / 1e3;
        println!("received, batches of 1,000: {each:.3} bytes a run");
        assert!(each < 6.0, "{each}");
    }
}
