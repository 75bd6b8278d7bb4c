//! The one door to the clocks here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, on a clock that never goes back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock; the engine's is for the engine")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970-01-01T00:00:00Z, as this machine believes; 0 before.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock; the engine's is for the engine")]
pub fn epoch_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
