//! [`Schedule`]: when which request is sent, and how far the run is.
//!
//! Closed loop: a connection sends as soon as its last request was answered. Open loop: request after request has its planned time, whatever
//! the server does; one that finds every connection busy is sent late, and its latency counts from the plan all the same. So a server that stalls
//! is seen to stall ("coordinated omission" is what hides it).

use std::time::{Duration, Instant};

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    Events(u64),
    /// Requests that are planned (or, in a closed loop, sent) in this time, counted from the first after the warm-up.
    Time(Duration),
}

/// What a connection that is free does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Send(Request),
    /// Nothing before this time.
    Later(Instant),
    /// Nothing any more.
    Done,
}

/// A request that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) events: usize,
    /// What latency counts from.
    pub(crate) planned: Instant,
    /// It counts in no figure.
    pub(crate) warm: bool,
}

/// Gives out the requests of a run.
#[derive(Debug)]
pub(crate) struct Schedule {
    batch: u64,
    warm: u64,
    limit: Limit,
    /// Seconds an event, in an open loop.
    pace: Option<f64>,
    start: Instant,
    /// When the first request after the warm-up was planned.
    measured_since: Option<Instant>,
    claimed: u64,
    prepared: u64,
}

impl Schedule {
    pub(crate) fn new(batch: usize, warm: u64, limit: Limit, rate: Option<f64>, start: Instant) -> Schedule {
        let pace = rate.map(|rate| 1.0 / rate);
        Schedule { batch: batch as u64, warm, limit, pace, start, measured_since: None, claimed: 0, prepared: 0 }
    }

    /// The first request is planned for this time: everything is ready.
    pub(crate) fn begin(&mut self, start: Instant) {
        self.start = start;
    }

    /// When the first request that counts was planned.
    pub(crate) fn measured_since(&self) -> Option<Instant> {
        self.measured_since
    }

    /// How many requests the whole run has, when that is known.
    pub(crate) fn requests(batch: usize, warm: u64, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Events(events) => Some(warm.div_ceil(batch as u64).saturating_add(events.div_ceil(batch as u64))),
            Limit::Time(_) => None,
        }
    }

    /// Takes the next request, if there is one for now.
    pub(crate) fn claim(&mut self, now: Instant) -> Claim {
        let planned = self.pace.map_or(now, |pace| self.start + Duration::from_secs_f64(self.claimed as f64 * pace));
        let warm = self.claimed < self.warm;
        let left = match self.limit {
            _ if warm => self.warm - self.claimed,
            Limit::Events(events) => (self.warm + events) - self.claimed,
            Limit::Time(time) if self.measured_since.is_some_and(|since| planned >= since + time) => 0,
            Limit::Time(_) => self.batch,
        };
        if left == 0 {
            return Claim::Done;
        }
        if planned > now {
            return Claim::Later(planned);
        }
        if !warm {
            self.measured_since.get_or_insert(planned);
        }
        let events = left.min(self.batch);
        self.claimed += events;
        Claim::Send(Request { events: events as usize, planned, warm })
    }

    /// The part of the run, from 0 to 1, that the next batch covers; for the times of its events.
    pub(crate) fn part(&mut self, now: Instant) -> (f64, f64) {
        let before = self.prepared as f64;
        self.prepared += self.batch;
        match self.limit {
            Limit::Events(events) => {
                let all = (self.warm + events) as f64;
                ((before / all).min(1.0), (self.prepared as f64 / all).min(1.0))
            }
            Limit::Time(time) => {
                let since = self.measured_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
                let at = (since.as_secs_f64() / time.as_secs_f64()).min(1.0);
                (at, at)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail_rig::now;

    fn sent(schedule: &mut Schedule, now: Instant) -> Option<(usize, bool)> {
        match schedule.claim(now) {
            Claim::Send(request) => Some((request.events, request.warm)),
            Claim::Later(_) | Claim::Done => None,
        }
    }

    #[test]
    fn events_are_counted_after_the_warm_up() {
        let start = now();
        let mut schedule = Schedule::new(10, 15, Limit::Events(25), None, start);
        let all: Vec<_> = std::iter::from_fn(|| sent(&mut schedule, start)).collect();
        assert_eq!(all, [(10, true), (5, true), (10, false), (10, false), (5, false)]);
        assert_eq!(schedule.claim(start), Claim::Done);
        assert_eq!(Schedule::requests(10, 15, Limit::Events(25)), Some(5));
    }

    #[test]
    fn an_open_loop_keeps_its_plan_however_late() {
        let start = now();
        let ms = |count: u64| start + Duration::from_millis(count);
        let mut schedule = Schedule::new(10, 0, Limit::Time(Duration::from_millis(30)), Some(1_000.0), start);
        let planned = |claim: Claim| if let Claim::Send(request) = claim { Some(request.planned) } else { None };
        assert_eq!(planned(schedule.claim(start)), Some(start));
        assert_eq!(schedule.claim(ms(1)), Claim::Later(ms(10)));
        assert_eq!(planned(schedule.claim(ms(500))), Some(ms(10)));
        assert_eq!(planned(schedule.claim(ms(500))), Some(ms(20)));
        assert_eq!(schedule.claim(ms(500)), Claim::Done);
    }

    #[test]
    fn a_time_counts_from_the_first_request_that_counts() {
        let start = now();
        let mut schedule = Schedule::new(1, 1, Limit::Time(Duration::from_secs(1)), None, start);
        assert_eq!(sent(&mut schedule, start), Some((1, true)));
        assert_eq!(sent(&mut schedule, start + Duration::from_secs(9)), Some((1, false)));
        assert_eq!(schedule.part(start + Duration::from_millis(9_500)), (0.5, 0.5));
        assert_eq!(sent(&mut schedule, start + Duration::from_millis(9_999)), Some((1, false)));
        assert_eq!(schedule.claim(start + Duration::from_secs(10)), Claim::Done);
    }
}
