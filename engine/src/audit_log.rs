//! [`AuditLog`]: the opened log.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::budget::{Budget, Cancel};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Batch, Rejection};
use crate::id::{SegmentId, Sequence};
use crate::index::StoredEvent;
use crate::lifecycle::ingest::commit::{Committer, encode_kept};
use crate::lifecycle::ingest::duplicates::mark;
use crate::lifecycle::live::queue::{OnDone, Place, Receipt, Submission, Task};
use crate::lifecycle::live::shared::Shared;
use crate::lifecycle::merging::compaction;
use crate::lifecycle::recovery::open::recover;
use crate::lifecycle::{self, maintenance, statistics};
use crate::options::{Hold, Options};
use crate::query::{
    self, Context, Count, FollowPage, Histogram, HistogramRequest, Page, PageRequest, Selection, TailPage, Terms, TermsRequest,
};
use crate::status::{DimensionInfo, Gap, Health, Inspected, Notice, OnStep, Repaired, SegmentInfo, Stats};
use crate::storage::{FileStorage, Storage, View};
use crate::sync::{JoinHandle, Mutex, mpsc};
use crate::threads;

/// A head with fewer events than this is left in the journal when the log is closed: replaying it is quicker than opening one more
/// small segment for a month.
const FLUSH_AT_CLOSE_EVENTS: u64 = 10_000;

/// How many events of the log one step of a tail looks at.
const TAIL_SCAN_EVENTS: u64 = 50_000;

/// About as much of the maps is touched by a question that reads no block.
const QUESTION_BYTES: u64 = 1 << 20;

/// How long closing waits for the flusher.
const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// How often a wait for the flusher looks again.
const POLL: Duration = Duration::from_millis(500);

/// Opens a directory of the file system; for writing, it is locked, and made if it is not there.
fn open_directory(directory: &FilePath, read_only: bool) -> Result<Arc<dyn Storage>> {
    let opened = if read_only { FileStorage::open_read_only(directory) } else { FileStorage::open(directory) };
    let storage = opened.map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::new(ErrorKind::Locked, "another process has the data directory open").in_file(directory.display().to_string())
        }
        _ => Error::io("cannot open the data directory", e).in_file(directory.display().to_string()),
    })?;
    Ok(Arc::new(storage))
}

/// An open log. All methods can be called from any thread; queries never wait for appends.
///
/// Dropping a log closes it; [`AuditLog::close`] tells whether that went well.
pub struct AuditLog {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl AuditLog {
    /// Opens the log in a directory of the file system, or creates it there.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when another process has it open; [`ErrorKind::Invalid`] for the options; [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Unsupported`] or [`ErrorKind::Io`] for what is in the directory.
    pub fn open(directory: &FilePath, options: Options) -> Result<AuditLog> {
        AuditLog::open_with_clock(directory, options, Arc::new(SystemClock::new()))
    }

    /// The same with a clock of the caller's.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn open_with_clock(directory: &FilePath, options: Options, clock: Arc<dyn Clock>) -> Result<AuditLog> {
        AuditLog::open_storage(open_directory(directory, options.read_only)?, options, clock)
    }

    /// Looks for everything that is wrong with a directory that no process has open: catalog, journal, segments. Nothing is written. All is read
    /// by calls, so that what the medium cannot read is said, and does not end the process.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no log, [`ErrorKind::Io`] when the directory cannot be listed, [`ErrorKind::Unsupported`] for a
    /// catalog of another version, [`ErrorKind::Cancelled`].
    pub fn inspect(directory: &FilePath, options: &Options, cancel: &Cancel, on_step: OnStep) -> Result<Inspected> {
        AuditLog::inspect_storage(open_directory(directory, true)?, options, Arc::new(SystemClock::new()), cancel, on_step)
    }

    /// The same on any storage, with a clock of the caller's.
    ///
    /// # Errors
    /// As [`AuditLog::inspect`].
    pub fn inspect_storage(
        storage: Arc<dyn Storage>,
        options: &Options,
        clock: Arc<dyn Clock>,
        cancel: &Cancel,
        on_step: OnStep,
    ) -> Result<Inspected> {
        options.check()?;
        let budget = Budget::new(clock.clone(), Duration::MAX, u64::MAX, cancel.clone());
        lifecycle::repair::run::inspect(storage, options, clock, &budget, on_step)
    }

    /// Makes a log of what can be read of a damaged directory that no process has open. Damaged files are set aside under another name, all
    /// that can be read is kept with its sequences, and what is lost is named. The options must be those that the log is used with: events of
    /// damaged files are indexed anew. A rehearsal writes nothing, and neither does a repair of what cannot be read now: see [`Repaired::unread`].
    ///
    /// # Errors
    /// As [`AuditLog::open`], and [`ErrorKind::NotFound`] when there is no log.
    pub fn repair(directory: &FilePath, options: &Options, rehearsal: bool, cancel: &Cancel, on_step: OnStep) -> Result<Repaired> {
        let read_only = !directory.is_dir() || rehearsal;
        let storage = open_directory(directory, read_only)?;
        AuditLog::repair_storage(storage, options, Arc::new(SystemClock::new()), rehearsal, cancel, on_step)
    }

