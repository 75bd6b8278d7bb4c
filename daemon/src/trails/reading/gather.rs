//! [`Gatherer`]: cuts what a trail reads into batches.
//!
//! A batch ends when it is full, when its first event has waited long enough, or when the day of receipt changes. The sequences of one batch
//! begin behind those of the one before, so that together they leave nothing out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use trail_engine::error::{Error, ErrorKind};
use trail_engine::id::{Day, Sequence};
use trail_engine::index::StoredEvent;

use crate::trails::reading::source::{Reader, Window};
use crate::trails::sink::batch::BatchLimits;

/// How long to wait before the log is read again after an error.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// While little comes, the log is read this often at least and at most; between, an eighth of what a batch may wait.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// A reading with fewer events than this has reached the end of the log.
const FEW_EVENTS: usize = 1_024;

/// Events that will be a batch.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The first sequence that was looked at.
    pub first: Sequence,
    /// The last sequence that was looked at.
    pub last: Sequence,
    /// The day of receipt.
    pub day: Day,
    /// The events; none when nothing matched.
    pub events: Vec<Arc<StoredEvent>>,
    /// The bytes of their texts.
    pub bytes: u64,
    /// Sequences that could not be read any more: dropped, or damaged.
    pub lost: u64,
}

/// Who is told that the log cannot be read.
type Tell = Box<dyn Fn(&Error) + Send + Sync>;

/// Reads for one worker.
pub struct Gatherer {
    reader: Reader,
    limits: BatchLimits,
    published: watch::Receiver<Sequence>,
    /// The last sequence that a draft covers.
    covered: Sequence,
    /// The last sequence that was read.
    position: Sequence,
    /// What was read and is in no draft yet.
    left: VecDeque<Arc<StoredEvent>>,
    /// Where the range ends, for one that does.
    until: Option<Sequence>,
    /// Whether the last reading brought so little that the next may wait for more.
    is_slow: bool,
    lost: u64,
    tell: Tell,
}

impl fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer").field("covered", &self.covered).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Gatherer {
    /// Reads behind a sequence, up to the end of a range or for ever.
    #[must_use]
    pub fn new(
        reader: Reader,
        limits: BatchLimits,
        published: watch::Receiver<Sequence>,
        after: Sequence,
        until: Option<Sequence>,
    ) -> Gatherer {
        let (left, tell): (_, Tell) = (VecDeque::new(), Box::new(|_| {}));
        Gatherer { reader, limits, published, covered: after, position: after, left, until, is_slow: false, lost: 0, tell }
    }

    /// The same, which tells somebody whenever the log cannot be read.
    #[must_use]
    pub fn telling(self, tell: impl Fn(&Error) + Send + Sync + 'static) -> Gatherer {
        Gatherer { tell: Box::new(tell), ..self }
    }

    /// The last sequence that a draft covers.
    #[must_use]
    pub fn covered(&self) -> Sequence {
        self.covered
    }

    /// The next draft: events of a batch, or none and only how far the log was looked at. `None` at the end of the range, or when the log is
    /// closed.
    pub async fn next(&mut self) -> Option<Draft> {
        let mut draft = Draft { first: Sequence(self.covered.0.saturating_add(1)), ..Draft::default() };
        let mut deadline = None;
        loop {
            if let Some(last) = self.fill(&mut draft) {
                return Some(self.cut(draft, last));
            }
            if !draft.events.is_empty() && deadline.is_none() {
                deadline = Some(Instant::now() + self.limits.delay);
            }
            let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            let at_end = self.until.is_some_and(|until| self.position >= until);
            if is_over || (at_end && self.position > self.covered) || (draft.events.is_empty() && self.position > self.covered) {
                let last = self.position;
                return Some(self.cut(draft, last));
            }
            if at_end || !self.read(deadline).await {
                return None;
            }
        }
    }

    /// Moves what was read into the draft; the last sequence of the draft when it is full.
    fn fill(&mut self, draft: &mut Draft) -> Option<Sequence> {
        while let Some(event) = self.left.front() {
            let (bytes, day) = (event.text.len() as u64, event.received_at.day());
            let fits = draft.bytes.saturating_add(bytes) <= self.limits.bytes && draft.day == day;
            if !draft.events.is_empty() && !fits {
                return Some(Sequence(event.sequence.0.saturating_sub(1)));
            }
            draft.day = day;
            draft.bytes = draft.bytes.saturating_add(bytes);
            draft.events.extend(self.left.pop_front());
            if draft.events.len() >= self.limits.events {
                return draft.events.last().map(|event| event.sequence);
            }
        }
        None
    }

    fn cut(&mut self, mut draft: Draft, last: Sequence) -> Draft {
        draft.last = last;
        draft.lost = std::mem::take(&mut self.lost);
        self.covered = last;
        draft
    }

    /// Reads on, or waits for something to read until a deadline; false when there is nobody to read from.
    async fn read(&mut self, deadline: Option<Instant>) -> bool {
        let end = *self.published.borrow_and_update();
        if self.position >= end {
            self.is_slow = false;
            let deadline = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            return tokio::select! {
                changed = self.published.changed() => {
                    self.is_slow = true;
                    changed.is_ok()
                }
                () = deadline => true,
            };
        }
        if std::mem::take(&mut self.is_slow) {
            let pause = (self.limits.delay / 8).clamp(PAUSE_MIN, PAUSE_MAX);
            sleep(deadline.map_or(pause, |deadline| pause.min(deadline.saturating_duration_since(Instant::now())))).await;
        }
        match self.reader.next(self.position).await {
            Ok(window) => {
                self.is_slow = window.events.len() < FEW_EVENTS;
                self.take(window);
                true
            }
            Err(error) if error.kind() == ErrorKind::Closed => false,
            Err(error) => {
                tracing::warn!(error = ?error, "a trail cannot read the log");
                (self.tell)(&error);
                sleep(ERROR_PAUSE).await;
                true
            }
        }
    }

    fn take(&mut self, window: Window) {
        let until = self.until.unwrap_or(Sequence(u64::MAX));
        let reached = window.position.min(until).max(self.position);
        // Of this range alone: the same window may serve who goes on behind it.
        let dropped = window.oldest.0.min(reached.0.saturating_add(1)).saturating_sub(self.position.0.saturating_add(1));
        self.lost += window.damaged + dropped;
        self.left.extend(window.events.into_iter().filter(|event| event.sequence <= until));
        self.position = reached;
    }
}
