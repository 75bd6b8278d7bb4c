//! [`Backend`]: the engine as async code sees it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use trail_engine::budget::Cancel;
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::id::{SegmentId, Sequence, Timestamp};
use trail_engine::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use trail_engine::options::Options;
use trail_engine::query::FollowPage;
use trail_engine::{AuditLog, Health, Hold, Notice, Receipt, Rejection, SegmentInfo, Stats, View};

use crate::backend::budget::{ByteBudget, Reservation};
use crate::backend::hands::Hands;
use crate::backend::lanes::Lanes;
use crate::backend::pool::Pool;
use crate::backend::rest::{Asked, rest_when_idle};
use crate::backend::schedule::Schedule;
use crate::backend::space::Space;
use crate::config::Config;

/// Batches below this are prepared on the async thread: that takes some ten microseconds, less than handing them over.
const INLINE_BYTES_MAX: usize = 32 << 10;
/// How often a later batch of a body is offered again when the writer is busy. The first batch is never offered twice:
/// nothing is stored yet, so the client can simply be told to wait.
const BUSY_RETRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How long a body that has come waits for a thread. Many clients do not wait as long for an answer: they go, and their bodies with them.
const BODY_TURN: Duration = Duration::from_secs(5);

/// What became of a body's events.
#[derive(Debug, Clone, Default)]
pub struct Appended {
    /// Sums over all batches; first and last sequence of the whole.
    pub receipt: Receipt,
    /// Bad events.
    pub rejections: Vec<Rejected>,
}

/// A bad event of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What is wrong with it; `index` counts the events of the body, and bytes in the message those of the event.
    pub rejection: Rejection,
    /// The byte of the unpacked body at which it begins.
    pub start: usize,
}

/// The opened log behind bounded threads.
#[derive(Debug, Clone)]
pub struct Backend {
    log: Arc<AuditLog>,
    ingest: Pool,
    queries: Lanes,
    hands: Hands,
    asked: Asked,
    bodies: ByteBudget,
    answers: ByteBudget,
    tails: Arc<Semaphore>,
    space: Arc<Space>,
    hold_bytes_max: u64,
    published: watch::Receiver<Sequence>,
}

/// Writes down what the engine has to say.
fn tell(notice: Notice<'_>) {
    match notice {
        Notice::Problem(text) => tracing::error!("{text}"),
        Notice::Over(text) => tracing::info!("over: {text}"),
        Notice::Note(text) => tracing::warn!("{text}"),
    }
}

