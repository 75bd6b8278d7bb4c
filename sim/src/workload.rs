//! A seeded life of a log: batches of all sizes, retries, flushes, days that pass, clean closes and kills, all within a few hundred operations.
//!
//! In lives of even seeds one caller does one thing after the other, waits until background work is done before the next, and the engine's threads take turns. So the same
//! seed gives the same operations again, but for the ids of segments where a flush and a merge begin at the same moment. Lives of odd seeds are free: several
//! callers append at once, the same batch among them twice, so that batches share groups; and some have a slow disk. What was sent and acknowledged is
//! noted with the place in the disk's record where it happened.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::clock::Clock as _;
use trail_engine::id::Timestamp;
use trail_engine::{AuditLog, Options, Receipt};

use crate::clock::{DAY, Hands, START};
use crate::contents::{Contents, Seen};
use crate::disk::{Disk, Operation};
use crate::ledger::{BatchId, Ledger};
use crate::random::Random;
use crate::subject::{append, open, options, settle};

/// The most callers at once.
const CALLERS_MAX: usize = 6;
/// How long the first group's sync takes while the others come.
const GATHER: Duration = Duration::from_micros(800);
/// How long a change takes on a slow disk.
const SLOW: Duration = Duration::from_micros(150);

/// What is known outside of the log.
#[derive(Debug, Clone)]
pub enum Mark {
    /// A batch is sent.
    Sent(Vec<Vec<u8>>),
    /// A batch is acknowledged.
    Acknowledged(BatchId, Receipt),
    /// Time has passed.
    Now(Timestamp),
}

/// A life that was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What the disk did.
    pub operations: Vec<Operation>,
    /// What was known, with the number of operations before it.
    pub marks: Vec<(usize, Mark)>,
    /// What happened in it.
    pub contents: Contents,
}

/// A walk along a record: what is known after so many operations.
#[derive(Debug)]
pub struct Walk<'a> {
    marks: std::iter::Peekable<std::slice::Iter<'a, (usize, Mark)>>,
    /// What was sent and acknowledged.
    pub ledger: Ledger,
    /// The wall time.
    pub now: Timestamp,
}

impl Recorded {
    /// A walk from the beginning.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { marks: self.marks.iter().peekable(), ledger: Ledger::default(), now: START }
    }
}

impl Walk<'_> {
    /// Goes on to where so many operations are done.
    pub fn to(&mut self, operations: usize) {
        while let Some((_, mark)) = self.marks.next_if(|(at, _)| *at <= operations) {
            match mark {
                Mark::Sent(events) => drop(self.ledger.sent(events.clone(), self.now)),
                Mark::Acknowledged(id, receipt) => self.ledger.acknowledged(*id, receipt),
                Mark::Now(now) => self.now = *now,
            }
        }
    }
}

