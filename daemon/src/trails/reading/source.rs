//! [`Source`]: the log as trails read it, once for all that are at the same place.
//!
//! Problem: ten trails with different filters would read every event ten times. Mechanism: one task takes the requests of all workers.
//! Those that want the same place are answered by one reading, in which the filters of all workers that are near take part, also of those that have asked for nothing yet; the
//! last windows are kept, so that a worker that comes a little later finds its events there. A reading is bounded in events and bytes. Limits: workers that
//! are far apart read apart, two at a time; more than 64 filters at one place are read in turns; the filter of a worker that stands still takes part until the others are 20,000 sequences on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::id::Sequence;
use trail_engine::index::StoredEvent;
use trail_engine::limits::FILTERS_MAX;
use trail_engine::query::{FollowPage, Followed};

use crate::backend::Backend;
use crate::metrics::Metrics;

/// The most events and bytes of one reading.
const EVENTS_MAX: usize = 8_192;
const BYTES_MAX: u64 = 16 << 20;
/// How many windows are kept.
const WINDOWS_MAX: usize = 4;
/// Workers within so many sequences behind a reading take part in it.
const NEAR_SEQUENCES: u64 = 20_000;
/// How many readings run at the same time.
const READINGS_MAX: usize = 2;
/// How many requests may wait; each worker has one at most.
const REQUESTS_MAX: usize = 1_024;

/// What a worker gets.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Its events, in the order of their sequences.
    pub events: Vec<Arc<StoredEvent>>,
    /// Every event up to this sequence was looked at.
    pub position: Sequence,
    /// The oldest event that was retained when this was read: what was before it is lost to who has not read it.
    pub oldest: Sequence,
    /// How many events are damaged, whether the filter selects them or not.
    pub damaged: u64,
}

/// One event of a reading, with the filters that select it.
#[derive(Debug)]
struct Marked {
    event: Arc<StoredEvent>,
    filters: u64,
}

/// What one reading brought.
#[derive(Debug)]
struct Reading {
    after: Sequence,
    position: Sequence,
    filters: Vec<Arc<str>>,
    events: Vec<Marked>,
    oldest: Sequence,
    damaged: u64,
}

impl Reading {
    /// What it holds for a filter behind a sequence; `None` when it does not cover that.
    fn window(&self, filter: &str, after: Sequence) -> Option<Window> {
        let covers = self.after <= after && after < self.position;
        let bit = self.filters.iter().position(|known| &**known == filter).filter(|_| covers)?;
        let start = self.events.partition_point(|marked| marked.event.sequence <= after);
        let mine = self.events.iter().skip(start).filter(|marked| marked.filters >> bit & 1 == 1);
        // Who comes later was told what is damaged by the reading before.
        let damaged = if self.after == after { self.damaged } else { 0 };
        let events = mine.map(|marked| marked.event.clone()).collect();
        Some(Window { events, position: self.position, oldest: self.oldest, damaged })
    }
}

#[derive(Debug)]
struct Request {
    worker: u64,
    filter: Arc<str>,
    after: Sequence,
    answer: oneshot::Sender<Result<Window>>,
}

/// A reading that goes on, and who waits for it beside those that began it.
#[derive(Debug)]
struct Running {
    after: Sequence,
    filters: Vec<Arc<str>>,
    waiting: Vec<Request>,
}

/// What the task and its readings share.
#[derive(Debug, Default)]
struct Shared {
    windows: VecDeque<Arc<Reading>>,
    running: Vec<Running>,
    /// Where each worker was last, and what it wants.
    workers: HashMap<u64, (Arc<str>, Sequence)>,
}

/// The log as trails read it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Source {
    requests: mpsc::Sender<Request>,
    shared: Arc<Mutex<Shared>>,
}

/// A worker's place at the source.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    worker: u64,
    filter: Arc<str>,
}

impl Source {
    /// The source over a log; its task ends when the last clone and reader are gone. Must be called in a runtime.
    #[must_use]
    pub fn new(backend: Backend, metrics: Metrics) -> Source {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let shared = Arc::new(Mutex::new(Shared::default()));
        tokio::spawn(serve(Log { backend, metrics }, receiver, shared.clone()));
        Source { requests, shared }
    }

    /// A place for a worker, which must have a number of its own and will go on behind a sequence. From now on readings there are for it too.
    #[must_use]
    pub fn reader(&self, worker: u64, filter: Arc<str>, after: Sequence) -> Reader {
        lock(&self.shared).workers.insert(worker, (filter.clone(), after));
        Reader { source: self.clone(), worker, filter }
    }
}