impl Backend {
    /// Opens the log.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub async fn open(directory: PathBuf, options: Options, config: &Config) -> Result<Backend> {
        let schedule = Schedule::of(config);
        let space = Arc::new(Space::new(directory.clone(), config.disk_reserve));
        let opening = tokio::task::spawn_blocking(move || AuditLog::open(&directory, options));
        let log = opening.await.map_err(|e| Error::new(ErrorKind::Io, "opening the log ended in a panic").because(e))??;
        let (publish, published) = watch::channel(log.last_sequence());
        log.on_publish(Box::new(move |sequence| {
            publish.send_replace(sequence);
        }));
        log.on_notice(Box::new(tell));
        let (log, asked) = (Arc::new(log), Asked::default());
        rest_when_idle(&log, asked.clone());
        Ok(Backend {
            log,
            asked,
            // Bodies that wait here are within the budget of bodies, which bounds them better than a count would.
            ingest: Pool::new("bodies", schedule.bodies, config.connections_max),
            queries: Lanes::new(schedule.questions, schedule.long_questions, config.query_queue_max),
            hands: Hands::new(&schedule),
            bodies: ByteBudget::new("request bodies", config.inflight_bytes_max),
            answers: ByteBudget::new("answers", config.answer_bytes_max),
            tails: Arc::new(Semaphore::new(config.tails_max)),
            space,
            hold_bytes_max: config.hold_bytes_max,
            published,
        })
    }

    /// The budget for request bodies.
    #[must_use]
    pub fn bodies(&self) -> &ByteBudget {
        &self.bodies
    }

    /// The budget for answers that clients have not taken yet.
    #[must_use]
    pub fn answers(&self) -> &ByteBudget {
        &self.answers
    }

    /// Runs work that computes over a whole body on the threads for ingest; it is the first thing that is done with a body. Its events go before other bodies then
    /// (see [`Backend::append`]), so that in overload what has begun is answered while its client is still there.
    ///
    /// # Errors
    /// As [`Pool::run_in_line`].
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.ingest.run_in_line(BODY_TURN, work).await
    }

    /// Appends the events that stand at `spans` of `body`, in that order, and returns when all are durable.
    ///
    /// More events than one batch may hold are appended as several batches. When a later batch fails for good, the earlier ones stay:
    /// the whole can be sent again, since exact copies are not stored twice.
    ///
    /// # Errors
    /// As [`AuditLog::prepare`] and [`AuditLog::submit`].
    pub async fn append(&self, body: Bytes, spans: Vec<Range<usize>>) -> Result<Appended> {
        let appended = self.append_all(body, spans).await;
        self.space.note(&appended);
        appended
    }

    async fn append_all(&self, body: Bytes, spans: Vec<Range<usize>>) -> Result<Appended> {
        let mut whole = Appended::default();
        let mut waiting = Vec::new();
        let mut first_index = 0;
        for part in batches(spans) {
            let events = part.len();
            let part = Arc::new(part);
            let (answer, rejections) = self.append_part(&body, &part, first_index > 0).await?;
            whole.rejections.extend(rejections.into_iter().map(|rejection| Rejected {
                start: part.get(rejection.index).map_or(0, |span| span.start),
                rejection: Rejection { index: rejection.index + first_index, ..rejection },
            }));
            waiting.extend(answer);
            first_index += events;
        }
        for answer in waiting {
            let lost = |_| Error::new(ErrorKind::Closed, "the log closed before it answered");
            add(&mut whole.receipt, answer.await.map_err(lost)??);
        }
        Ok(whole)
    }

    async fn append_part(&self, body: &Bytes, part: &Arc<Vec<Range<usize>>>, patient: bool) -> Result<(Option<Answer>, Vec<Rejection>)> {
        let mut retries = if patient { BUSY_RETRIES } else { 0 };
        let is_small = part.iter().map(Range::len).sum::<usize>() < INLINE_BYTES_MAX;
        loop {
            let handed = if is_small {
                hand_over(&self.log, body, part)
            } else {
                let (log, body, part) = (self.log.clone(), body.clone(), part.clone());
                self.ingest.run(move || hand_over(&log, &body, &part)).await
            };
            match handed {
                Err(e) if e.kind() == ErrorKind::Busy && retries > 0 => {
                    retries -= 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                handed => return handed,
            }
        }
    }

    /// Runs a question on a thread for queries, where it may be begun again: see [`Lanes`]. When the future is dropped, the question
    /// is cancelled.
    ///
    /// # Errors
    /// As [`Lanes::run`], and what the question gives.
    pub async fn ask<T: Send + 'static>(&self, question: impl Fn(&AuditLog, &Cancel) -> Result<T> + Send + Sync + 'static) -> Result<T> {
        self.asked.one_more();
        let log = self.log.clone();
        self.queries.run(move |cancel| question(&log, cancel)).await
    }

    /// What several filters select behind a sequence, on the threads for deliveries: see [`AuditLog::follow`]. A single event that is
    /// larger than `bytes_max` is read all the same when `events_max` is 1.
    ///
    /// # Errors
    /// As [`AuditLog::follow`], and as [`crate::backend::Background::run`].
    pub async fn follow(&self, filters: Vec<Arc<str>>, after: Sequence, events_max: usize, bytes_max: u64) -> Result<FollowPage> {
        let log = self.log.clone();
        let bytes_max = if events_max == 1 { u64::MAX } else { bytes_max };
        let read = move || {
            let filters: Vec<&str> = filters.iter().map(|filter| &**filter).collect();
            log.follow(&filters, after, events_max, bytes_max, &Cancel::default())
        };
        self.hands.compute.run(read).await
    }

    /// The threads that deliveries may use.
    #[must_use]
    pub fn hands(&self) -> &Hands {
        &self.hands
    }

    /// Asks, and pays for the answer out of the budget for answers while the thread is still held, so that the answers that nobody
    /// has paid for are never more than the threads. `weight` says how many bytes an answer holds.
    ///
    /// # Errors
    /// As [`Backend::ask`], and as [`Reservation::grow`].
    pub async fn ask_paid<T: Send + 'static>(
        &self,
        question: impl Fn(&AuditLog, &Cancel) -> Result<T> + Send + Sync + 'static,
        weight: impl Fn(&T) -> u64 + Send + Sync + 'static,
    ) -> Result<(T, Reservation)> {
        let answers = self.answers.clone();
        self.ask(move |log, cancel| {
            let answer = question(log, cancel)?;
            let mut paid = answers.reservation();
            paid.grow(weight(&answer))?;
            Ok((answer, paid))
        })
        .await
    }

    /// The bytes of a segment file; `None` when there is no such segment.
    ///
    /// # Errors
    /// As [`AuditLog::segment_bytes`].
    pub async fn segment_bytes(&self, id: SegmentId) -> Result<Option<View>> {
        self.ask(move |log, _| log.segment_bytes(id)).await
    }

    /// The same for a delivery, on the threads of deliveries.
    ///
    /// # Errors
    /// As [`AuditLog::segment_bytes`], and as [`Pool::run`].
    pub async fn segment_file(&self, id: SegmentId) -> Result<Option<View>> {
        let log = self.log.clone();
        self.hands.compute.run(move || log.segment_bytes(id)).await
    }

    /// The segments, in sequence order. Reads memory only.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.log.segments()
    }

    /// What the log holds and has done. Reads memory only.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.log.stats()
    }

    /// Whether the log takes writes. Reads memory only.
    #[must_use]
    pub fn health(&self) -> Health {
        self.log.health()
    }

    /// What is wrong with the room on the disk, in words. Asks the file system.
    #[must_use]
    pub fn space_problem(&self) -> Option<String> {
        self.space.problem()
    }

    /// Says behind which sequence retention must drop nothing yet; `None`: it may drop all that is due. See [`AuditLog::hold`].
    pub fn hold(&self, behind: Option<Sequence>) {
        self.log.hold(Hold { behind, bytes_max: self.hold_bytes_max });
    }

    /// The most bytes of segments over the retention that wait.
    #[must_use]
    pub fn hold_bytes_max(&self) -> u64 {
        self.hold_bytes_max
    }

    /// The last durable sequence.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        self.log.last_sequence()
    }

    /// The oldest sequence that is retained; the one behind the last when nothing is.
    #[must_use]
    pub fn oldest_sequence(&self) -> Sequence {
        let last = self.log.last_sequence();
        self.log.stats().first_sequence.unwrap_or(Sequence(last.0.saturating_add(1)))
    }

    /// The first sequence that was received at a time or later; the one behind the last when there is none yet.
    ///
    /// # Errors
    /// As [`AuditLog::follow`].
    pub async fn first_received(&self, time: Timestamp) -> Result<Sequence> {
        let later = |segment: &SegmentInfo| segment.day >= time.day();
        let segments = self.log.segments();
        let before = segments.iter().take_while(|segment| !later(segment)).last().map_or(Sequence::ZERO, |segment| segment.last_sequence);
        let filter: Arc<str> = format!("received_at:>={time}").into();
        let mut position = before;
        loop {
            let page = self.follow(vec![filter.clone()], position, 1, u64::MAX).await?;
            if let Some(found) = page.events.first() {
                return Ok(found.event.sequence);
            }
            if page.position <= position || page.position >= self.log.last_sequence() {
                return Ok(Sequence(page.position.0.saturating_add(1)));
            }
            position = page.position;
        }
    }

    /// Tells of new events: its value is the last durable sequence.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Sequence> {
        self.published.clone()
    }

    /// A place for one more client that follows the log, held until it is dropped.
    ///
    /// # Errors
    /// `Busy` when all places are taken.
    pub fn tail_place(&self) -> Result<OwnedSemaphorePermit> {
        let busy = |_| Error::new(ErrorKind::Busy, "as many clients follow the log as may");
        self.tails.clone().try_acquire_owned().map_err(busy)
    }

    /// Closes the log: pending appends are made durable first.
    ///
    /// # Errors
    /// As [`AuditLog::close`].
    pub async fn close(&self) -> Result<()> {
        let log = self.log.clone();
        let closing = tokio::task::spawn_blocking(move || log.close());
        closing.await.map_err(|e| Error::new(ErrorKind::Io, "closing the log ended in a panic").because(e))?
    }
}

