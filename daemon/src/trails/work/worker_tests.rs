//! A worker that is dropped at any moment, against a sink that fails in every way: what arrived is what matches, in order, once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use trail_engine::id::{Day, Sequence};
use trail_engine::storage::FileStorage;

use super::*;
use crate::backend::Backend;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::trails::keeping::kept::Kept;
use crate::trails::keeping::store::Store;
use crate::trails::reading::source::Source;
use crate::trails::sink::seam::{Mark, Origin, Work, origin_of};
use crate::trails::work::sending;

pub(super) const EVENTS: u64 = 600;
/// Every third event matches.
pub(super) const FILTER: &str = "about.kind:wanted";

/// A small generator (xorshift, Marsaglia 2003): the seed is all there is to replay.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    /// Seeds that are near each other give numbers that are not (the finisher of splitmix64).
    fn of(seed: u64) -> Random {
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Random((mixed ^ mixed >> 31) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a place holds: batches by their names, as an object store would, each with the hash of its first event.
#[derive(Debug, Default)]
struct Place {
    objects: BTreeMap<(u64, u64, u64), (Vec<u64>, String)>,
    /// How often a name was written with other events than before.
    changed: u64,
    refused: Vec<u64>,
}

/// A sink that keeps what it gets and fails as it likes: before it took the batch, after it, or not at all.
#[derive(Debug)]
struct Moody {
    place: Arc<Mutex<Place>>,
    random: Mutex<Random>,
    named: bool,
    /// Refuses a batch whole when one of its events is bad, and does not say which.
    whole: bool,
}

fn is_bad(sequence: u64) -> bool {
    sequence.is_multiple_of(97)
}

impl Moody {
    fn draw(&self, bound: u64) -> u64 {
        self.random.lock().unwrap().below(bound)
    }

    fn take(&self, batch: &Batch) -> Delivered {
        let refused: Vec<Refusal> = (0..batch.events.len())
            .filter(|i| is_bad(batch.events[*i].sequence.0))
            .map(|index| Refusal { index, reason: "bad".into() })
            .collect();
        let taken: Vec<u64> = batch.events.iter().map(|event| event.sequence.0).filter(|sequence| !is_bad(*sequence)).collect();
        let mut place = self.place.lock().unwrap();
        place.refused.extend(refused.iter().map(|refusal| batch.events[refusal.index].sequence.0));
        let taken = (taken, origin_of(&batch.events[0].text));
        if let Some(before) = place.objects.insert((batch.number, batch.first.0, batch.last.0), taken.clone()) {
            place.changed += u64::from(before != taken);
        }
        Delivered { objects: 1, bytes: batch.bytes, refused, state: None }
    }
}

impl Sink for Moody {
    fn names_batches(&self) -> bool {
        self.named
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match self.draw(8) {
                0 => Err(Fault::later("away")),
                1 => Err(Fault::setup("no such place").after(Some(Duration::from_millis(1)))),
                2 if !self.whole => {
                    self.take(batch);
                    Err(Fault::later("the answer was lost"))
                }
                3 if batch.events.len() > 1 && !self.named => Err(Fault::new(FaultKind::TooLarge, "too large")),
                _ if self.whole && batch.events.iter().any(|event| is_bad(event.sequence.0)) => {
                    if batch.events.len() == 1 {
                        self.place.lock().unwrap().refused.push(batch.events[0].sequence.0);
                    }
                    Err(Fault::refused("something in it is bad"))
                }
                _ => Ok(self.take(batch)),
            }
        })
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn mark<'a>(&'a self, _trail: &'a str, _since: Option<Day>) -> Work<'a, Option<Mark>> {
        Box::pin(async move {
            let place = self.place.lock().unwrap();
            Ok(place.objects.last_key_value().map(|((number, first, last), (_, hash))| {
                let origin = Some(Origin { first: Sequence(*first), hash: hash.clone() });
                Mark { number: *number, last: Sequence(*last), origin }
            }))
        })
    }
}

#[derive(Debug)]
pub(super) struct Uncounted;

impl Tally for Uncounted {
    fn delivered(&self, _: u64, _: &Delivered) {}
    fn failed(&self) {}
    fn lost(&self, _: u64) {}
}

/// A sink that is made of no file.
pub(super) fn unwatched(backend: &Backend) -> Watched {
    Watched::of(&serde_json::Map::new(), backend.hands())
}

pub(super) async fn log(directory: &std::path::Path) -> Backend {
    let config = Config { data_dir: directory.join("data"), ..Config::default() };
    let options = config.engine_options().unwrap();
    let backend = Backend::open(config.data_dir.clone(), options, &config).await.unwrap();
    let mut body = Vec::new();
    let mut spans = Vec::new();
    for i in 1..=EVENTS {
        let start = body.len();
        let kind = if i % 3 == 0 { "wanted" } else { "other" };
        body.extend_from_slice(format!(r#"{{"id":"{i}","about":{{"kind":"{kind}"}},"n":{i}}}"#).as_bytes());
        spans.push(start..body.len());
    }
    assert_eq!(backend.append(body.into(), spans).await.unwrap().receipt.accepted, EVENTS);
    backend
}

/// Runs a worker again and again, each time for a moment only, until it has everything; sets the trail's file back now and then, to how it was at some start before.
async fn live(backend: &Backend, directory: &std::path::Path, seed: u64, (named, whole): (bool, bool)) -> (Place, Progress, usize) {
    let mut random = Random::of(seed);
    let place = Arc::new(Mutex::new(Place::default()));
    let storage = Arc::new(FileStorage::open(&directory.join(format!("trails-{named}-{whole}-{seed}"))).unwrap());
    let store = Store::new(storage);
    let source = Source::new(backend.clone(), Metrics::new());
    let limits = BatchLimits { events: 1 + random.below(40) as usize, bytes: 1 << 20, delay: Duration::from_millis(random.below(4)) };
    let workers = AtomicU64::new(0);
    let slot = Slot { backfill: None, sink: 0 };
    let mut first = Kept::fresh(json!({}), 1, 0);
    first.sinks[0].position = Some(0);
    store.save("t", &first).unwrap();
    let mut copies = Vec::new();
    for lives in 1.. {
        let kept = store.load().unwrap().trails.remove(0).1;
        copies.push(kept.clone());
        let ledger = Arc::new(Ledger::new("t".into(), store.clone(), backend.hands().clone(), kept));
        let moods = Mutex::new(Random::of(seed.wrapping_add(lives as u64)));
        let sink = Box::new(Moody { place: place.clone(), random: moods, named, whole });
        let (_stop, stopping) = watch::channel(false);
        let (live, tally) = (Arc::new(Live::default()), Arc::new(Uncounted));
        let worker = Worker {
            ledger: ledger.clone(),
            slot,
            label: "t".into(),
            filter: FILTER.into(),
            kind: "moody",
            sink,
            limits,
            live,
            tally,
            stop: stopping,
            strikes: AtomicUsize::new(0),
            watched: unwatched(backend),
            stale: AtomicBool::new(false),
        };
        let reader = |filter: &str, after: Sequence| source.reader(workers.fetch_add(1, Ordering::Relaxed), filter.into(), after);
        // Longer with each life, so that a slow machine gets there too.
        let moment = Duration::from_micros(random.below(20_000 + lives as u64 * 1_000));
        // Dropped wherever it is.
        drop(timeout(moment, worker.run(reader, backend.published(), Some(Sequence(EVENTS)))).await);
        let progress = ledger.progress(slot).await.unwrap();
        if progress.position == Some(EVENTS) && progress.pending.is_none() {
            let place = std::mem::take(&mut *place.lock().unwrap());
            return (place, progress, lives);
        }
        if named && random.below(20) == 0 {
            let copy = random.below(copies.len() as u64) as usize;
            store.save("t", &copies[copy]).unwrap();
        }
    }
    unreachable!("the lives never end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_all_that_matches_arrives_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let backend = log(directory.path()).await;
    let wanted: Vec<u64> = (1..=EVENTS).filter(|i| i % 3 == 0 && i % 97 != 0).collect();
    let bad: Vec<u64> = (1..=EVENTS).filter(|i| i % 3 == 0 && i % 97 == 0).collect();
    let (mut lives, mut repeats) = (0, 0);
    for seed in 1..=24_u64 {
        let (named, whole) = (seed % 2 == 0, seed % 4 == 1);
        let (place, progress, lived) = live(&backend, directory.path(), seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), (named, whole)).await;
        lives += lived;
        let mut all: Vec<u64> = place.objects.values().flat_map(|(taken, _)| taken).copied().collect();
        assert_eq!(place.changed, 0, "seed {seed}: a name was written with other events");
        if named {
            let numbers: Vec<u64> = place.objects.keys().map(|(number, ..)| *number).collect();
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "seed {seed}: the numbers are not dense");
            assert_eq!(all, wanted, "seed {seed}");
        } else {
            repeats += all.len().saturating_sub(wanted.len());
            all.sort_unstable();
            all.dedup();
            assert_eq!(all, wanted, "seed {seed}");
        }
        let mut refused = place.refused;
        refused.sort_unstable();
        refused.dedup();
        assert_eq!(refused, bad, "seed {seed}");
        assert!(progress.dead_letters >= 1 || named, "seed {seed}");
    }
    println!("24 trails, {lives} lives, {repeats} events twice in sinks without names");
    assert!(lives > 40, "{lives} lives: nothing was interrupted");
}

/// A sink that takes nothing at all until it is mended, and knows what it was asked.
#[derive(Debug)]
struct Closed {
    place: Arc<Mutex<Vec<u64>>>,
    mended: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Sink for Closed {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if !self.mended.load(Ordering::SeqCst) {
                return Err(Fault::refused("there is nothing here"));
            }
            self.place.lock().unwrap().extend(batch.events.iter().map(|event| event.sequence.0));
            Ok(Delivered { objects: 1, ..Delivered::default() })
        })
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// The events that a trail has given up, and those that arrived, in batches of so many, at a sink that refuses everything for a while.
async fn at_a_closed_door(backend: &Backend, directory: &std::path::Path, events: usize) -> (Vec<u64>, Vec<u64>, Progress) {
    let store = Store::new(Arc::new(FileStorage::open(&directory.join(format!("closed-{events}"))).unwrap()));
    let mut first = Kept::fresh(json!({}), 1, 0);
    first.sinks[0].position = Some(0);
    let ledger = Arc::new(Ledger::new("closed".into(), store, backend.hands().clone(), first));
    let (place, mended, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sink = Box::new(Closed { place: place.clone(), mended: mended.clone(), asked: asked.clone() });
    let (_stop, stop) = watch::channel(false);
    let slot = Slot { backfill: None, sink: 0 };
    let limits = BatchLimits { events, bytes: 1 << 20, delay: Duration::from_millis(1) };
    let live = Arc::new(Live::default());
    let worker = Worker {
        ledger: ledger.clone(),
        slot,
        label: "closed".into(),
        filter: FILTER.into(),
        kind: "closed",
        sink,
        limits,
        live: live.clone(),
        tally: Arc::new(Uncounted),
        stop,
        strikes: AtomicUsize::new(0),
        watched: unwatched(backend),
        stale: AtomicBool::new(false),
    };
    let source = Source::new(backend.clone(), Metrics::new());
    let reader = move |filter: &str, after: Sequence| source.reader(1, filter.into(), after);
    let published = backend.published();
    let work = tokio::spawn(async move { worker.run(reader, published, Some(Sequence(EVENTS))).await });
    while live.now().failures < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The round that goes on meanwhile is not counted yet.
    let asked = asked.load(Ordering::SeqCst);
    let now = live.now();
    let rounds = u64::from(now.failures) + 1;
    let trouble = now.last_trouble.unwrap();
    assert!(
        trouble.needs_operator && trouble.message.contains("none was taken") && trouble.message.contains("there is nothing here"),
        "{trouble:?}"
    );
    // A few requests for each round, not two for each event.
    assert!(asked < 60 * rounds, "{events}: {asked} requests for {rounds} rounds");
    mended.store(true, Ordering::SeqCst);
    timeout(Duration::from_secs(60), work).await.unwrap().unwrap();
    let dead = std::fs::read_to_string(directory.join(format!("closed-{events}/closed.dead"))).unwrap_or_default();
    let dead = dead.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_u64().unwrap()).collect();
    let arrived = std::mem::take(&mut *place.lock().unwrap());
    (dead, arrived, ledger.progress(slot).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_refuses_everything_does_not_drain_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let backend = log(directory.path()).await;
    let wanted: Vec<u64> = (1..=EVENTS).filter(|i| i % 3 == 0).collect();
    for (events, given_up) in [(200, 0), (40, 0), (9, 0), (5, 5), (1, sending::SUSPECTS_MAX)] {
        let (dead, arrived, progress) = at_a_closed_door(&backend, directory.path(), events).await;
        assert_eq!((dead.len(), progress.dead_letters), (given_up, given_up as u64), "batches of {events}: {dead:?}");
        let mut all = [dead, arrived].concat();
        all.sort_unstable();
        assert_eq!(all, wanted, "batches of {events}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_read_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let backend = log(directory.path()).await;
    let store = Store::new(Arc::new(FileStorage::open(&directory.path().join("unread")).unwrap()));
    let mut first = Kept::fresh(json!({}), 1, 0);
    first.sinks[0].position = Some(0);
    let (_stop, stop) = watch::channel(false);
    let live = Arc::new(Live::default());
    let worker = Worker {
        ledger: Arc::new(Ledger::new("unread".into(), store, backend.hands().clone(), first)),
        slot: Slot { backfill: None, sink: 0 },
        label: "unread".into(),
        filter: "no.such(".into(),
        kind: "closed",
        sink: Box::new(Closed { place: Arc::default(), mended: Arc::default(), asked: Arc::default() }),
        limits: BatchLimits { events: 10, bytes: 1 << 20, delay: Duration::from_millis(1) },
        live: live.clone(),
        tally: Arc::new(Uncounted),
        stop,
        strikes: AtomicUsize::new(0),
        watched: unwatched(&backend),
        stale: AtomicBool::new(false),
    };
    let source = Source::new(backend.clone(), Metrics::new());
    let reader = move |filter: &str, after: Sequence| source.reader(1, filter.into(), after);
    let published = backend.published();
    let work = tokio::spawn(async move { worker.run(reader, published, None).await });
    while live.now().last_trouble.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let trouble = live.now().last_trouble.unwrap();
    assert!(trouble.message.starts_with("the log cannot be read, which is tried again: "), "{trouble:?}");
    work.abort();
}

#[test]
fn what_is_large_has_the_time_that_a_slow_line_takes() {
    assert_eq!(time_for(0), ATTEMPT_MAX);
    assert!(time_for(1 << 30) > Duration::from_secs(4 * 3_600) && time_for(u64::MAX) > time_for(1 << 40));
}
