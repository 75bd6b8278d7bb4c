//! Interleavings: the real log on a simulated disk, its threads and locks under a scheduler that chooses who goes on at every step.
//!
//! `cargo test -p trail-engine --features models --test models`. Each test is run through `TRAIL_SCHEDULES` schedules (4,000 where nothing else is said; the gate
//! says 200,000, a million together), half drawn at random, half by few changes of priority, which finds rarer orders. A schedule costs 0.3 ms: heads and
//! journals are tiny, and of what a log makes when it is opened nothing is large. A failure prints the schedule; a wait that nobody ends is a deadlock. No wait has an end in time here (see `engine/src/sync.rs`), so nothing may depend on being looked at again a second later.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner, thread};
use trail_engine::budget::Cancel;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::event::DimensionSchema;
use trail_engine::id::Sequence;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Order, PageRequest, Selection};
use trail_engine::storage::{File, Storage};
use trail_engine::{AuditLog, ErrorKind, Options, Receipt, Result, View};
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::{Disk, Fill, cut};

/// A disk at each of whose calls another thread may go on.
#[derive(Debug, Clone)]
struct Yielding(Disk);

#[derive(Debug)]
struct YieldingFile(Arc<dyn File>);

impl Storage for Yielding {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        thread::yield_now();
        Ok(Arc::new(YieldingFile(self.0.create(name)?)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(YieldingFile(self.0.open(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        thread::yield_now();
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        thread::yield_now();
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        thread::yield_now();
        self.0.sync_directory()
    }
}

impl File for YieldingFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        thread::yield_now();
        self.0.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        thread::yield_now();
        self.0.sync()
    }

    fn view(&self) -> io::Result<View> {
        thread::yield_now();
        self.0.view()
    }
}

fn options() -> Options {
    let schema = DimensionSchema::default();
    // Small, because a log is made for every schedule.
    Options { schema, journal_bytes: 1 << 10, head_bytes_max: 64 << 10, merge_cpu_percent: 100, retention: DAY * 2, ..Options::default() }
}

fn open(disk: &Disk, clock: &Arc<Hands>) -> Arc<AuditLog> {
    Arc::new(AuditLog::open_storage(Arc::new(Yielding(disk.clone())), options(), clock.clone()).unwrap())
}

fn event(writer: u64, number: u64) -> String {
    format!(r#"{{"writer":{writer},"number":{number}}}"#)
}

fn append(log: &AuditLog, writer: u64, number: u64) -> Result<Receipt> {
    let text = event(writer, number);
    let (batch, rejected) = log.prepare(&mut std::iter::once(text.as_bytes())).unwrap();
    assert!(rejected.is_empty());
    log.append(batch)
}

fn events(log: &AuditLog) -> Vec<StoredEvent> {
    let selection = Selection { q: String::new(), from: Some("2020-01-01T00:00:00Z".into()), to: Some("2030-01-01T00:00:00Z".into()) };
    let page = PageRequest { order: Order::Ascending, limit: 1_000, ..PageRequest::default() };
    let page = log.search(&selection, &page, &Cancel::default()).unwrap();
    assert!(page.incomplete.is_empty(), "{:?}", page.incomplete);
    page.events
}

/// What a log is made of when the power goes now and nothing that is not synced survives.
fn after_a_power_cut(disk: &Disk) -> Vec<StoredEvent> {
    let left = Disk::holding(cut::crash(&disk.medium(), &mut |_| false, cut::TEARS[0], Fill::Zeros));
    let log = AuditLog::open_storage(Arc::new(left), Options { read_only: true, ..options() }, Hands::at(START)).unwrap();
    assert_eq!(log.health().problems, Vec::<String>::new());
    events(&log)
}

fn has(events: &[StoredEvent], receipt: &Receipt, writer: u64, number: u64) -> bool {
    events.iter().any(|e| Some(e.sequence) == receipt.first_sequence && e.text == event(writer, number).as_bytes())
}

/// How far a model is, said once a minute.
struct Progress {
    schedules: usize,
    begun: AtomicUsize,
    clock: SystemClock,
    said: AtomicU64,
}

impl Progress {
    fn of(schedules: usize) -> Progress {
        Progress { schedules, begun: AtomicUsize::new(0), clock: SystemClock::new(), said: AtomicU64::new(0) }
    }

    /// One more schedule begins.
    fn step(&self) {
        let (before, took) = (self.begun.fetch_add(1, Ordering::Relaxed), self.clock.elapsed().as_secs());
        if took < self.said.load(Ordering::Relaxed) + 60 {
            return;
        }
        self.said.store(took, Ordering::Relaxed);
        let (name, left) = (std::thread::current().name().unwrap_or_default().to_owned(), self.schedules.saturating_sub(before));
        println!(
            "{name}: {before} of {} interleavings after {took} s, about {} s left",
            self.schedules,
            left as u64 * took / before as u64
        );
    }
}

fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = std::env::var("TRAIL_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000);
    let progress = Arc::new(Progress::of(schedules));
    let test = move || {
        progress.step();
        test();
    };
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = 1 << 20;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        Runner::new(scheduler, config).run(test.clone())
    };
    let ran = run(Box::new(RandomScheduler::new(schedules - schedules / 2))) + run(Box::new(PctScheduler::new(3, schedules / 2)));
    assert_eq!(ran, schedules);
    println!("{ran} interleavings of {}", std::thread::current().name().unwrap_or_default());
}

/// Group commit: a receipt means that the event is durable at its sequence and seen, whoever else appends meanwhile.
#[test]
fn a_receipt_means_durable_and_seen() {
    explore(|| {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, &clock);
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || {
                    for number in 0..2 {
                        let receipt = append(&log, writer, number).unwrap();
                        assert!(has(&after_a_power_cut(&disk), &receipt, writer, number), "acknowledged and not durable");
                        assert!(has(&events(&log), &receipt, writer, number), "acknowledged and not seen");
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let sequences: Vec<u64> = events(&log).iter().map(|e| e.sequence.0).collect();
        assert_eq!(sequences, (1..=6).collect::<Vec<_>>());
        log.close().unwrap();
    });
}

/// Flushing and merging beside appends and a reader: nothing is missing, nothing comes twice, at any moment.
#[test]
fn a_flush_beside_appends_hides_nothing() {
    explore(|| {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, &clock);
        append(&log, 0, 0).unwrap();
        let flusher = log.clone();
        let flusher = thread::spawn(move || (0..2).for_each(|_| flusher.flush().unwrap()));
        let writer = log.clone();
        let writer = thread::spawn(move || (1..4).for_each(|number| _ = append(&writer, 0, number).unwrap()));
        let mut before = 1;
        for _ in 0..3 {
            let seen = events(&log);
            let sequences: Vec<u64> = seen.iter().map(|e| e.sequence.0).collect();
            assert!(seen.len() >= before, "{} events after {before}", seen.len());
            assert_eq!(sequences, (1..=seen.len() as u64).collect::<Vec<_>>());
            before = seen.len();
        }
        flusher.join().unwrap();
        writer.join().unwrap();
        assert_eq!((events(&log).len(), after_a_power_cut(&disk).len()), (4, 4));
        log.close().unwrap();
    });
}

/// A day that is over is merged and sealed beside appends and somebody who follows the log: who follows gets every event once and in order, and what
/// is merged is neither missing nor doubled at any moment.
#[test]
fn a_merge_beside_appends_keeps_who_follows_in_order() {
    explore(|| {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, &clock);
        for number in 0..2 {
            append(&log, 0, number).unwrap();
            log.flush().unwrap();
        }
        // Upkeep and merging look at the clock when the first event of the next day comes, and have two segments to make one of.
        clock.pass(DAY);
        let writer = log.clone();
        let writer = thread::spawn(move || (0..2).for_each(|number| _ = append(&writer, 1, number).unwrap()));
        let mut followed: Vec<StoredEvent> = Vec::new();
        let mut after = Sequence(0);
        for _ in 0..2 {
            after = follow(&log, after, &mut followed);
        }
        writer.join().unwrap();
        log.look_at_the_clock();
        // What there is to merge and to seal is done then; there is more to follow meanwhile.
        while !log.is_at_rest() {
            thread::yield_now();
        }
        follow(&log, after, &mut followed);
        assert!(followed.iter().map(|e| e.sequence.0).eq(1..=4), "{followed:?}");
        let texts = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(writer, number)| event(writer, number));
        assert!(followed.iter().map(|e| e.text.as_slice()).eq(texts.iter().map(String::as_bytes)), "{followed:?}");
        assert_eq!(log.stats().compacted_segments, 2, "the day that was over was not merged");
        assert_eq!(log.segments().iter().map(|segment| (segment.events, segment.sealed)).collect::<Vec<_>>(), [(2, true)]);
        assert_eq!((events(&log), after_a_power_cut(&disk)), (followed.clone(), followed));
        log.close().unwrap();
    });
}