type Answer = oneshot::Receiver<Result<Receipt>>;

/// Prepares the events at `part` of a body and hands them to the writer: all of an append that computes, in one piece of work.
fn hand_over(log: &AuditLog, body: &[u8], part: &[Range<usize>]) -> Result<(Option<Answer>, Vec<Rejection>)> {
    // Before anything is computed: what is refused here costs the others nothing.
    let place = log.place(part.iter().map(|span| span.len() as u64).sum())?;
    let (batch, rejections) = log.prepare(&mut part.iter().map(|span| body.get(span.clone()).unwrap_or_default()))?;
    if batch.is_empty() {
        return Ok((None, rejections));
    }
    let (done, answer) = oneshot::channel();
    // Nobody may be left to hear it: the client went away, the events stay.
    log.submit_at(place, batch, Box::new(move |result| drop(done.send(result))))?;
    Ok((Some(answer), rejections))
}

/// Cuts the events into batches that the engine takes. An event that alone is larger than a batch may be gets one of its own.
fn batches(spans: Vec<Range<usize>>) -> Vec<Vec<Range<usize>>> {
    if (1..=BATCH_EVENTS_MAX).contains(&spans.len()) && spans.iter().map(Range::len).sum::<usize>() <= BATCH_BYTES_MAX {
        return vec![spans];
    }
    let mut batches: Vec<Vec<Range<usize>>> = Vec::new();
    let mut bytes = 0_usize;
    for span in spans {
        bytes = bytes.saturating_add(span.len());
        match batches.last_mut() {
            Some(last) if last.len() < BATCH_EVENTS_MAX && bytes <= BATCH_BYTES_MAX => last.push(span),
            _ => {
                bytes = span.len();
                batches.push(vec![span]);
            }
        }
    }
    batches
}

