//! [`Queue`]: batches on their way from callers to the writer, bounded in bytes; [`Place`]: room in it for one that is still to be prepared.
//!
//! A place is taken before a batch is read and looked up in the segments, so that refusing it costs nothing of that.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Batch;
use crate::id::Sequence;
use crate::journal::Payload;
use crate::mutants;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What became of a batch. Given only when every accepted event is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// How many events were stored.
    pub accepted: u64,
    /// How many were exact copies of stored events.
    pub duplicates: u64,
    /// The sequence of the first stored event, when any was stored.
    pub first_sequence: Option<Sequence>,
    /// The sequence of the last stored event.
    pub last_sequence: Option<Sequence>,
}

/// Called once, on the writer's thread, with the fate of a batch; must not block.
pub type OnDone = Box<dyn FnOnce(Result<Receipt>) + Send>;

/// A batch that waits to be committed.
pub(crate) struct Submission {
    pub(crate) batch: Batch,
    /// The events that are to be stored, in the journal's form; `None` when all are copies.
    pub(crate) payload: Option<Payload>,
    /// For every event whether it is to be stored; the others are copies of stored events.
    pub(crate) keep: Vec<bool>,
    /// The change of the log up to which copies were looked for in segments.
    pub(crate) checked: u64,
    pub(crate) done: OnDone,
}

/// What the writer is asked to do.
pub(crate) enum Task {
    /// Commit a batch.
    Commit(Box<Submission>),
    /// Freeze the head, so that it is flushed.
    Freeze,
    /// Let go of journal files whose events are all in segments.
    Release(Sequence),
}

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes_max: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    bytes: u64,
    /// Whether the writer does what it took last.
    busy: bool,
    closed: bool,
    /// Why nothing more can be written.
    poison: Option<Error>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("tasks", &self.tasks.len()).field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn new(bytes_max: u64) -> Queue {
        Queue { bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a batch of so many bytes, until it is handed over or the place is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`], [`ErrorKind::Closed`], [`ErrorKind::Poisoned`].
    pub(crate) fn place(self: &Arc<Queue>, bytes: u64) -> Result<Place> {
        let mut state = self.lock();
        state.check()?;
        // A batch that is larger than the bound by itself still gets through when nothing else waits.
        if state.bytes > 0 && state.bytes.saturating_add(bytes) > self.bytes_max {
            return Err(Error::new(ErrorKind::Busy, "too many batches wait to be written; send the same again in a moment"));
        }
        state.bytes = state.bytes.saturating_add(bytes);
        Ok(Place { queue: self.clone(), bytes })
    }

    /// Hands over a task that is no batch. Ignored once the queue is closed.
    pub(crate) fn ask(&self, task: Task) {
        let mut state = self.lock();
        if !state.closed {
            state.tasks.push_back(task);
            self.changed.notify_one();
        }
    }

    /// Takes up to `batches_max` batches and `bytes_max` bytes of them, and every other task on the way. Waits until there is
    /// something, or `time_max` is over; `None` once the queue is closed and empty.
    pub(crate) fn take(&self, batches_max: usize, bytes_max: u64, time_max: Duration) -> Option<Vec<Task>> {
        let mut state = self.lock();
        // Who does not wait has something to do beside.
        state.busy = time_max.is_zero();
        let waiting = |state: &mut State| state.tasks.is_empty() && !state.closed;
        let (mut state, _) = self.changed.wait_timeout_while(state, time_max, waiting).unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut batches, mut bytes) = (Vec::new(), 0, 0);
        while let Some(task) = state.tasks.pop_front() {
            if let Task::Commit(submission) = &task {
                let more = submission.batch.bytes() as u64;
                if batches == batches_max || (batches > 0 && bytes + more > bytes_max) {
                    state.tasks.push_front(task);
                    break;
                }
                batches += 1;
                bytes += more;
            }
            taken.push(task);
        }
        state.bytes -= bytes;
        state.busy |= !taken.is_empty();
        (!taken.is_empty() || !state.closed).then_some(taken)
    }

    /// Whether there is nothing to write, and nothing is being written.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.tasks.is_empty() && !state.busy
    }

    /// Takes nothing more in. What waits is still committed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        if !mutants::is("close_not_told") {
            self.changed.notify_all();
        }
    }

    /// Refuses everything from now on, for this reason.
    pub(crate) fn poison(&self, reason: &Error) {
        self.lock().poison.get_or_insert_with(|| reason.duplicate());
    }

    /// Whether batches are taken.
    ///
    /// # Errors
    /// Why they are not.
    pub(crate) fn check(&self) -> Result<()> {
        self.lock().check()
    }
}

/// Room before the writer for one batch; given back when it is dropped. See [`crate::AuditLog::place`].
#[derive(Debug)]
#[must_use]
pub struct Place {
    queue: Arc<Queue>,
    bytes: u64,
}

impl Place {
    /// Hands over the batch: what it has of bytes counts from now on, until the writer takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`], [`ErrorKind::Poisoned`].
    pub(crate) fn submit(mut self, submission: Submission) -> Result<()> {
        let mut state = self.queue.lock();
        state.check()?;
        let taken = std::mem::take(&mut self.bytes);
        state.bytes = state.bytes.saturating_sub(taken).saturating_add(submission.batch.bytes() as u64);
        state.tasks.push_back(Task::Commit(Box::new(submission)));
        if !mutants::is("writer_not_woken") {
            self.queue.changed.notify_one();
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let mut state = self.queue.lock();
            state.bytes = state.bytes.saturating_sub(self.bytes);
        }
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.poison {
            Some(reason) => Err(reason.duplicate()),
            None if self.closed => Err(Error::new(ErrorKind::Closed, "the log is closed")),
            None => Ok(()),
        }
    }
}
