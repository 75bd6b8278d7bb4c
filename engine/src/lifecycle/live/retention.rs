//! Retention: which segments are due, and which clock may say so.
//!
//! A segment is dropped when all of its receive day is older than the retention: never a minute early. Wall clocks jump, and a jump
//! forward must not drop a log, so retention does not believe the clock but [`TrustedClock`]: it follows the wall clock, but at most
//! at twice the speed of the monotonic one, from a moment that the catalog keeps. After a jump of a year it needs half a year to
//! believe it; after a machine was off for a weekend it is right again two days later. It never goes backwards, and the receive day of
//! an event is never before the trusted day, so that a clock set back does not make new events look old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::id::{Day, Timestamp};
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::mutants;

/// The time that retention believes.
#[derive(Debug)]
pub(crate) struct TrustedClock {
    clock: Arc<dyn Clock>,
    /// A trusted moment, and the monotonic time at which it was.
    base: Mutex<(Timestamp, Duration)>,
}

impl TrustedClock {
    /// Goes on from a trusted moment.
    pub(crate) fn new(clock: Arc<dyn Clock>, base: Timestamp) -> TrustedClock {
        let elapsed = clock.elapsed();
        TrustedClock { clock, base: Mutex::new((base, elapsed)) }
    }

    /// The trusted time now.
    pub(crate) fn now(&self) -> Timestamp {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.clock.elapsed();
        let passed = elapsed.saturating_sub(base.1).saturating_mul(2);
        let reachable = base.0.shift(i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX));
        let reachable = if mutants::is("retention_trusts_the_wall_clock") { Timestamp::MAX } else { reachable };
        let trusted = self.clock.now().min(reachable).max(base.0);
        // The base moves only when the time did, so that many short steps add up to the same as one long one.
        if trusted > base.0 {
            *base = (trusted, elapsed);
        }
        trusted
    }

    /// The receive day of an event that comes in at `now`.
    pub(crate) fn day_of(&self, now: Timestamp) -> Day {
        now.day().max(self.now().day())
    }

    /// How far the wall clock is ahead of the trusted time.
    pub(crate) fn lag(&self) -> Duration {
        let lag = self.clock.now().0.saturating_sub(self.now().0);
        Duration::from_nanos(u64::try_from(lag).unwrap_or(0))
    }
}

/// Whether all of the segment's day is older than the retention.
pub(crate) fn is_due(entry: &CatalogEntry, retention: Duration, trusted_now: Timestamp) -> bool {
    let retention = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    entry.day.end().0.saturating_add(retention) <= trusted_now.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    #[derive(Debug, Default)]
    struct Hands {
        wall: AtomicI64,
        seconds: AtomicU64,
    }

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.wall.load(Ordering::Relaxed)).unwrap()
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Ordering::Relaxed))
        }
    }

    fn pass(hands: &Hands, seconds: u64) {
        hands.seconds.fetch_add(seconds, Ordering::Relaxed);
        hands.wall.fetch_add(seconds as i64, Ordering::Relaxed);
    }

    #[test]
    fn a_jump_forward_is_believed_slowly_and_one_back_not_at_all() {
        let hands = Arc::new(Hands::default());
        let trusted = TrustedClock::new(hands.clone(), Timestamp(0));
        pass(&hands, 100);
        assert_eq!(trusted.now(), Timestamp::from_seconds(100).unwrap());
        hands.wall.fetch_add(400 * 86_400, Ordering::Relaxed);
        assert_eq!(trusted.now(), Timestamp::from_seconds(100).unwrap());
        pass(&hands, 86_400);
        assert_eq!(trusted.now(), Timestamp::from_seconds(100 + 2 * 86_400).unwrap());
        assert!(trusted.lag() > Duration::from_secs(390 * 86_400));
        hands.wall.store(-1_000, Ordering::Relaxed);
        assert_eq!(trusted.now(), Timestamp::from_seconds(100 + 2 * 86_400).unwrap());
        assert_eq!(trusted.day_of(hands.now()), Day(2));
    }

    #[test]
    fn many_looks_are_worth_as_much_as_one() {
        let hands = Arc::new(Hands::default());
        let trusted = TrustedClock::new(hands.clone(), Timestamp(0));
        hands.wall.store(1_000_000, Ordering::Relaxed);
        for _ in 0..100 {
            hands.seconds.fetch_add(1, Ordering::Relaxed);
            trusted.now();
        }
        assert_eq!(trusted.now(), Timestamp::from_seconds(200).unwrap());
    }

    #[test]
    fn a_day_is_dropped_whole_and_not_a_nanosecond_early() {
        let mut entry = crate::lifecycle::live::catalog::tests_entry();
        entry.day = Day(10);
        let retention = Duration::from_secs(30 * 86_400);
        let due = Day(41).start();
        assert!(!is_due(&entry, retention, Timestamp(due.0 - 1)) && is_due(&entry, retention, due));
    }
}
