//! Class 12: the wall clock jumps in either direction, at every stage of a log's life.
//!
//! Events stand in the order in which they came, whatever the clock said. No event is dropped that is younger than the retention by the clock
//! that cannot jump, none looks older than it is, and the log comes back after a restart under any of the clocks.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::id::{Day, Timestamp};
use trail_engine::{AuditLog, Options};

use crate::classes::trusted_days;
use crate::clock::{Hands, START};
use crate::disk::Disk;
use crate::ledger::{Ledger, Verdict};
use crate::random::Random;
use crate::runner::Run;
use crate::subject::{append, open, options, settle};
use crate::workload::event;

const SECOND: i64 = 1_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// Half a second before midnight.
const LATE: Timestamp = Timestamp(START.0 + 16 * 3_600 * SECOND - SECOND / 2);
const THREADS: usize = 16;

/// How the clock jumps, in nanoseconds.
const JUMPS: [(&str, i64); 8] = [
    ("a second forward", SECOND),
    ("a second back", -SECOND),
    ("an hour forward", 3_600 * SECOND),
    ("an hour back", -3_600 * SECOND),
    ("400 days forward", 400 * Day::NANOS),
    ("400 days back", -400 * Day::NANOS),
    ("past midnight", SECOND / 2),
    ("to 1970", -START.0),
];

/// When it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    BeforeAll,
    BetweenAppends,
    BeforeFlush,
    WithinFlush,
    WithinSeal,
    WhileClosed,
    WhileDead,
    /// Half a second before midnight: with the jump back by a second this is the leap second.
    AtMidnight,
}

const WHEN: [When; 8] = [
    When::BeforeAll,
    When::BetweenAppends,
    When::BeforeFlush,
    When::WithinFlush,
    When::WithinSeal,
    When::WhileClosed,
    When::WhileDead,
    When::AtMidnight,
];

/// Makes the clock jump.
pub(super) fn run(run: &Run) {
    let rounds = if run.scale.long { run.of_release(2_000).div_ceil((JUMPS.len() * WHEN.len()) as u64) } else { 1 };
    let points: Vec<u64> = (0..rounds * (JUMPS.len() * WHEN.len()) as u64).collect();
    let after: Vec<(u64, u64)> = (points.len() as u64..).zip(trusted_days::DAYS.into_iter().flat_map(|days| [days; 2])).collect();
    run.plan((points.len() + after.len()) as u64);
    run.each(THREADS, &after, |(point, days)| {
        let (what, work): (_, fn(u64, u64) -> Verdict) = match point % 2 {
            0 => ("a jump forward", trusted_days::after_a_jump),
            _ => ("an outage", trusted_days::after_an_outage),
        };
        run.case(run.scale.seed, *point, &|| format!("{what} of {days} days"), || Some(work(run.scale.seed, *days)));
    });
    run.each(THREADS, &points, |point| {
        let number = *point as usize;
        let ((name, jump), when) = (JUMPS[number % JUMPS.len()], WHEN[number / JUMPS.len() % WHEN.len()]);
        let round = point / (JUMPS.len() * WHEN.len()) as u64;
        let seed = run.scale.seed + round;
        run.case(run.scale.seed, *point, &|| format!("{name}, {when:?}, round {round}"), || Some(Life::begin(seed, jump, when).live()));
    });
}

struct Life {
    random: Random,
    disk: Disk,
    clock: Arc<Hands>,
    log: AuditLog,
    ledger: Ledger,
    verdict: Verdict,
    numbers: u64,
    jump: i64,
    when: When,
    /// Whether it has jumped.
    jumped: bool,
    /// Whether it was set right since.
    is_right_again: bool,
}

impl Life {
    fn begin(seed: u64, jump: i64, when: When) -> Life {
        let (disk, clock) = (Disk::default(), Hands::at(if when == When::AtMidnight { LATE } else { START }));
        let log = open(&disk, Life::options(), &clock).unwrap();
        let (ledger, verdict) = (Ledger::default(), Verdict::default());
        Life { random: Random::new(seed), disk, clock, log, ledger, verdict, numbers: 0, jump, when, jumped: false, is_right_again: false }
    }

