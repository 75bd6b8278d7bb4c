//! The writer: gives sequences, writes the journal, syncs once a group, publishes to the head, acknowledges.
//!
//! Batches come prepared: parsed, indexed and compressed on their callers' threads. One thread takes what waits as a group and does
//! what must be done in order. Nothing becomes visible before it is durable, and everything is visible once it is acknowledged. While
//! a group is synced the next one gathers, so a slow disk makes groups larger, not the log slower.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashTable;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Day, Sequence, Timestamp};
use crate::journal::{GroupEntry, JournalWriter, Payload};
use crate::lifecycle::ingest::duplicates::{in_head, mark_in_segments};
use crate::lifecycle::live::catalog::Catalog;
use crate::lifecycle::live::parts::{DayHead, Parts};
use crate::lifecycle::live::problems::Work;
use crate::lifecycle::live::queue::{Receipt, Submission, Task};
use crate::lifecycle::live::shared::{Counters, Shared};
use crate::mutants;

/// The most batches in a group.
const GROUP_BATCHES_MAX: usize = 1_024;
/// The most bytes of events in a group: a group is held in memory and fits a journal file.
const GROUP_BYTES_MAX: u64 = 16 << 20;
/// How long closing waits for the flusher.
const CLOSE_WAIT: Duration = Duration::from_secs(20);
/// How often the writer looks whether its head has grown old.
const IDLE: Duration = Duration::from_secs(1);