fn add(sum: &mut Receipt, receipt: Receipt) {
    sum.accepted += receipt.accepted;
    sum.duplicates += receipt.duplicates;
    sum.first_sequence = sum.first_sequence.or(receipt.first_sequence);
    sum.last_sequence = receipt.last_sequence.or(sum.last_sequence);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_order_and_bounds() {
        let spans: Vec<_> = (0..BATCH_EVENTS_MAX * 2 + 1).map(|i| i * 2..i * 2 + 2).collect();
        let cut = batches(spans.clone());
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH_EVENTS_MAX, BATCH_EVENTS_MAX, 1]);
        assert_eq!(cut.concat(), spans);
        let large = vec![0..BATCH_BYTES_MAX, BATCH_BYTES_MAX..BATCH_BYTES_MAX + 1, 0..BATCH_BYTES_MAX + 9, 0..1];
        assert_eq!(batches(large).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert!(batches(Vec::new()).is_empty());
    }

    #[test]
    fn receipts_add_up() {
        let mut sum = Receipt::default();
        add(&mut sum, Receipt { accepted: 0, duplicates: 2, first_sequence: None, last_sequence: None });
        add(&mut sum, Receipt { accepted: 3, duplicates: 0, first_sequence: Some(Sequence(5)), last_sequence: Some(Sequence(7)) });
        add(&mut sum, Receipt { accepted: 1, duplicates: 0, first_sequence: Some(Sequence(9)), last_sequence: Some(Sequence(9)) });
        assert_eq!(sum, Receipt { accepted: 4, duplicates: 2, first_sequence: Some(Sequence(5)), last_sequence: Some(Sequence(9)) });
    }
}
