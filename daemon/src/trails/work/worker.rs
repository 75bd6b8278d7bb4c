//! [`Worker`]: one sink of a trail, or of a backfill.
//!
//! It asks a sink that names its batches how far it got before, repeats the batch that was begun before a crash, and then delivers what its
//! gatherer cuts, one batch at a time and in order. The next batch is gathered while one is delivered. A batch is tried until it is
//! there, refused for good, or the worker is stopped; what it is tried with never changes. Limits: three batches are in memory at most; a change of
//! the position that nobody needs after a crash (nothing matched) is kept once in five seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::id::{Sequence, Timestamp};

use crate::mutants;
use crate::trails::keeping::kept::{Pending, Progress};
use crate::trails::keeping::ledger::{Ledger, Letter, Slot};
use crate::trails::reading::gather::{Draft, Gatherer};
use crate::trails::reading::source::Reader;
use crate::trails::setting::watched::Watched;
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::seam::{Delivered, Refusal, Sink};
use crate::trails::work::backoff::Backoff;
use crate::trails::work::live::Live;

/// The longest that one attempt may take, and how much longer for what is large: a line that brings less than this is broken.
const ATTEMPT_MAX: Duration = Duration::from_secs(300);
const BYTES_A_SECOND_MIN: u64 = 64 << 10;
/// How often a sink is asked for what is due without events.
const UPKEEP: Duration = Duration::from_secs(15);
/// How often a position is kept that moved without a delivery.
const MOVED: Duration = Duration::from_secs(5);
/// How long to wait before something is kept again that could not be.
const KEEP_PAUSE: Duration = Duration::from_secs(2);

/// What is counted of deliveries.
pub trait Tally: Send + Sync + std::fmt::Debug {
    /// A batch arrived.
    fn delivered(&self, events: u64, delivered: &Delivered);
    /// An attempt failed.
    fn failed(&self);
    /// Events were dropped or damaged before they could be delivered.
    fn lost(&self, sequences: u64);
}

/// One sink at work.
#[derive(Debug)]
pub struct Worker {
    /// What is kept of the trail.
    pub ledger: Arc<Ledger>,
    /// Which progress this one makes.
    pub slot: Slot,
    /// What its batches are called.
    pub label: Arc<str>,
    /// The kind of the sink.
    pub kind: &'static str,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// How events are batched.
    pub limits: BatchLimits,
    /// What is shown while it works.
    pub live: Arc<Live>,
    /// What is counted.
    pub tally: Arc<dyn Tally>,
    /// Becomes true when the worker is to end.
    pub stop: watch::Receiver<bool>,
    /// Which events it delivers.
    pub filter: Arc<str>,
    /// Events that were given up since the sink last took one.
    pub strikes: AtomicUsize,
    /// The files that the sink was made of.
    pub watched: Watched,
    /// Whether it ended because those are others by now.
    pub stale: AtomicBool,
}

/// Why a worker ends before its work does.
#[derive(Debug)]
pub struct Stopped;

/// What a worker does, unless it ends first.
pub type Going<T> = Result<T, Stopped>;

impl Worker {
    /// Works until it is stopped, or the range of a backfill is done.
    pub async fn run(&self, reader: impl Fn(&str, Sequence) -> Reader, published: watch::Receiver<Sequence>, until: Option<Sequence>) {
        let mut stop = self.stop.clone();
        tokio::select! {
            // Stopped or gone: the work is dropped where it is, and begun again from what is kept.
            _ = stop.wait_for(|stop| *stop) => {}
            _ = self.work(reader, published, until) => {}
        }
    }

    async fn work(
        &self,
        reader: impl Fn(&str, Sequence) -> Reader,
        published: watch::Receiver<Sequence>,
        until: Option<Sequence>,
    ) -> Going<()> {
        let mut progress = self.begin(&reader, published.clone()).await?;
        if let Some(pending) = progress.pending {
            let reader = reader(&pending.filter, Sequence(pending.first.saturating_sub(1)));
            self.repeat(pending, reader, published.clone()).await?;
            progress = self.progress().await?;
        }
        self.live.reached(progress.after());
        let mut gatherer = Gatherer::new(reader(&self.filter, progress.after()), self.limits, published, progress.after(), until)
            .telling(self.unreadable());
        let (drafts, mut gathered) = mpsc::channel(1);
        let gather = async move {
            while let Some(draft) = gatherer.next().await {
                if drafts.send(draft).await.is_err() {
                    return;
                }
            }
        };
        let deliver = async {
            let mut upkeep = interval(UPKEEP);
            let mut kept_at = Instant::now();
            loop {
                tokio::select! {
                    draft = gathered.recv() => match draft {
                        None => return Ok(()),
                        Some(draft) => self.take(draft, &mut kept_at, until).await?,
                    },
                    _ = upkeep.tick() => self.upkeep().await?,
                }
            }
        };
        let gather = async {
            gather.await;
            std::future::pending::<()>().await;
        };
        // When there is no more to gather, the deliveries end by themselves, after the last.
        tokio::select! {
            delivered = deliver => delivered,
            () = gather => Ok(()),
        }
    }

