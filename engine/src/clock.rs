//! The one door to the clock: wall time for receive times and retention, monotonic time for deadlines.
//!
//! Tests and simulations bring their own [`Clock`]; nothing else in the crate reads the time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::id::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time, which may jump in either direction.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, which never goes backwards.
    fn elapsed(&self) -> Duration;
}

/// The clock of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose elapsed time starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
    fn now(&self) -> Timestamp {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Timestamp(nanos)
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The clock of the operating system, put forward: for tests and measurements in which a day must pass.
#[derive(Debug, Default)]
pub struct ForwardClock {
    clock: SystemClock,
    ahead_nanos: AtomicU64,
}

impl ForwardClock {
    /// Lets so much time pass at once, on both clocks.
    pub fn pass(&self, time: Duration) {
        self.ahead_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for ForwardClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add_unsigned(self.ahead_nanos.load(Ordering::Relaxed)))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_add(Duration::from_nanos(self.ahead_nanos.load(Ordering::Relaxed)))
    }
}