/// The event with a number: of many shapes and lengths, none like another.
#[must_use]
pub fn event(number: u64, random: &mut Random) -> Vec<u8> {
    let text = match random.below(16) {
        0 => {
            let noise: String = (0..random.below(320)).map(|_| format!("{:016x}", random.next())).collect();
            format!(r#"{{"id":"long-{number}","user":"user-{}","text":"{noise}"}}"#, number % 5)
        }
        1 => format!(r#"{{"odd":[{number},{{"x":null}},"\u00e9{number}"],"id":{number}}}"#),
        2 => format!(r#"{{ "id" : "spaced-{number}" , "user" : [ "a" , "b{}" ] }}"#, number % 3),
        _ => format!(
            r#"{{"id":"3b1f{:04x}-77aa-4e0c-9d20-{number:012x}","time":"2026-11-{:02}T0{}:{:02}:11Z","user":"user-{}","name":"N{}","size":{}}}"#,
            number * 7_919 % 65_536,
            1 + random.below(21),
            random.below(10),
            random.below(60),
            random.below(9),
            random.below(4),
            number * number
        ),
    };
    text.into_bytes()
}

/// Lives the life of a seed, of so many steps, on a disk that is never broken; the log is killed at the end.
///
/// # Panics
/// When anything goes wrong that cannot on such a disk.
#[must_use]
pub fn record(seed: u64, steps: usize) -> Recorded {
    let mut life = Life::begin(seed);
    (0..steps).for_each(|_| life.step());
    life.kill();
    Recorded { operations: life.disk.trace(), marks: life.marks, contents: life.seen.contents() }
}

struct Life {
    random: Random,
    disk: Disk,
    clock: Arc<Hands>,
    log: AuditLog,
    ledger: Ledger,
    marks: Vec<(usize, Mark)>,
    seen: Seen,
    numbers: u64,
    is_free: bool,
}

impl Life {
    fn begin(seed: u64) -> Life {
        let (mut random, disk, clock) = (Random::new(seed), Disk::default(), Hands::at(START));
        disk.record();
        // Every other life is free: threads that race come to states that those which take turns never see.
        let is_free = !seed.is_multiple_of(2);
        match seed % 4 {
            0 | 2 => disk.take_turns(),
            1 => disk.slow_down(SLOW),
            _ => {}
        }
        let log = open(&disk, some_options(&mut random), &clock).unwrap();
        let (ledger, seen) = (Ledger::default(), Seen::default());
        let life = Life { random, disk, clock, log, ledger, marks: Vec::new(), seen, numbers: 0, is_free };
        settle(&life.log);
        life
    }

    fn mark(&mut self, mark: Mark) {
        self.marks.push((self.disk.recorded(), mark));
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..20 if self.is_free => self.append_together(),
            0..55 => self.append(),
            55..65 => self.retry(),
            65..80 => self.log.flush().unwrap(),
            80..88 => {
                let hours = 1 + self.random.below(10) as u32;
                self.pass(Duration::from_secs(3_600) * hours);
            }
            88..93 => self.next_day(),
            93..97 => {
                self.log.close().unwrap();
                self.reopen(self.disk.clone());
            }
            _ => self.kill(),
        }
        settle(&self.log);
        self.seen.look(&self.log);
    }

    /// A new batch, which the ledger knows of.
    fn batch(&mut self) -> BatchId {
        let first = self.numbers;
        self.numbers += 1 + self.random.below(9) as u64;
        let events: Vec<Vec<u8>> = (first..self.numbers).map(|number| event(number, &mut self.random)).collect();
        let id = self.ledger.sent(events.clone(), self.clock.now());
        self.mark(Mark::Sent(events));
        id
    }

    /// Several callers at once, one of them with the batch of another. While the first group is synced the others gather.
    fn append_together(&mut self) {
        let callers = 2 + self.random.below(CALLERS_MAX - 1);
        let mut ids: Vec<BatchId> = (1..callers).map(|_| self.batch()).collect();
        ids.push(*self.random.pick(&ids));
        self.disk.hold_syncs(true);
        let (log, ledger, disk) = (&self.log, &self.ledger, &self.disk);
        let mut receipts: Vec<(usize, BatchId, Receipt)> = std::thread::scope(|scope| {
            let call = |id: BatchId| {
                let receipt = append(log, ledger.events(id)).unwrap();
                (disk.recorded(), id, receipt)
            };
            let calls: Vec<_> = ids.iter().map(|id| scope.spawn(move || call(*id))).collect();
            std::thread::sleep(GATHER);
            disk.hold_syncs(false);
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        receipts.sort_by_key(|(at, ..)| *at);
        for id in &ids {
            let accepted: u64 = receipts.iter().filter(|(_, of, _)| of == id).map(|(.., receipt)| receipt.accepted).sum();
            assert_eq!(accepted, self.ledger.events(*id).len() as u64, "batch {id} was not stored once");
        }
        for (at, id, receipt) in receipts {
            self.ledger.acknowledged(id, &receipt);
            self.marks.push((at, Mark::Acknowledged(id, receipt)));
        }
    }

    fn append(&mut self) {
        let id = self.batch();
        let receipt = append(&self.log, self.ledger.events(id)).unwrap();
        assert_eq!(receipt.duplicates, 0, "new events of batch {id} were taken for copies");
        self.ledger.acknowledged(id, &receipt);
        self.mark(Mark::Acknowledged(id, receipt));
    }

    /// The same bytes again.
    fn retry(&mut self) {
        if self.ledger.is_empty() {
            return;
        }
        let id = self.random.below(self.ledger.len());
        if self.ledger.is_kept(id, self.clock.now()) {
            let receipt = append(&self.log, self.ledger.events(id)).unwrap();
            assert_eq!(receipt.accepted, 0, "batch {id} was stored twice");
        }
    }

    fn pass(&mut self, time: Duration) {
        // Noted before: what background work does by the new time must not seem done by the old.
        let at = self.disk.recorded();
        self.clock.pass(time);
        self.marks.push((at, Mark::Now(self.clock.now())));
    }

    /// The first hour of the next day. What was appended before is flushed, merged, sealed, and dropped when it is due.
    fn next_day(&mut self) {
        let now = self.clock.now();
        let rest = Duration::from_nanos((now.day().end().0 - now.0) as u64);
        let more = if self.random.chance(30) { DAY } else { Duration::ZERO };
        self.pass(rest + more + Duration::from_secs(3_600));
        self.append();
        settle(&self.log);
        self.log.flush().unwrap();
    }

    /// The process dies, and another begins.
    fn kill(&mut self) {
        let disk = self.disk.next_life();
        self.reopen(disk);
    }

    fn reopen(&mut self, disk: Disk) {
        let options = some_options(&mut self.random);
        self.seen.again();
        self.log = open(&disk, options, &self.clock).unwrap();
        self.disk = disk;
    }
}

/// The usual options, with some of them drawn.
fn some_options(random: &mut Random) -> Options {
    Options {
        journal_bytes: *random.pick(&[4 << 10, 8 << 10, 20 << 10]),
        head_bytes_max: *random.pick(&[12 << 10, 48 << 10, 1 << 20]),
        segment_events_max: *random.pick(&[40, 1_000]),
        merge_cpu_percent: *random.pick(&[0, 100, 100]),
        ..options()
    }
}
