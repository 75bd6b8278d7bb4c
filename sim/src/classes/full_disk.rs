//! Class 8: the disk is full from every call on that takes space, and then there is room again.
//!
//! Meanwhile appends are refused as such, what was acknowledged is read, and nothing is half there. Afterwards the log goes on by itself, without
//! a restart: what was refused is taken, and what waited is flushed. A second part fills the disk by its bytes until nothing fits, lets a day
//! come to its end, and demands that it is dropped, and that appends go on in the space that it had.

use std::time::Duration;

use trail_engine::{AuditLog, ErrorKind, Options};

use crate::clock::{DAY, Hands, START};
use crate::disk::{Disk, Failure, Fault, Kind};
use crate::ledger::{Ledger, Verdict};
use crate::random::Random;
use crate::runner::Run;
use crate::scenario::{Attempt, reached};
use crate::subject::{append, open, options, settle};
use crate::workload::event;

/// What takes space. A reservation that fails is no error of the disk but its state; so is a directory that has no room for a name.
const TAKES_SPACE: &[Kind] = &[Kind::Create, Kind::Rename, Kind::Write, Kind::Allocate];
const THREADS: usize = 24;
const CUTS: usize = 2;
/// How long background work may take to see that there is room.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the same refused batch is sent before there is room.
const REFUSALS: usize = 3;
/// How many days the second part has, each with another amount of room.
const EXPIRIES: u64 = 12;
/// How many batches the day has that is dropped.
const FIRST_DAY: u64 = 20;
/// How much the day must give back: what dropping it takes from the reserve may be taken back first, and then there must be room for a journal file
/// and a segment.
const NEEDED: u64 = (64 << 10) + (24 << 10);

/// Fills the disk at every call.
pub(super) fn run(run: &Run) {
    let seed = run.scale.seed;
    // Those of which there are always as many come first: a number says the same case whatever the count of calls, which varies by a few.
    let points: Vec<u64> = match run.scale.point {
        Some(point) => vec![point],
        None => (0..EXPIRIES + Attempt::calls(seed, TAKES_SPACE) * 2).collect(),
    };
    run.plan(points.len() as u64);
    run.each(THREADS, &points, |point| {
        let Some(call) = point.checked_sub(EXPIRIES) else {
            let room = point * 40;
            run.case(seed, *point, &|| format!("{room} bytes of room when a day is due"), || Some(expire(seed, room)));
            return;
        };
        let failure = if call % 2 == 0 { Failure::ENOSPC } else { Failure::EDQUOT };
        let fault = Fault::sticky(TAKES_SPACE, call / 2, failure);
        run.case(seed, *point, &|| format!("{fault:?}"), || reached(|| fill(seed, fault)));
    });
}

fn fill(seed: u64, fault: Fault) -> Option<Verdict> {
    let mut attempt = Attempt::new(seed);
    attempt.patience = PATIENCE;
    attempt.frees_when_stuck = true;
    attempt.live(Some(fault), &mut |attempt| {
        let id = attempt.ledger.len() - 1;
        for _ in 1..REFUSALS {
            if attempt.send(id) {
                return true;
            }
        }
        attempt.judge_now();
        attempt.disk.disarm();
        if !attempt.send(id) {
            attempt.verdict.wrong("there is room again, and the batch is still refused");
        }
        true
    });
    if attempt.disk.tripped() == 0 {
        return None;
    }
    attempt.disk.disarm();
    for error in &attempt.refused {
        if error.kind() != ErrorKind::Full {
            attempt.verdict.wrong(format!("an error of the wrong kind: {error:?}"));
        }
    }
    // Merges are tried again half a minute after they failed, which may be now: background work comes late on a busy machine.
    let is_well = |log: &AuditLog| {
        attempt.clock.pass(Duration::from_secs(1));
        log.health().problems.is_empty() && !log.health().disk_full
    };
    if attempt.log().is_some_and(|log| !soon(|| is_well(log))) {
        let health = attempt.log().map(AuditLog::health);
        attempt.verdict.wrong(format!("there is room, and the log still complains: {health:?}"));
    }
    attempt.restart(CUTS);
    Some(attempt.verdict)
}

/// Looks until something is so, for as long as background work may take.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let looks = PATIENCE.as_millis() / 20;
    (0..looks).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        is_so()
    })
}

/// Three days of events, and no room but these bytes when the first is over the retention.
fn expire(seed: u64, room: u64) -> Verdict {
    let (disk, clock, mut ledger) = (Disk::default(), Hands::at(START), Ledger::default());
    let (mut random, mut verdict, mut number) = (Random::new(seed + room), Verdict::default(), 0);
    let log = open(&disk, Options { head_bytes_max: 1 << 20, ..options() }, &clock).unwrap();
    let mut batch = |ledger: &mut Ledger, clock: &Hands, events: u64| {
        number += events;
        let events = (number - events..number).map(|number| event(number, &mut random)).collect();
        ledger.sent(events, trail_engine::clock::Clock::now(clock))
    };
    for batches in [FIRST_DAY, 1, 1] {
        for _ in 0..batches {
            let id = batch(&mut ledger, &clock, 60);
            ledger.acknowledged(id, &append(&log, ledger.events(id)).unwrap());
        }
        log.flush().unwrap();
        clock.pass(DAY);
    }
    settle(&log);
    let freed = log.segments().iter().filter(|segment| segment.day == START.day()).map(|segment| segment.file_bytes).sum::<u64>();
    assert!(freed > NEEDED, "the day that is dropped has only {freed} bytes");
    disk.limit(Some(disk.bytes() + room));
    let mut refused = false;
    for _ in 0..200 {
        let id = batch(&mut ledger, &clock, 5);
        match append(&log, ledger.events(id)) {
            Ok(receipt) => ledger.acknowledged(id, &receipt),
            Err(error) if error.kind() == ErrorKind::Full => {
                refused = true;
                break;
            }
            Err(error) => verdict.wrong(format!("an error of the wrong kind: {error:?}")),
        }
    }
    if !refused {
        verdict.wrong("the disk did not get full");
    }
    let before = log.segments().len();
    clock.pass(DAY);
    if !soon(|| log.stats().expired_segments > 0) {
        verdict.wrong(format!("a day is due, the disk is full, and nothing is dropped: {before} segments, {:?}", log.health()));
    }
    let id = batch(&mut ledger, &clock, 5);
    let mut taken = None;
    soon(|| {
        taken = append(&log, ledger.events(id)).ok();
        taken.is_some()
    });
    match taken {
        Some(receipt) => ledger.acknowledged(id, &receipt),
        None => verdict.wrong(format!("a day was dropped, and appends are still refused: {:?}", log.health())),
    }
    let left = Disk::holding(disk.next_life().image());
    drop(log);
    match open(&left, options(), &clock) {
        Ok(log) => verdict.join(ledger.judge(&log, trail_engine::clock::Clock::now(&*clock)), "afterwards"),
        Err(error) => verdict.wrong(format!("the log does not open: {error:?}")),
    }
    verdict
}