impl Reader {
    /// The matching events behind a sequence, as many as one reading brings; may be empty while the position moves on.
    ///
    /// # Errors
    /// As [`trail_engine::AuditLog::follow`].
    pub async fn next(&self, after: Sequence) -> Result<Window> {
        let (answer, answered) = oneshot::channel();
        let request = Request { worker: self.worker, filter: self.filter.clone(), after, answer };
        let closed = || Error::new(ErrorKind::Closed, "nobody reads the log for the trails any more");
        self.source.requests.send(request).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.source.shared).workers.remove(&self.worker);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is read, and who counts it.
#[derive(Debug, Clone)]
struct Log {
    backend: Backend,
    metrics: Metrics,
}

async fn serve(log: Log, mut requests: mpsc::Receiver<Request>, shared: Arc<Mutex<Shared>>) {
    let readings = Arc::new(Semaphore::new(READINGS_MAX));
    while let Some(request) = requests.recv().await {
        let Some(request) = lock(&shared).take_in(request) else { continue };
        let Ok(turn) = readings.clone().acquire_owned().await else { return };
        // It may have been read while this one waited.
        let Some(request) = lock(&shared).take_in(request) else { continue };
        let (after, filters) = lock(&shared).begin(request);
        let (log, shared) = (log.clone(), shared.clone());
        tokio::spawn(async move {
            let read = read(&log.backend, after, &filters).await;
            drop(turn);
            if let Ok((page, _)) = &read {
                log.metrics.read_for_trails(page.events.len());
            }
            let finished = lock(&shared).finish(after, filters, read);
            for (request, answer) in finished {
                // A worker that was stopped no longer waits.
                drop(request.answer.send(answer));
            }
        });
    }
}

impl Shared {
    /// Answers a request from the windows, or lets it wait for a reading that goes on; gives it back when neither helps. One of a worker that has gone is forgotten.
    fn take_in(&mut self, request: Request) -> Option<Request> {
        let worker = self.workers.get_mut(&request.worker).filter(|_| !request.answer.is_closed())?;
        *worker = (request.filter.clone(), request.after);
        if let Some(window) = self.windows.iter().rev().find_map(|reading| reading.window(&request.filter, request.after)) {
            drop(request.answer.send(Ok(window)));
            return None;
        }
        let joins = |running: &&mut Running| running.after == request.after && running.filters.contains(&request.filter);
        match self.running.iter_mut().find(joins) {
            Some(running) => running.waiting.push(request),
            None => return Some(request),
        }
        None
    }

    /// Notes that a reading begins, with the filters of all workers that are near.
    fn begin(&mut self, request: Request) -> (Sequence, Vec<Arc<str>>) {
        let after = request.after;
        let mut filters = vec![request.filter.clone()];
        for (filter, position) in self.workers.values() {
            let near = position.0 <= after.0 && after.0 - position.0 <= NEAR_SEQUENCES;
            if near && filters.len() < FILTERS_MAX && !filters.contains(filter) {
                filters.push(filter.clone());
            }
        }
        self.running.push(Running { after, filters: filters.clone(), waiting: vec![request] });
        (after, filters)
    }

    /// Keeps what a reading brought, and says what those that waited for it get.
    fn finish(&mut self, after: Sequence, filters: Vec<Arc<str>>, read: Result<Page>) -> Vec<(Request, Result<Window>)> {
        let at = self.running.iter().position(|running| running.after == after && running.filters == filters);
        let waiting = at.map(|at| self.running.swap_remove(at).waiting).unwrap_or_default();
        let reading = match read {
            Ok(page) => Arc::new(Reading::of(after, filters, page)),
            Err(error) => {
                let told = |request| (request, Err(Error::new(error.kind(), error.message().to_owned())));
                return waiting.into_iter().map(told).collect();
            }
        };
        if reading.position > after {
            self.windows.truncate(WINDOWS_MAX - 1);
            self.windows.push_front(reading.clone());
        }
        // At the end of the log nothing is covered, and that is the answer.
        let end = || Window { position: reading.position, ..Window::default() };
        let answer = |request: Request| {
            let window = reading.window(&request.filter, request.after).unwrap_or_else(end);
            (request, Ok(window))
        };
        waiting.into_iter().map(answer).collect()
    }
}

impl Reading {
    fn of(after: Sequence, filters: Vec<Arc<str>>, (page, oldest): Page) -> Reading {
        let damaged = page.incomplete.iter().map(|gap| gap.events).sum();
        let marked = |followed: Followed| Marked { event: Arc::new(followed.event), filters: followed.filters };
        Reading { after, position: page.position, filters, oldest, damaged, events: page.events.into_iter().map(marked).collect() }
    }
}

/// What was read, and the oldest event that was retained then.
type Page = (FollowPage, Sequence);

/// Reads what is behind a sequence; fewer events at once when they are large.
async fn read(backend: &Backend, after: Sequence, filters: &[Arc<str>]) -> Result<Page> {
    let oldest = backend.oldest_sequence();
    let mut events_max = EVENTS_MAX;
    loop {
        match backend.follow(filters.to_vec(), after, events_max, BYTES_MAX).await {
            Err(error) if error.kind() == ErrorKind::Limit && events_max > 1 => events_max /= 16,
            Err(error) => return Err(error),
            Ok(page) => return Ok((page, oldest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that is still on its way when its worker goes must not bring it back: its filter would be read for ever.
    #[test]
    fn who_has_gone_is_not_read_for() {
        let filter: Arc<str> = "user:a".into();
        let asks = |worker| {
            let (answer, answered) = oneshot::channel();
            (Request { worker, filter: filter.clone(), after: Sequence(7), answer }, answered)
        };
        let mut shared = Shared::default();
        let (request, _waits) = asks(1);
        assert!(shared.take_in(request).is_none() && shared.workers.is_empty(), "a worker without a place");
        shared.workers.insert(2, (filter.clone(), Sequence(0)));
        let (request, gone) = asks(2);
        drop(gone);
        assert!(shared.take_in(request).is_none(), "nobody waits for the answer");
        assert_eq!(shared.workers[&2].1, Sequence(0));
        let (request, _waits) = asks(2);
        assert!(shared.take_in(request).is_some());
        assert_eq!(shared.workers[&2].1, Sequence(7));
    }
}
