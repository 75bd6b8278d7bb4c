//! Class 13: days are dropped, and the power goes, or the process dies, at every step of it; readers hold what is dropped.
//!
//! Nothing goes before its day is over the retention, whatever is cut; nothing that went comes back as damage; and who reads a segment when its
//! day is dropped reads it to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use trail_engine::budget::Cancel;
use trail_engine::clock::Clock as _;
use trail_engine::id::Timestamp;
use trail_engine::query::{Order, PageRequest};
use trail_engine::{AuditLog, ErrorKind, Options};

use crate::clock::{DAY, Hands, START};
use crate::contents::{Contents, Seen};
use crate::disk::{Disk, Fill, Image, Medium, cut};
use crate::ledger::{Ledger, Verdict};
use crate::random::Random;
use crate::runner::{Run, cores};
use crate::subject::{RETENTION_DAYS, append, everything, open, options, settle};
use crate::workload::event;

/// How many days are written, each with some flushes.
const DAYS: usize = 4;
/// What the life of a seed must contain, and at how many moments at least it is cut off while a day is dropped.
const LEAST: Contents = Contents { flushed: 16, merged: 8, sealed: 4, dropped: 4 };
const POINTS_MIN: usize = 40;
/// How many read while a day is dropped.
const READERS: usize = 2;

/// What was left at some moment, and what was known then.
struct Point {
    seed: u64,
    at: usize,
    image: Image,
    ledger: Ledger,
    now: Timestamp,
}

/// Drops days, and cuts it off everywhere.
pub(super) fn run(run: &Run) {
    let seeds = if run.scale.long { run.of_release(100) } else { 1 };
    let mut planned = 0;
    for (done, seed) in (1..).zip(run.scale.seed..run.scale.seed + seeds) {
        let mut points = Vec::new();
        let held = drop_days(seed, &mut points);
        planned += points.len() as u64 + 1;
        // The seeds that are left will have about as many.
        run.plan(planned * seeds / done);
        run.case(seed, 1, &|| "a reader holds a day that is dropped".to_owned(), || Some(held));
        let points: Vec<(u64, Point)> = (2..).zip(points).collect();
        run.each(cores(), &points, |(number, point)| {
            run.case(point.seed, *number, &|| format!("cut after {} operations of dropping", point.at), || Some(bring_back(point)));
        });
    }
    run.plan(planned);
}

/// Opens what is left. At the same moment, and a second before the day was due: then nothing may be gone.
fn bring_back(point: &Point) -> Verdict {
    let mut verdict = Verdict::default();
    let disk = Disk::holding(point.image.clone());
    match open(&disk, Options { merge_cpu_percent: 0, ..options() }, &Hands::at(point.now)) {
        Ok(log) => {
            verdict.join(point.ledger.judge(&log, point.now), "brought back");
            // What was dropped stays dropped, and what is due goes, without a complaint.
            log.flush().unwrap();
            settle(&log);
            verdict.join(point.ledger.judge(&log, point.now), "tidied");
        }
        Err(error) => verdict.wrong(format!("the log does not open: {error:?}")),
    }
    match open(&disk, options(), &Hands::at(point.now)) {
        Ok(log) => verdict.join(point.ledger.judge(&log, point.now), "brought back again"),
        Err(error) => verdict.wrong(format!("the log does not open again: {error:?}")),
    }
    verdict
}