/// Follows the log once; returns where to go on.
fn follow(log: &AuditLog, after: Sequence, followed: &mut Vec<StoredEvent>) -> Sequence {
    let page = log.tail("*", after, 100, &Cancel::default()).unwrap();
    assert!(page.incomplete.is_empty(), "{:?}", page.incomplete);
    followed.extend(page.events);
    page.position
}

/// Days are dropped beside a reader and a writer: a reader sees a day whole or not at all, and never an error.
#[test]
fn a_day_that_is_dropped_goes_whole() {
    explore(|| {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, &clock);
        (0..3).for_each(|number| _ = append(&log, 0, number).unwrap());
        log.flush().unwrap();
        clock.pass(DAY * 4);
        let writer = log.clone();
        // The next event is of another day; what happens with it wakes the upkeep.
        let writer = thread::spawn(move || {
            append(&writer, 1, 0).unwrap();
            writer.flush().unwrap();
        });
        for _ in 0..3 {
            let seen: BTreeSet<u64> = events(&log).iter().map(|e| e.sequence.0).filter(|sequence| *sequence <= 3).collect();
            assert!(seen.is_empty() || seen.len() == 3, "{seen:?}");
        }
        writer.join().unwrap();
        log.close().unwrap();
        let left = after_a_power_cut(&disk);
        assert!(left.iter().any(|e| e.text == event(1, 0).as_bytes()));
        // Upkeep had its look when the flush was done, and does all that is due before it ends.
        assert!(log.stats().expired_segments > 0, "the day that is due was not dropped");
        assert!(left.iter().all(|e| e.sequence.0 > 3), "the day that was dropped is there again");
    });
}

/// Closing beside appends: each is either acknowledged and there, or refused as closed; and closing ends.
#[test]
fn a_log_that_is_closed_keeps_what_it_has_acknowledged() {
    explore(|| {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, &clock);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let log = log.clone();
                thread::spawn(move || (0..2).map(|number| append(&log, writer, number)).collect::<Vec<_>>())
            })
            .collect();
        log.close().unwrap();
        let left = after_a_power_cut(&disk);
        for (writer, results) in (0..).zip(writers.into_iter().map(|writer| writer.join().unwrap())) {
            for (number, result) in (0..).zip(results) {
                match result {
                    Ok(receipt) => assert!(has(&left, &receipt, writer, number), "acknowledged and gone after the close"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}"),
                }
            }
        }
    });
}
