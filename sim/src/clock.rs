//! A clock whose hands the test turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use trail_engine::clock::Clock;
use trail_engine::id::Timestamp;

/// 2026-11-22T08:00:00Z.
pub const START: Timestamp = Timestamp(1_795_334_400_000_000_000);
/// One day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Wall and monotonic time, apart.
#[derive(Debug)]
pub struct Hands {
    wall: AtomicI64,
    elapsed: AtomicU64,
}

impl Hands {
    /// A clock that stands still at a moment.
    #[must_use]
    pub fn at(wall: Timestamp) -> Arc<Hands> {
        Arc::new(Hands { wall: AtomicI64::new(wall.0), elapsed: AtomicU64::new(0) })
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let nanos = time.as_nanos() as u64;
        self.elapsed.fetch_add(nanos, Ordering::SeqCst);
        self.wall.fetch_add(nanos as i64, Ordering::SeqCst);
    }

    /// Moves the wall clock alone.
    pub fn jump(&self, nanos: i64) {
        self.wall.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::SeqCst))
    }
}
