//! [`Backoff`]: how long to wait before the next attempt.
//!
//! Exponential with full jitter, so that many trails whose sink was away do not come back at one moment (Marc Brooker, "Exponential Backoff And
//! Jitter", AWS Architecture Blog, 2015). A sink that asks to be left alone for longer is.

use std::time::Duration;

/// The longest first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait that is not asked for.
const LONGEST: Duration = Duration::from_secs(60);
/// The shortest wait.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest wait that a sink may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3_600);

/// Counts attempts that failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How many attempts failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait after one more failure; `asked` is what the sink wants.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let ceiling = FIRST.saturating_mul(1_u32 << self.failures.min(20)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Without randomness all wait longest, which is safe.
        let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        let wait = ceiling.mul_f64(share).max(SHORTEST);
        wait.max(asked.unwrap_or_default().min(ASKED_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut waits = Vec::new();
        let mut backoff = Backoff::default();
        for failure in 0..40_u32 {
            let wait = backoff.next(None);
            let ceiling = Duration::from_millis(500 << failure.min(7)).min(LONGEST);
            assert!(wait >= SHORTEST && wait <= ceiling, "{failure}: {wait:?}");
            waits.push(wait);
        }
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(20)), "{waits:?}");
        waits.dedup();
        assert!(waits.len() > 20);
    }

    #[test]
    fn who_asks_for_more_gets_it_within_bounds() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff.next(Some(Duration::MAX)), ASKED_MAX);
        assert_eq!(backoff.failures(), 2);
    }
}