/// Writes some days, lets each become due in turn, and collects what is left after every operation meanwhile.
fn drop_days(seed: u64, points: &mut Vec<Point>) -> Verdict {
    let (disk, clock, mut ledger) = (Disk::default(), Hands::at(START), Ledger::default());
    let (mut random, mut verdict, mut numbers) = (Random::new(seed), Verdict::default(), 0);
    let log = open(&disk, Options { head_bytes_max: 1 << 20, ..options() }, &clock).unwrap();
    for _ in 0..DAYS {
        for _ in 0..3 {
            let first = numbers;
            numbers += 1 + random.below(9) as u64;
            let id = ledger.sent((first..numbers).map(|number| event(number, &mut random)).collect(), clock.now());
            ledger.acknowledged(id, &append(&log, ledger.events(id)).unwrap());
            log.flush().unwrap();
        }
        clock.pass(DAY);
    }
    // The last moment at which everything is kept.
    let first_due = START.day().end().0 + i64::from(RETENTION_DAYS) * DAY.as_nanos() as i64;
    clock.pass(Duration::from_nanos((first_due - clock.now().0 - 1) as u64));
    log.flush().unwrap();
    settle(&log);
    verdict.join(ledger.judge(&log, clock.now()), "a moment before the day is due");
    let expired = log.stats().expired_segments;
    let mut seen = Seen::default();
    seen.look(&log);
    for day in 0..DAYS {
        let page = PageRequest { order: Order::Ascending, limit: 3, ..PageRequest::default() };
        let before = log.search(&everything(), &page, &Cancel::default()).unwrap();
        let held: Vec<_> = log.segments().iter().filter_map(|s| Some((s.crc32, log.segment_bytes(s.id).unwrap()?))).collect();
        let image = disk.image();
        disk.record();
        // Counted before the day is due: background work looks at the clock whenever it likes.
        let dropped = log.stats().expired_segments;
        let due = clock.now().0 + if day == 0 { 1 } else { DAY.as_nanos() as i64 };
        reading(&log, &ledger, Timestamp(due), &mut verdict, &|| {
            clock.pass(Duration::from_nanos((due - clock.now().0) as u64));
            settle(&log);
        });
        if log.stats().expired_segments == dropped {
            verdict.wrong("a day is due and is not dropped");
        }
        let id = ledger.sent(vec![event(90_000 + day as u64, &mut random)], clock.now());
        ledger.acknowledged(id, &append(&log, ledger.events(id)).unwrap());
        log.flush().unwrap();
        settle(&log);
        seen.look(&log);
        let before_it = points.len();
        collect(seed, &image, &disk, &ledger, clock.now(), points, &mut random);
        if points.len() - before_it < POINTS_MIN {
            verdict.wrong(format!("dropping a day was cut off at {} moments", points.len() - before_it));
        }
        for (crc32, bytes) in held {
            if checksum(&bytes) != crc32 {
                verdict.wrong("a segment that is held has changed when it was dropped");
            }
        }
        let next = PageRequest { cursor: before.next_cursor, ..page };
        match log.search(&everything(), &next, &Cancel::default()) {
            Err(error) => verdict.wrong(format!("a page after a drop: {error:?}")),
            Ok(page) if !page.incomplete.is_empty() => verdict.wrong(format!("a page after a drop lacks {:?}", page.incomplete)),
            Ok(page) => {
                if page.events.iter().any(|event| before.events.contains(event)) {
                    verdict.altered_event("a page after a drop repeats the one before".to_owned());
                }
            }
        }
        verdict.join(ledger.judge(&log, clock.now()), "after a drop");
    }
    if disk.changed_under_views() > 0 {
        verdict.wrong(format!("{} changes of files that readers had mapped", disk.changed_under_views()));
    }
    if log.stats().expired_segments - expired < DAYS as u64 {
        verdict.wrong(format!("only {} segments were dropped", log.stats().expired_segments - expired));
    }
    if !seen.contents().has(LEAST) {
        verdict.wrong(format!("a life must contain more: {:?}", seen.contents()));
    }
    verdict
}

/// Reads everything again and again while a day is dropped: each answer has all that is kept, and a day whole or not at all.
fn reading(log: &AuditLog, ledger: &Ledger, due: Timestamp, verdict: &mut Verdict, drop_it: &(dyn Fn() + Sync)) {
    let (over, all) = (AtomicBool::new(false), PageRequest { order: Order::Ascending, limit: 1_000, ..PageRequest::default() });
    let read = || {
        let mut seen = Verdict::default();
        // Once more when it is over, so that there is an answer from before, and one from after it.
        loop {
            let is_last = over.load(Ordering::SeqCst);
            match log.search(&everything(), &all, &Cancel::default()) {
                Ok(mut page) => {
                    page.events.sort_by_key(|event| event.sequence);
                    ledger.compare(&page.events, due, &mut seen);
                    if let Some(part) = ledger.part_of_a_day(&page.events) {
                        seen.altered_event(part);
                    }
                    page.incomplete.iter().for_each(|gap| seen.wrong(format!("an answer lacks {gap}")));
                }
                // The clock that was moved is that of the time a question may take too.
                Err(error) if error.kind() == ErrorKind::Limit && !is_last => {}
                Err(error) => seen.wrong(format!("an answer while a day is dropped: {error:?}")),
            }
            if is_last || !seen.is_right() {
                return seen;
            }
        }
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        drop_it();
        over.store(true, Ordering::SeqCst);
        for reader in readers {
            verdict.join(reader.join().unwrap(), "read while it is dropped");
        }
    });
}

/// What a kill or a power cut leaves after each operation that was recorded. The last batch may be there or not.
fn collect(seed: u64, from: &Image, disk: &Disk, ledger: &Ledger, now: Timestamp, points: &mut Vec<Point>, random: &mut Random) {
    let mut medium = Medium::of(from.clone(), Fill::Zeros);
    let last = ledger.len() - 1;
    for (at, operation) in disk.trace().iter().enumerate() {
        medium.note(operation);
        let mut seen = std::collections::HashSet::new();
        cut::crashes(&medium, &mut || random.next(), &mut |image| {
            let image = image.without_nameless();
            if seen.insert(image.clone()) {
                points.push(Point { seed, at, image, ledger: ledger.without_answer(last), now });
            }
        });
    }
}

/// CRC-32 (ISO-HDLC), bit by bit: shares no code with the engine's.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