    /// Says in the status that the log cannot be read.
    pub(in crate::trails) fn unreadable(&self) -> impl Fn(&trail_engine::Error) + Send + Sync + 'static {
        let (live, tally) = (self.live.clone(), self.tally.clone());
        move |error| {
            tally.failed();
            live.trouble(
                &format!("the log cannot be read, which is tried again: {error}"),
                now(),
                error.kind() == trail_engine::ErrorKind::Corrupt,
            );
        }
    }

    pub(in crate::trails) async fn progress(&self) -> Going<Progress> {
        self.ledger.progress(self.slot).await.ok_or(Stopped)
    }

    /// Reads the sequences of a batch that was begun again, and delivers it.
    async fn repeat(&self, pending: Pending, reader: Reader, published: watch::Receiver<Sequence>) -> Going<()> {
        let all = BatchLimits { events: usize::MAX, bytes: u64::MAX, delay: ATTEMPT_MAX };
        let after = Sequence(pending.first.saturating_sub(1));
        let mut gatherer = Gatherer::new(reader, all, published, after, Some(Sequence(pending.last))).telling(self.unreadable());
        let mut whole = Draft { first: Sequence(pending.first), last: Sequence(pending.last), ..Draft::default() };
        while let Some(draft) = gatherer.next().await {
            whole.bytes += draft.bytes;
            whole.lost += draft.lost;
            if let Some(event) = draft.events.first().filter(|_| whole.events.is_empty()) {
                whole.day = event.received_at.day();
            }
            whole.events.extend(draft.events);
        }
        if gatherer.covered() < Sequence(pending.last) {
            // The log closes: nothing is known of the rest.
            return Err(Stopped);
        }
        if whole.lost > 0 {
            self.lose_range(pending.first, pending.last, whole.lost).await?;
        }
        self.deliver(whole, pending.number, &pending.filter).await
    }

    async fn take(&self, draft: Draft, kept_at: &mut Instant, until: Option<Sequence>) -> Going<()> {
        if draft.lost > 0 {
            self.lose_range(draft.first.0, draft.last.0, draft.lost).await?;
        }
        if !draft.events.is_empty() {
            *kept_at = Instant::now();
            let number = self.progress().await?.number.saturating_add(1);
            return self.deliver(draft, number, &self.filter).await;
        }
        self.live.reached(draft.last);
        if kept_at.elapsed() >= MOVED || until.is_some_and(|until| draft.last >= until) {
            *kept_at = Instant::now();
            self.keep(|progress| progress.position = Some(draft.last.0)).await?;
        }
        Ok(())
    }

    /// Says and keeps that events of a range were not there any more.
    pub(in crate::trails) async fn lose_range(&self, first: u64, last: u64, lost: u64) -> Going<()> {
        self.tell_lost(first, last, lost);
        self.keep(|progress| progress.lost_sequences += lost).await
    }

    /// Says that events will not arrive; to keep how many they are is the caller's.
    pub(in crate::trails) fn tell_lost(&self, first: u64, last: u64, lost: u64) {
        tracing::error!(trail = %self.label, sink = self.kind, first, last, lost, "events were dropped or damaged before they were delivered");
        let message =
            format!("{lost} events between the sequences {first} and {last} were dropped or damaged before they could be delivered");
        self.live.trouble(&message, now(), true);
        self.tally.lost(lost);
    }

    /// Delivers what was gathered under a number, and keeps that it is there.
    async fn deliver(&self, draft: Draft, number: u64, filter: &str) -> Going<()> {
        let batch = Batch {
            trail: self.label.clone(),
            number,
            first: draft.first,
            last: draft.last,
            day: draft.day,
            events: draft.events,
            bytes: draft.bytes,
        };
        if batch.events.is_empty() {
            return self.keep(|progress| (progress.pending, progress.position) = (None, Some(batch.last.0))).await;
        }
        if self.sink.names_batches() {
            let pending = Pending { number, first: batch.first.0, last: batch.last.0, filter: filter.to_owned() };
            self.keep(|progress| progress.pending = Some(pending.clone())).await?;
        }
        if mutants::is("position_before_the_sink") {
            self.keep(|progress| progress.position = Some(batch.last.0)).await?;
        }
        let delivered = self.send(&batch).await?;
        let refused = delivered.refused.len() as u64;
        let events = (batch.events.len() as u64).saturating_sub(refused);
        self.bury(&batch, &delivered.refused).await?;
        self.keep(|progress| {
            progress.pending = None;
            progress.position = Some(batch.last.0);
            progress.number = if mutants::is("number_used_again") { progress.number } else { number };
            progress.day = Some(batch.day.0);
            progress.delivered_events += events;
            progress.delivered_objects += delivered.objects;
            progress.delivered_bytes += delivered.bytes;
            progress.dead_letters += refused;
            progress.last_delivery_at_ms = Some(now().as_millis());
            if let Some(state) = &delivered.state {
                progress.sink = Some(state.clone());
            }
        })
        .await?;
        self.tally.delivered(events, &delivered);
        self.live.reached(batch.last);
        Ok(())
    }

    /// Tries until it goes well, or for good not. An attempt that brings so many bytes has its time.
    pub(in crate::trails) async fn attempts<'s, T>(
        &'s self,
        bytes: u64,
        attempt: impl Fn() -> crate::trails::sink::seam::Work<'s, T>,
    ) -> Going<Result<T, Fault>>
    where
        T: 's,
    {
        let mut backoff = Backoff::default();
        let time_max = time_for(bytes);
        loop {
            let done = timeout(time_max, attempt()).await;
            let fault = match done.unwrap_or_else(|_| Err(Fault::later(format!("no answer within {} s", time_max.as_secs())))) {
                Ok(value) => {
                    self.live.went_well();
                    return Ok(Ok(value));
                }
                Err(fault) => fault,
            };
            self.tally.failed();
            if matches!(fault.kind, FaultKind::TooLarge | FaultKind::Refused) {
                return Ok(Err(fault));
            }
            let wait = backoff.next(fault.retry_after);
            tracing::warn!(trail = %self.label, sink = self.kind, wait_ms = wait.as_millis(), failures = backoff.failures(), "{fault}");
            self.live.failed(&fault, now(), backoff.failures(), wait);
            sleep(wait).await;
            self.fresh().await?;
        }
    }

    async fn bury(&self, batch: &Batch, refused: &[Refusal]) -> Going<()> {
        let Some(first) = refused.first().filter(|_| !mutants::is("refused_not_buried")) else { return Ok(()) };
        let (at, count) = (now(), refused.len());
        tracing::error!(trail = %self.label, sink = self.kind, count, reason = first.reason, "events were refused and are in the dead letters");
        self.live.trouble(&format!("{count} events were refused and are in the dead letters: {}", first.reason), at, true);
        let letter = |refusal: &Refusal| {
            let event = batch.events.get(refusal.index)?.clone();
            Some(Letter { event, sink: (self.kind, self.slot.sink), reason: refusal.reason.clone(), at_ms: at.as_millis() })
        };
        let letters: Vec<Letter> = refused.iter().filter_map(letter).collect();
        while let Err(error) = self.ledger.bury(letters.clone()).await {
            self.unkept(&error).await;
        }
        Ok(())
    }

    pub(in crate::trails) async fn upkeep(&self) -> Going<()> {
        let Ok(delivered) = self.attempts(0, || self.sink.upkeep(now())).await? else { return Ok(()) };
        if delivered == Delivered::default() {
            return Ok(());
        }
        self.keep(|progress| {
            progress.delivered_objects += delivered.objects;
            progress.delivered_bytes += delivered.bytes;
            if let Some(state) = &delivered.state {
                progress.sink = Some(state.clone());
            }
        })
        .await
    }

    /// Changes what is kept, again and again while the disk does not take it; ends when the trail is gone.
    pub(in crate::trails) async fn keep(&self, change: impl Fn(&mut Progress)) -> Going<()> {
        loop {
            match self.ledger.advance(self.slot, &change).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == trail_engine::ErrorKind::NotFound => return Err(Stopped),
                Err(error) => self.unkept(&error).await,
            }
        }
    }

    async fn unkept(&self, error: &trail_engine::Error) {
        tracing::error!(trail = %self.label, sink = self.kind, error = ?error, "what a trail has done cannot be kept");
        self.live.trouble(&format!("what was done cannot be kept: {error}"), now(), true);
        sleep(KEEP_PAUSE).await;
    }
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// How long an attempt may take that brings so many bytes.
fn time_for(bytes: u64) -> Duration {
    ATTEMPT_MAX.saturating_add(Duration::from_secs(bytes / BYTES_A_SECOND_MIN))
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "outage_tests.rs"]
mod outage_tests;
