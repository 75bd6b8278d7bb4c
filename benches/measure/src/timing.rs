//! What is made of the times that were taken.

use std::time::Duration;

/// Times of the same thing done again and again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn join(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) fn runs(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a thousand do not exceed (nearest rank), in milliseconds.
    pub(crate) fn milliseconds(&self, in_thousand: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * in_thousand).div_ceil(1_000).max(1) - 1;
        sorted.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let mut times = Times::default();
        assert_eq!(times.milliseconds(500), 0.0);
        (1..=100).rev().for_each(|ms| times.push(Duration::from_millis(ms)));
        assert_eq!([500, 990, 1_000, 0].map(|p| times.milliseconds(p).round()), [50.0, 99.0, 100.0, 1.0]);
    }
}