/// The writer's own state.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    journal: JournalWriter,
    received_at: Timestamp,
    /// The newest journal file that the catalog names, as far as is known here.
    named: u64,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, journal: JournalWriter) -> Committer {
        Committer { shared, journal, received_at: Timestamp::MIN, named: 0 }
    }

    /// Works until the queue is closed and empty, then marks the journal as closed.
    pub(crate) fn run(mut self) {
        while let Some(tasks) = self.shared.queue.take(GROUP_BATCHES_MAX, GROUP_BYTES_MAX, IDLE) {
            let (mut group, idle) = (Vec::new(), tasks.is_empty());
            for task in tasks {
                match task {
                    Task::Commit(submission) => group.push(*submission),
                    // A freeze must come after the batches that were handed over before it.
                    Task::Freeze => {
                        self.commit(std::mem::take(&mut group));
                        self.freeze();
                    }
                    Task::Release(below) => self.release(below),
                }
            }
            self.commit(group);
            // A server that says it is full gets no events by which it could find out that it is not any more.
            for work in [Work::Append, Work::Rotate] {
                if idle && self.shared.problems.is_full(work) {
                    self.rotate(work);
                }
            }
            if idle {
                self.name_journal(true);
            }
            self.shared.journal_bytes.store(self.journal.bytes(), Ordering::Relaxed);
        }
        if let Err(error) = self.journal.close_clean(self.received_at.max(self.shared.clock.now())) {
            self.shared.problem(format!("the journal could not be marked as closed: {error:?}"));
        }
    }

    /// Commits a group, and tells every caller what became of its batch.
    fn commit(&mut self, mut group: Vec<Submission>) {
        if group.is_empty() {
            return;
        }
        let prepared = self.drop_copies(&mut group);
        match prepared.and_then(|()| self.write(&group)) {
            Ok(first) => {
                self.shared.problems.works(Work::Append);
                self.shared.problems.works(Work::Rotate);
                self.acknowledge(group, first);
            }
            Err(error) => {
                if error.kind() == ErrorKind::Full {
                    self.shared.problems.fails(Work::Append, &error);
                }
                if error.kind() == ErrorKind::Poisoned {
                    self.shared.queue.poison(&error);
                }
                group.into_iter().for_each(|submission| (submission.done)(Err(error.duplicate())));
            }
        }
    }

    /// Looks for copies among the heads, the group itself, and segments that came since the callers looked.
    fn drop_copies(&self, group: &mut [Submission]) -> Result<()> {
        let parts = self.shared.parts();
        let budget = Budget::unlimited(self.shared.clock.clone());
        let mut earlier: HashTable<(u64, usize, usize)> = HashTable::new();
        let alone = group.len() == 1;
        for at in 0..group.len() {
            let (before, rest) = group.split_at_mut(at);
            let Some(submission) = rest.first_mut() else { continue };
            // Callers looked at the segments before; only those that came since are asked again.
            let newer = newer_segments(&parts, submission.checked);
            let mut found = mark_in_segments(newer, &submission.batch, &mut submission.keep, &budget)?;
            for (event, keep) in submission.batch.events.iter().zip(&mut submission.keep) {
                let (Some(hash), true) = (event.id_hash, *keep) else { continue };
                let text = submission.batch.text_of(event);
                let same = |(h, b, e): &(u64, usize, usize)| {
                    *h == hash && before.get(*b).is_some_and(|s| s.batch.events.get(*e).is_some_and(|e| s.batch.text_of(e) == text))
                };
                let in_heads =
                    || parts.heads().any(|head| in_head(&head.head.read(), hash, text)) && !mutants::is("copies_in_heads_stored");
                let copied = earlier.find(hash, same).is_some() || in_heads();
                *keep = !copied;
                found |= copied;
            }
            self.shared.note_gaps(&budget.gaps());
            if !alone {
                let kept = submission.batch.events.iter().zip(&submission.keep).enumerate().filter(|(_, (_, keep))| **keep);
                let kept = kept.filter_map(|(e, (event, _))| Some((event.id_hash?, e)));
                for (hash, e) in kept {
                    earlier.insert_unique(hash, (hash, at, e), |(hash, ..)| *hash);
                }
            }
            if found {
                submission.payload = encode(submission)?;
            }
        }
        Ok(())
    }

    /// Makes a group durable; returns its first sequence.
    fn write(&mut self, group: &[Submission]) -> Result<Sequence> {
        self.ready_head()?;
        let received_at = self.received_at;
        let entries: Vec<GroupEntry<'_>> =
            group.iter().filter_map(|s| Some(GroupEntry { payload: s.payload.as_ref()?, received_at })).collect();
        let range = self.journal.append_group(&entries)?;
        self.name_journal(false);
        Counters::add(&self.shared.counters.commits, u64::from(!entries.is_empty()));
        Ok(range.start)
    }

    /// Publishes a durable group and acknowledges it.
    fn acknowledge(&mut self, group: Vec<Submission>, mut next: Sequence) {
        let active = self.shared.parts().active;
        let counters = &self.shared.counters;
        let mut receipts = Vec::with_capacity(group.len());
        for submission in group {
            let kept = submission.keep.iter().filter(|keep| **keep).count() as u64;
            let keep = |i: usize| submission.keep.get(i) == Some(&true);
            let appended = active.as_ref().map(|active| active.head.append(&submission.batch, self.received_at, &keep));
            if let Some(Err(error)) = appended {
                // The events are durable but cannot be shown: stop, and let a restart bring them in.
                let error = Error::new(ErrorKind::Poisoned, "the head could not take events that are in the journal").because(error);
                self.shared.queue.poison(&error);
                receipts.push((submission.done, Err(error)));
                continue;
            }
            let duplicates = submission.keep.len() as u64 - kept;
            let last = next.plus(kept.saturating_sub(1));
            let range = (kept > 0).then_some((next, last));
            next = next.plus(kept);
            Counters::add(&counters.appended_events, kept);
            Counters::add(&counters.appended_bytes, submission.payload.as_ref().map_or(0, Payload::event_bytes));
            Counters::add(&counters.duplicate_events, duplicates);
            let receipt =
                Receipt { accepted: kept, duplicates, first_sequence: range.map(|(f, _)| f), last_sequence: range.map(|(_, l)| l) };
            receipts.push((submission.done, Ok(receipt)));
            let mut batch = submission.batch;
            batch.room = submission.payload.map(Payload::into_room).unwrap_or_default();
            self.shared.extractor.recycle(batch);
        }
        receipts.into_iter().for_each(|(done, receipt)| done(receipt));
        if let Some(notify) = &*self.shared.notify.read().unwrap_or_else(PoisonError::into_inner) {
            notify(Sequence(next.0.saturating_sub(1)));
        }
        if active.is_some_and(|active| active.head.read().bytes() as u64 >= self.shared.options.head_bytes_max) {
            self.freeze();
        }
    }

    /// Sets the receive time, and sees to it that there is a head of its day.
    fn ready_head(&mut self) -> Result<()> {
        self.shared.queue.check().or_else(|e| if e.kind() == ErrorKind::Closed { Ok(()) } else { Err(e) })?;
        let now = Timestamp(self.shared.clock.now().as_millis().saturating_mul(1_000_000));
        let day = self.shared.trusted.day_of(now);
        let active = self.shared.parts().active;
        match active {
            Some(active) if active.day == day => {
                // Within a head, receive times do not go backwards.
                self.received_at = self.received_at.max(now);
                return Ok(());
            }
            Some(_) => self.freeze(),
            None => {}
        }
        self.received_at = now;
        self.begin_head(day);
        Ok(())
    }

    fn begin_head(&self, day: Day) {
        let head = Arc::new(self.shared.spare.head(
            self.journal.next_sequence(),
            self.shared.extractor.schema(),
            self.shared.options.head_bytes_max,
        ));
        self.shared.change(|parts| parts.active = Some(DayHead { head, day }));
    }

    /// Freezes the head, once the flusher has room for it, and goes on in a new journal file.
    fn freeze(&mut self) {
        let begun = self.shared.clock.elapsed();
        loop {
            let signals = self.shared.signals();
            let parts = self.shared.parts();
            if parts.active.is_none_or(|active| active.head.read().documents() == 0) {
                return;
            }
            if parts.frozen.len() < self.shared.options.heads_waiting_max.max(1) {
                break;
            }
            // When the flusher cannot get on, a log that is being closed leaves its events in the journal.
            if self.shared.queue.check().is_err() && self.shared.clock.elapsed().saturating_sub(begun) > CLOSE_WAIT {
                return;
            }
            if let Some(full) = self.shared.problems.is_failing(Work::Upkeep) {
                self.refuse_waiting(full);
            }
            self.shared.wait(signals, IDLE);
        }
        self.shared.change(|parts| parts.frozen.extend(parts.active.take()));
        self.rotate(Work::Rotate);
    }

    /// While heads cannot be flushed, nobody who waits is let wait for as long as that lasts.
    fn refuse_waiting(&mut self, full: bool) {
        for task in self.shared.queue.take(GROUP_BATCHES_MAX, GROUP_BYTES_MAX, Duration::ZERO).into_iter().flatten() {
            match task {
                Task::Commit(submission) if full => {
                    (submission.done)(Err(Error::new(ErrorKind::Full, "the disk is full: no space for a segment")));
                }
                Task::Commit(submission) => (submission.done)(Err(Error::new(ErrorKind::Busy, "the head cannot be flushed"))),
                // It is being done.
                Task::Freeze => {}
                Task::Release(below) => self.release(below),
            }
        }
    }

    fn release(&mut self, below: Sequence) {
        self.name_journal(true);
        match self.journal.release(below) {
            Ok(()) => self.shared.problems.works(Work::Release),
            Err(error) => self.shared.problems.fails(Work::Release, &error),
        }
    }

    /// Has the catalog name the newest journal file, so that it is missed when it is gone. Where that fails the log goes on, since what is in the
    /// file is durable; it is tried again with the next file, after the next flush, or when there is nothing else to do.
    fn name_journal(&mut self, again: bool) {
        let newest = self.journal.newest();
        let is_due = newest != self.named || again && self.shared.problems.is_failing(Work::Name).is_some();
        if !is_due || mutants::is("journal_not_named") {
            return;
        }
        self.named = newest;
        let mut catalog = self.shared.catalog();
        if catalog.newest_journal >= newest {
            return;
        }
        let next = Catalog { newest_journal: newest, ..catalog.clone() };
        match next.store(&*self.shared.storage) {
            Ok(()) => {
                *catalog = next;
                self.shared.problems.works(Work::Name);
            }
            Err(error) => self.shared.problems.fails(Work::Name, &error),
        }
    }

    /// Goes on in a new journal file. Where that fails the next append says so to its caller.
    fn rotate(&mut self, work: Work) {
        match self.journal.rotate(self.received_at.max(self.shared.clock.now())) {
            Ok(_) => {
                self.shared.problems.works(work);
                self.name_journal(false);
            }
            Err(error) => self.shared.problems.fails(work, &error),
        }
    }
}

/// The segments that came after a change.
fn newer_segments(parts: &Parts, checked: u64) -> &[crate::lifecycle::live::parts::LiveSegment] {
    let first = parts.segments.iter().position(|live| live.change > checked).unwrap_or(parts.segments.len());
    parts.segments.get(first..).unwrap_or_default()
}

/// The events of a submission that are to be stored, in the journal's form.
fn encode(submission: &Submission) -> Result<Option<Payload>> {
    encode_kept(&submission.batch, &submission.keep, Vec::new())
}

/// The events of a batch that are to be stored, in the journal's form, in a buffer that is done with.
pub(crate) fn encode_kept(batch: &crate::event::Batch, keep: &[bool], room: Vec<u8>) -> Result<Option<Payload>> {
    if !keep.contains(&true) {
        return Ok(None);
    }
    if !keep.contains(&false) {
        return Payload::of_batch(batch, room).map(Some);
    }
    let kept = batch.events.iter().zip(keep).filter(|(_, keep)| **keep).map(|(event, _)| batch.text_of(event));
    Payload::encode(kept).map(Some)
}
