//! When events arrive: [`Arrivals`], with office hours, weekends and noise; and how late their own time lags behind.
//!
//! The span is cut into bins of a minute (or less, when many events fall into one). A bin's weight follows the local hour
//! (UTC+8) and the day of the week, with gamma noise; within a bin arrivals are uniform and sorted. Only one bin's arrivals
//! are held at a time: any number of events costs a few MiB.

use crate::random::Random;

const BIN_EVENTS: u64 = 8_192;
const LAGS: usize = 4_096;
const LATE_SHARE: f64 = 0.005;
const LATE_SECONDS_MAX: u64 = 300;
/// A hundred years of minutes, or the bins of 5 x 10^11 events; 256 MiB at most.
pub(crate) const BINS_MAX: u64 = 1 << 26;

/// Arrival times in seconds since the epoch, never going back.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    weights: Vec<f32>,
    total: f64,
    events: u64,
    start: i64,
    span: f64,
    bin: usize,
    reached: f64,
    given: u64,
    waiting: Vec<i64>,
    random: Random,
}

impl Arrivals {
    pub(crate) fn new(events: u64, start: i64, days: f64, mut random: Random) -> Arrivals {
        let bins = bins(events, days);
        let span = days * 86_400.0 / bins as f64;
        let weights: Vec<f32> = (0..bins).map(|i| (weight(start + (i as f64 * span) as i64) * noise(&mut random)) as f32).collect();
        let total = weights.iter().map(|w| f64::from(*w)).sum();
        Arrivals { weights, total, events, start, span, bin: 0, reached: 0.0, given: 0, waiting: Vec::new(), random }
    }

    /// Fills the next bin that has arrivals, latest first.
    fn turn(&mut self) {
        while let Some(weight) = self.weights.get(self.bin) {
            self.reached += f64::from(*weight);
            let last = self.bin + 1 == self.weights.len();
            let until = if last { self.events } else { (self.reached / self.total * self.events as f64) as u64 };
            let base = self.start as f64 + self.bin as f64 * self.span;
            self.bin += 1;
            for _ in self.given..until.min(self.events) {
                self.waiting.push((base + self.random.unit() * self.span) as i64);
            }
            self.given = self.given.max(until.min(self.events));
            if !self.waiting.is_empty() {
                self.waiting.sort_unstable_by(|a, b| b.cmp(a));
                return;
            }
        }
    }
}

impl Iterator for Arrivals {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        if self.waiting.is_empty() {
            self.turn();
        }
        self.waiting.pop()
    }
}

/// The number of bins for so many events in so many days.
pub(crate) fn bins(events: u64, days: f64) -> u64 {
    ((days * 1_440.0) as u64).max(events / BIN_EVENTS).max(1)
}

fn weight(seconds: i64) -> f64 {
    let local = seconds + 8 * 3_600;
    let hour = local.rem_euclid(86_400) as f64 / 3_600.0;
    let bell = |at: f64, width: f64| {
        let x = (hour - at) / width;
        libm::exp(-x * x)
    };
    let day = 0.35 + bell(10.5, 2.6) + 0.9 * bell(15.5, 2.8) + 0.25 * bell(21.0, 1.5);
    // 1970-01-01 was a Thursday.
    let weekend = matches!((local.div_euclid(86_400) + 4).rem_euclid(7), 0 | 6);
    if weekend { day * 0.45 } else { day }
}

/// Gamma noise of shape 8 and mean 1: the mean of eight exponentials.
fn noise(random: &mut Random) -> f64 {
    let product: f64 = (0..8).map(|_| 1.0 - random.unit()).product();
    -libm::log(product) / 8.0
}

/// Seconds between an event and its arrival: exponential with mean 4, rounded down; one in 200 is up to five minutes late.
#[derive(Debug, Clone)]
pub(crate) struct Lag {
    table: Vec<u8>,
}

impl Lag {
    pub(crate) fn new() -> Lag {
        let quantile = |i: usize| (-libm::log((i as f64 + 0.5) / LAGS as f64) * 4.0) as u8;
        Lag { table: (0..LAGS).map(quantile).collect() }
    }

    #[inline]
    pub(crate) fn draw(&self, random: &mut Random) -> i64 {
        if random.unit() < LATE_SHARE {
            return random.below(LATE_SECONDS_MAX) as i64;
        }
        let at = random.below(LAGS as u64) as usize;
        i64::from(self.table.get(at).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-11-16T00:00:00 in UTC+8.
    const MONDAY: i64 = 1_794_758_400;

    #[test]
    fn arrivals_are_sorted_whole_and_in_range() {
        for (events, days) in [(1, 1.0), (10, 0.001), (5_000, 3.0), (100_000, 0.01)] {
            let all: Vec<i64> = Arrivals::new(events, MONDAY, days, Random::new(3)).collect();
            assert_eq!(all.len() as u64, events);
            assert!(all.is_sorted());
            let end = MONDAY as f64 + days * 86_400.0;
            assert!(all.iter().all(|&t| t >= MONDAY && t as f64 <= end), "{events} in {days}");
        }
    }

    #[test]
    fn days_are_busier_than_nights_and_weekends() {
        let all: Vec<i64> = Arrivals::new(70_000, MONDAY, 7.0, Random::new(3)).collect();
        let between = |from: i64, to: i64| all.iter().filter(|&&t| t >= MONDAY + from * 3_600 && t < MONDAY + to * 3_600).count();
        assert!(between(10, 12) > 2 * between(2, 4), "{} and {}", between(10, 12), between(2, 4));
        assert!(between(0, 24) > 3 * between(120, 144) / 2, "{} and {}", between(0, 24), between(120, 144));
    }

    #[test]
    fn lags_are_short_and_sometimes_long() {
        let (lag, mut random) = (Lag::new(), Random::new(5));
        let all: Vec<i64> = (0..20_000).map(|_| lag.draw(&mut random)).collect();
        let mean = all.iter().sum::<i64>() as f64 / all.len() as f64;
        assert!((3.5..5.0).contains(&mean), "{mean}");
        assert!(all.iter().all(|&l| (0..300).contains(&l)) && all.iter().any(|&l| l > 100));
    }
}