    fn options() -> Options {
        Options { head_bytes_max: 1 << 20, ..options() }
    }

    fn jump_if(&mut self, when: When) {
        if self.when == when && !self.jumped {
            self.clock.jump(self.jump);
            self.jumped = true;
        }
    }

    /// Two hours and a day, by the clock that cannot jump. Then somebody sets the wall clock right, and a day later all is still there.
    fn live(mut self) -> Verdict {
        self.jump_if(When::BeforeAll);
        self.append();
        self.jump_if(When::BetweenAppends);
        self.jump_if(When::AtMidnight);
        self.append();
        self.jump_if(When::BeforeFlush);
        self.flush(When::WithinFlush);
        self.clock.pass(HOUR);
        self.append();
        self.log.close().unwrap();
        self.jump_if(When::WhileClosed);
        self.log = open(&self.disk, Life::options(), &self.clock).unwrap();
        self.append();
        self.flush(When::WithinFlush);
        self.clock.pass(HOUR * 24);
        self.append();
        // The first day is over by the grace period: what is left of it is merged and sealed.
        self.flush(When::WithinSeal);
        settle(&self.log);
        self.judge("before a kill");
        self.disk = self.disk.next_life();
        self.jump_if(When::WhileDead);
        self.log = open(&self.disk, Life::options(), &self.clock).unwrap();
        self.append();
        settle(&self.log);
        self.judge("after a kill");
        assert!(self.jumped, "the clock has not jumped");
        self.clock.jump(-self.jump);
        self.is_right_again = true;
        self.append();
        self.flush(When::BeforeAll);
        settle(&self.log);
        self.judge("the clock is right again");
        self.clock.pass(HOUR * 24);
        self.append();
        settle(&self.log);
        self.judge("a day later");
        self.verdict
    }

    fn append(&mut self) {
        let first = self.numbers;
        self.numbers += 1 + self.random.below(6) as u64;
        let events = (first..self.numbers).map(|number| event(number, &mut self.random)).collect();
        // No event is older than the first moment by the clock that cannot jump.
        let id = self.ledger.sent(events, START);
        match append(&self.log, self.ledger.events(id)) {
            Ok(receipt) => self.ledger.acknowledged(id, &receipt),
            Err(error) => self.verdict.wrong(format!("batch {id} is refused: {error:?}")),
        }
    }

    /// Flushes; the clock may jump while a sync is under way.
    fn flush(&mut self, within: When) {
        if self.when != within || self.jumped {
            self.log.flush().unwrap();
            return;
        }
        self.disk.hold_syncs(true);
        std::thread::scope(|scope| {
            let flushing = scope.spawn(|| self.log.flush());
            let is_within = || self.disk.syncs_waiting() > 0;
            let came = (0..60_000).any(|_| {
                is_within() || {
                    std::thread::sleep(Duration::from_millis(1));
                    false
                }
            });
            self.clock.jump(self.jump);
            self.disk.hold_syncs(false);
            flushing.join().unwrap().unwrap();
            assert!(came, "the flush has synced nothing");
        });
        self.jumped = true;
    }

    /// All events are there: two days have passed at most, and they are kept for three. And none of them looks older than it is, which would make it
    /// go sooner: no day is before the one on which the log began, whatever the wall clock said.
    fn judge(&mut self, when: &str) {
        let a_day_later = Timestamp(START.0 + Day::NANOS);
        self.verdict.join(self.ledger.judge(&self.log, a_day_later), when);
        let segments = self.log.segments();
        for segment in segments.iter().filter(|segment| segment.day < START.day()) {
            self.verdict.wrong(format!("{when}: a segment looks older than it is: {segment:?}"));
        }
        // What came while the clock was ahead is of a later day, and kept longer.
        let was_ahead = self.jump > 0 && self.is_right_again;
        if !was_ahead && !segments.is_sorted_by_key(|segment| segment.day) {
            self.verdict.wrong(format!("{when}: days go back: {:?}", segments.iter().map(|s| s.day).collect::<Vec<_>>()));
        }
    }
}
