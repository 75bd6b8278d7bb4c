//! Class 12, continued: how quickly days go after the wall clock jumped, and after an outage, which looks the same.
//!
//! By the clock that cannot jump, a day becomes due a day. A jump may add at most one more for each day that has begun since, so that there is time to
//! see it and set the clock right. An outage must be made up for nevertheless: what is due goes within as many days as it took.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::clock::Clock as _;
use trail_engine::id::Day;
use trail_engine::{AuditLog, Options};

use crate::clock::{DAY, Hands, START};
use crate::disk::Disk;
use crate::ledger::Verdict;
use crate::random::Random;
use crate::subject::{RETENTION_DAYS, append, open, options, settle};
use crate::workload::event;

/// By how many days the clock jumps, or for how many days there is no power.
pub(super) const DAYS: [u64; 3] = [2, 30, 400];
/// How often there is a look: a day has as many.
const LOOKS: u32 = 4;
/// How many days there are events before it, and how many are watched after it.
const BEFORE: u32 = 6;
const WATCHED: u32 = 5;
/// How long background work may take in the end.
const LOOKS_MAX: u32 = 1_000;
const BETWEEN: Duration = Duration::from_millis(10);

struct Watched {
    disk: Disk,
    clock: Arc<Hands>,
    log: AuditLog,
    random: Random,
    numbers: u64,
}

/// Lets the clock jump while the log is open, and counts the days that go.
pub(super) fn after_a_jump(seed: u64, days: u64) -> Verdict {
    let (mut watched, mut verdict) = (Watched::begin(seed), Verdict::default());
    let (before, kept) = (watched.clock.now(), watched.days());
    watched.clock.jump(days as i64 * Day::NANOS);
    let mut gone = 0;
    for look in 0..=WATCHED * LOOKS {
        let passed = DAY / LOOKS * look;
        watched.settle();
        let left = watched.days();
        gone = kept.iter().filter(|day| !left.contains(day)).count();
        let due = kept.iter().filter(|day| due_at(**day) <= before.0 + passed.as_nanos() as i64).count();
        let allowed = due + look.div_ceil(LOOKS) as usize;
        if gone > allowed {
            verdict.lost_events(1, format!("{gone} days are gone {passed:?} after the jump, {due} are due without it"));
        }
        watched.clock.pass(DAY / LOOKS);
    }
    if gone == 0 {
        verdict.wrong("no day is due any more");
    }
    verdict
}

/// Takes the power away for some days; as many days later at most, what is due is gone.
pub(super) fn after_an_outage(seed: u64, days: u64) -> Verdict {
    let (mut watched, mut verdict) = (Watched::begin(seed), Verdict::default());
    let days = days.min(u64::from(BEFORE));
    watched.disk = watched.disk.next_life();
    watched.clock.jump(days as i64 * Day::NANOS);
    watched.log = open(&watched.disk, Watched::options(), &watched.clock).unwrap();
    for _ in 0..days * u64::from(LOOKS) {
        watched.settle();
        watched.clock.pass(DAY / LOOKS);
    }
    watched.settle();
    let now = watched.clock.now().0;
    let late = || watched.days().into_iter().filter(|day| due_at(*day) <= now).collect::<Vec<_>>();
    if !(0..LOOKS_MAX).any(|_| {
        late().is_empty() || {
            std::thread::sleep(BETWEEN);
            false
        }
    }) {
        verdict.wrong(format!("{days} days after an outage of as many these days are due and there: {:?}", late()));
    }
    verdict
}

/// When a day is due by the wall clock.
fn due_at(day: Day) -> i64 {
    day.end().0 + i64::from(RETENTION_DAYS) * Day::NANOS
}

impl Watched {
    /// A log that is as old as it gets, with a segment a day.
    fn begin(seed: u64) -> Watched {
        let (disk, clock) = (Disk::default(), Hands::at(START));
        let log = open(&disk, Watched::options(), &clock).unwrap();
        let mut watched = Watched { disk, clock, log, random: Random::new(seed), numbers: 0 };
        for _ in 0..BEFORE {
            watched.settle();
            watched.clock.pass(DAY);
        }
        // The log has looked at the clock a moment before anything happens to it.
        watched.settle();
        watched
    }

    fn options() -> Options {
        Options { head_bytes_max: 1 << 20, merge_cpu_percent: 0, ..options() }
    }

    /// An event, a flush, and a look at what is due, until nothing more happens.
    fn settle(&mut self) {
        self.numbers += 1;
        append(&self.log, &[event(self.numbers, &mut self.random)]).unwrap();
        self.log.flush().unwrap();
        settle(&self.log);
    }

    fn days(&self) -> Vec<Day> {
        let mut days: Vec<Day> = self.log.segments().iter().map(|segment| segment.day).collect();
        days.dedup();
        days
    }
}