    /// The same on any storage, with a clock of the caller's.
    ///
    /// # Errors
    /// As [`AuditLog::repair`].
    pub fn repair_storage(
        storage: Arc<dyn Storage>,
        options: &Options,
        clock: Arc<dyn Clock>,
        rehearsal: bool,
        cancel: &Cancel,
        on_step: OnStep,
    ) -> Result<Repaired> {
        options.check()?;
        let budget = Budget::new(clock.clone(), Duration::MAX, u64::MAX, cancel.clone());
        lifecycle::repair::run::run(storage, options, clock, rehearsal, &budget, on_step)
    }

    /// The same on any storage.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn open_storage(storage: Arc<dyn Storage>, options: Options, clock: Arc<dyn Clock>) -> Result<AuditLog> {
        options.check()?;
        let (shared, journal) = recover(storage, options, clock)?;
        let shared = Arc::new(shared);
        let stop = Arc::new(AtomicBool::new(false));
        let mut handles = Vec::new();
        match journal {
            None => shared.queue.close(),
            Some(journal) => {
                shared.journal_bytes.store(journal.bytes(), Ordering::Relaxed);
                let committer = Committer::new(shared.clone(), journal);
                handles.push(threads::spawn("trail-writer", move || committer.run())?);
                let (work, stopped) = (shared.clone(), stop.clone());
                handles.push(threads::spawn("trail-upkeep", move || maintenance::run(&work, &|| stopped.load(Ordering::Acquire)))?);
                let (work, stopped) = (shared.clone(), stop.clone());
                handles.push(threads::spawn("trail-merge", move || {
                    threads::lower_priority(threads::BACKGROUND);
                    compaction::run(&work, &|| stopped.load(Ordering::Acquire));
                })?);
            }
        }
        Ok(AuditLog { shared, stop, threads: Mutex::new(handles) })
    }

    /// Reads, checks and indexes events, each the bytes of one JSON object (white space around it is cut off). Bad events become
    /// rejections. Costs CPU on the caller's thread and waits for nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for more than [`crate::limits::BATCH_EVENTS_MAX`] events or [`crate::limits::BATCH_BYTES_MAX`] bytes.
    pub fn prepare(&self, events: &mut dyn Iterator<Item = &[u8]>) -> Result<(Batch, Vec<Rejection>)> {
        self.shared.extractor.prepare(events)
    }

    /// Room before the writer for a batch of about so many bytes: who takes it before [`AuditLog::prepare`] does not prepare what would then be refused.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] (wait and try again), [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    pub fn place(&self, bytes: u64) -> Result<Place> {
        if self.shared.options.read_only {
            return Err(Error::new(ErrorKind::Closed, "the log is open for reading only"));
        }
        self.shared.queue.place(bytes)
    }

    /// Hands a batch to the writer; `done` is called when it is durable and visible, or has failed. Looks for copies in the segments
    /// and compresses on the caller's thread.
    ///
    /// # Errors
    /// As [`AuditLog::place`]; then `done` is not called.
    pub fn submit(&self, batch: Batch, done: OnDone) -> Result<()> {
        let place = self.place(batch.bytes() as u64)?;
        self.submit_at(place, batch, done)
    }

    /// The same for a batch that has its place. Only the batch's own bytes count from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]; then `done` is not called.
    pub fn submit_at(&self, place: Place, mut batch: Batch, done: OnDone) -> Result<()> {
        let parts = self.shared.parts();
        let budget = Budget::unlimited(self.shared.clock.clone());
        let keep = mark(&batch, &parts, &budget)?;
        self.shared.note_gaps(&budget.gaps());
        let room = std::mem::take(&mut batch.room);
        let payload = encode_kept(&batch, &keep, room)?;
        place.submit(Submission { batch, payload, keep, checked: parts.change, done })
    }

    /// Appends a batch and waits until it is durable and visible.
    ///
    /// # Errors
    /// As [`AuditLog::submit`], and [`ErrorKind::Full`] or [`ErrorKind::Poisoned`] from the writer.
    pub fn append(&self, batch: Batch) -> Result<Receipt> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(
            batch,
            Box::new(move |receipt| {
                // The receiver waits below; it cannot be gone.
                let _unused = sender.send(receipt);
            }),
        )?;
        receiver.recv().unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the writer is gone")))
    }

    /// A page of events.
    ///
    /// What cannot be read is left out of an answer, listed in its `incomplete`, and becomes one of the log's problems.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the query or cursor, [`ErrorKind::Limit`], [`ErrorKind::Cancelled`].
    pub fn search(&self, selection: &Selection, page: &PageRequest, cancel: &Cancel) -> Result<Page> {
        self.ask(cancel, |context| query::search(context, selection, page))
    }

    /// How many events are selected.
    ///
    /// # Errors
    /// As [`AuditLog::search`].
    pub fn count(&self, selection: &Selection, cancel: &Cancel) -> Result<Count> {
        self.ask(cancel, |context| query::count(context, selection))
    }

    /// The most frequent terms of the selected events.
    ///
    /// # Errors
    /// As [`AuditLog::search`].
    pub fn terms(&self, selection: &Selection, request: &TermsRequest, cancel: &Cancel) -> Result<Terms> {
        self.ask(cancel, |context| query::terms(context, selection, request))
    }

    /// Counts over time.
    ///
    /// # Errors
    /// As [`AuditLog::search`].
    pub fn histogram(&self, selection: &Selection, request: &HistogramRequest, cancel: &Cancel) -> Result<Histogram> {
        self.ask(cancel, |context| query::histogram(context, selection, request))
    }

    /// All events with an id, in the order of their sequences.
    ///
    /// # Errors
    /// As [`AuditLog::search`].
    pub fn events_by_id(&self, event_id: &str, cancel: &Cancel) -> Result<Page> {
        self.ask(cancel, |context| query::events_by_id(context, event_id))
    }

    /// The event at a position.
    ///
    /// # Errors
    /// As [`AuditLog::search`], and [`ErrorKind::Corrupt`] when it is there and cannot be read.
    pub fn event_at(&self, sequence: Sequence, cancel: &Cancel) -> Result<Option<StoredEvent>> {
        self.ask(cancel, |context| query::event_at(context, sequence))
    }

    /// Matching events after a position, in sequence order: at most `events_max` of them, from a bounded stretch of the log, so that the
    /// page may be empty while its position moves on. At the end of the log the position is the last visible sequence.
    ///
    /// # Errors
    /// As [`AuditLog::search`].
    pub fn tail(&self, q: &str, after: Sequence, events_max: usize, cancel: &Cancel) -> Result<TailPage> {
        self.ask(cancel, |context| query::tail(context, q, after, events_max, TAIL_SCAN_EVENTS))
    }

    /// The same for several filters at once: events that at least one of them selects, each read once, with which of them do. The page
    /// ends early when it holds about `bytes_max`.
    ///
    /// # Errors
    /// As [`AuditLog::tail`]; [`ErrorKind::Invalid`] for no filter or more than [`crate::limits::FILTERS_MAX`]; [`ErrorKind::Limit`] when
    /// the first 256 events together hold more than `bytes_max`: ask for fewer.
    pub fn follow(&self, filters: &[&str], after: Sequence, events_max: usize, bytes_max: u64, cancel: &Cancel) -> Result<FollowPage> {
        let bytes_max = bytes_max.min(self.shared.options.query_memory_bytes_max);
        self.ask_within(bytes_max, cancel, |context| query::follow(context, filters, after, events_max, TAIL_SCAN_EVENTS))
    }

    fn ask<T>(&self, cancel: &Cancel, question: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
        self.ask_within(self.shared.options.query_memory_bytes_max, cancel, question)
    }

    fn ask_within<T>(&self, memory_bytes_max: u64, cancel: &Cancel, question: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
        let parts = self.shared.parts();
        let missing = self.shared.missing(&parts);
        let (parts, upper) = parts.indexes();
        let options = &self.shared.options;
        let budget = Budget::new(self.shared.clock.clone(), options.query_time_max, memory_bytes_max, cancel.clone());
        let answer = question(&Context {
            parts: &parts,
            missing: &missing,
            dimensions: &options.schema.dimensions,
            now: self.shared.clock.now(),
            upper,
            budget: &budget,
            clock: &*self.shared.clock,
        });
        self.shared.caches.resident.touch(QUESTION_BYTES);
        let known = |gap: &Gap| missing.iter().any(|(_, known)| known == gap);
        self.shared.note_gaps(&budget.gaps().into_iter().filter(|gap| !known(gap)).collect::<Vec<_>>());
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Corrupt
            && budget.gaps().is_empty()
        {
            self.shared.problem(format!("a question could not be answered: {error:?}"));
        }
        answer
    }

    /// Lets go of what only makes questions faster: what was unfolded of segments, and pages of their maps. For a time in which nobody asks;
    /// the next questions read from the system's cache of files what they need.
    pub fn rest(&self) {
        self.shared.caches.clear();
        self.shared.caches.resident.release();
    }

    /// The last sequence that is durable and visible.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        self.shared.parts().indexes().1
    }

    /// Sets what is called, on the writer's thread, after new events became visible; must not block.
    pub fn on_publish(&self, notify: Box<dyn Fn(Sequence) + Send + Sync>) {
        *self.shared.notify.write().unwrap_or_else(PoisonError::into_inner) = Some(notify);
    }

    /// Says what retention must not drop yet; takes the place of what was said before. To be said again whenever the log is opened, which forgets
    /// it: see [`Options::expiry_waits`].
    pub fn hold(&self, hold: Hold) {
        self.shared.holding.set(hold);
    }

    /// The dimensions.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`].
    pub fn dimensions(&self) -> Result<Vec<DimensionInfo>> {
        statistics::dimensions(&self.shared)
    }

    /// The segments, in sequence order.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        statistics::segments(&self.shared)
    }

    /// The bytes of a segment file, which stay readable while this is held; `None` when there is no such segment.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the segment was found damaged.
    pub fn segment_bytes(&self, id: SegmentId) -> Result<Option<View>> {
        let parts = self.shared.parts();
        let Some(live) = parts.segments.iter().find(|live| live.entry.id == id) else {
            return Ok(None);
        };
        match &live.segment {
            Some(segment) => Ok(segment.view().cloned()),
            None => Err(Error::corrupt("the segment is damaged").in_file(live.entry.file_name())),
        }
    }

    /// What the log holds and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        statistics::stats(&self.shared)
    }

    /// Whether the log takes writes.
    #[must_use]
    pub fn health(&self) -> Health {
        statistics::health(&self.shared)
    }

    /// Reads every segment again from end to end and returns everything that is wrong with them; takes as long as that takes.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        let budget = Budget::new(self.shared.clock.clone(), Duration::MAX, u64::MAX, cancel.clone());
        lifecycle::verify::run(&self.shared, &budget)
    }

    /// Sets what is told of problems when they come and when they are over; it is told at once of those that there are, and of what opening
    /// found that needs nobody: an end of the journal that was never acknowledged and is dropped, as after a crash; a segment file that the
    /// catalog did not name, and was taken in. Called on any thread; must not block, and must not ask the log.
    pub fn on_notice(&self, listener: Box<dyn Fn(Notice<'_>) + Send + Sync>) {
        self.shared.problems.listen(listener);
    }

    /// Has background work look at the clock now, and not within a second.
    pub fn look_at_the_clock(&self) {
        self.shared.signal();
    }

    /// Whether background work has nothing left to do by the clock as it was when it looked last: what can be flushed, merged, sealed and dropped
    /// is. Work that failed and is tried again later counts as done. True of a log that is closed.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.shared.is_at_rest() || self.threads.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Flushes everything that was appended before to segments, and waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`], [`ErrorKind::Poisoned`]. A flush that fails is tried again in the background; the wait goes on.
    pub fn flush(&self) -> Result<()> {
        self.flush_within(Duration::MAX)
    }

    /// Flushes, and stops waiting for it after a while: what is not flushed stays in the journal.
    fn flush_within(&self, time_max: Duration) -> Result<()> {
        let target = self.last_sequence();
        let begun = self.shared.clock.elapsed();
        self.shared.queue.ask(Task::Freeze);
        while self.shared.clock.elapsed().saturating_sub(begun) < time_max {
            let signals = self.shared.signals();
            self.shared.queue.check()?;
            if self.shared.parts().heads().all(|h| h.head.first_sequence > target || h.head.read().documents() == 0) {
                return Ok(());
            }
            self.shared.wait(signals, POLL);
        }
        Ok(())
    }

    /// Takes no more appends, commits those that wait, stops the threads, and leaves the directory ready for a fast start.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`] when appends had stopped because of a write that could not be made durable.
    pub fn close(&self) -> Result<()> {
        let mut handles = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if handles.is_empty() {
            return Ok(());
        }
        let poisoned = self.shared.queue.check().err().filter(|e| e.kind() == ErrorKind::Poisoned);
        if poisoned.is_none() && self.stats().head_events >= FLUSH_AT_CLOSE_EVENTS {
            self.flush_within(CLOSE_WAIT)?;
        }
        self.shared.queue.close();
        // The writer first: the flusher may still be at work for it.
        let mut handles = std::mem::take(&mut *handles).into_iter();
        let writer = handles.next().map_or(Ok(()), JoinHandle::join);
        self.stop.store(true, Ordering::Release);
        self.shared.signal();
        let rest = handles.map(JoinHandle::join).fold(writer, std::result::Result::and);
        rest.map_err(|_| Error::new(ErrorKind::Closed, "a thread of the log had panicked"))?;
        poisoned.map_or(Ok(()), Err)
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `close`.
        let _unused = self.close();
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("storage", &self.shared.storage).finish_non_exhaustive()
    }
}
