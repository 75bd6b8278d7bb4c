//! A sink that is away for an hour, or never answers, under a clock that leaps over every wait.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{pause, resume};
use trail_engine::id::Sequence;
use trail_engine::storage::FileStorage;

use super::tests::{EVENTS, FILTER, Uncounted, log, unwatched};
use super::*;
use crate::backend::Backend;
use crate::metrics::Metrics;
use crate::trails::keeping::kept::Kept;
use crate::trails::keeping::store::Store;
use crate::trails::reading::source::Source;
use crate::trails::sink::seam::Work;

/// What a sink was asked, and took.
#[derive(Debug, Default)]
struct Seen {
    /// When it was there again: so long after the first attempt.
    until: Option<Instant>,
    attempts: Vec<Instant>,
    taken: Vec<(Instant, Vec<u64>)>,
}

/// A sink that is away for so long, from the first attempt on: before that the clock leaps over what the reading of the log takes.
#[derive(Debug)]
struct Away {
    time: Duration,
    /// Whether it says so, or never answers.
    says: bool,
    seen: Arc<Mutex<Seen>>,
}

impl Sink for Away {
    fn names_batches(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let now = Instant::now();
            let until = {
                let mut seen = self.seen.lock().unwrap();
                seen.attempts.push(now);
                *seen.until.get_or_insert(now + self.time)
            };
            if now < until {
                return if self.says { Err(Fault::later("away")) } else { std::future::pending().await };
            }
            let taken = batch.events.iter().map(|event| event.sequence.0).collect();
            self.seen.lock().unwrap().taken.push((now, taken));
            Ok(Delivered { objects: 1, ..Delivered::default() })
        })
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A worker at the sequence 0 of a log, in batches of 20.
fn worker(backend: &Backend, directory: &std::path::Path, sink: Away, stop: watch::Receiver<bool>) -> Worker {
    let store = Store::new(Arc::new(FileStorage::open(&directory.join(format!("away-{}", sink.says))).unwrap()));
    let mut first = Kept::fresh(json!({}), 1, 0);
    first.sinks[0].position = Some(0);
    Worker {
        ledger: Arc::new(Ledger::new("away".into(), store, backend.hands().clone(), first)),
        slot: Slot { backfill: None, sink: 0 },
        label: "away".into(),
        filter: FILTER.into(),
        kind: "away",
        sink: Box::new(sink),
        limits: BatchLimits { events: 20, bytes: 1 << 20, delay: Duration::from_millis(1) },
        live: Arc::default(),
        tally: Arc::new(Uncounted),
        stop,
        strikes: AtomicUsize::new(0),
        watched: unwatched(backend),
        stale: AtomicBool::new(false),
    }
}

/// Delivers the whole log to a sink that is away for so long; what it saw.
async fn delivered(time: Duration, says: bool) -> Seen {
    let directory = tempfile::tempdir().unwrap();
    let backend = log(directory.path()).await;
    let (_stop, stopping) = watch::channel(false);
    let seen = Arc::<Mutex<Seen>>::default();
    pause();
    let worker = worker(&backend, directory.path(), Away { time, says, seen: seen.clone() }, stopping);
    let source = Source::new(backend.clone(), Metrics::new());
    worker.run(|filter, after| source.reader(1, filter.into(), after), backend.published(), Some(Sequence(EVENTS))).await;
    resume();
    let progress = worker.progress().await.unwrap();
    assert_eq!((progress.position, progress.pending, progress.lost_sequences), (Some(EVENTS), None, 0));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let taken: Vec<u64> = seen.taken.iter().flat_map(|(_, taken)| taken).copied().collect();
    assert_eq!(taken, (1..=EVENTS).filter(|i| i % 3 == 0).collect::<Vec<_>>(), "each once, and in order");
    seen
}

#[tokio::test]
async fn after_an_outage_of_an_hour_everything_arrives_once_and_soon() {
    let seen = delivered(Duration::from_secs(3_600), true).await;
    let until = seen.until.unwrap();
    let during: Vec<Instant> = seen.attempts.iter().copied().filter(|at| *at < until).collect();
    // Waits grow to a minute and no further, so that there are sixty attempts at least, and with the jitter not many more than twice as many.
    assert!((60..400).contains(&during.len()), "{} attempts in an hour", during.len());
    let longest = during.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= Duration::from_secs(61), "{longest:?}");
    let first = seen.taken[0].0;
    assert!(first - until <= Duration::from_secs(61), "the first batch came {:?} after the sink was there again", first - until);
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_with_the_time_of_an_attempt() {
    let seen = delivered(Duration::from_secs(1_000), false).await;
    let hung = seen.attempts.iter().filter(|at| Some(**at) < seen.until).count();
    assert!((2..=4).contains(&hung), "{hung} attempts of {ATTEMPT_MAX:?} in 1,000 s");
    let (last, next) = (seen.attempts[hung - 1], seen.attempts[hung]);
    assert!(next - last >= ATTEMPT_MAX && next - last <= time_for(1 << 20) + Duration::from_secs(60), "{:?}", next - last);
}
