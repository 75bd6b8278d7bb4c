//! [`Tally`]: what became of the requests.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use trail_rig::Result;

use crate::protocol::Verdict;
use crate::schedule::Request;

/// Latencies above are counted as this; three digits of each are kept.
const LATENCY_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Events that were not accepted for one reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    pub(crate) requests: u64,
    pub(crate) events: u64,
    /// What the server said the first time.
    pub(crate) said: String,
}

/// Counts; those of the warm-up stand apart.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Requests that were answered or given up.
    pub(crate) requests: u64,
    pub(crate) events: u64,
    /// Of requests with an answer that accepted any.
    pub(crate) bytes: u64,
    pub(crate) warm_events: u64,
    /// Answers that said to wait, in the warm-up too.
    pub(crate) waits: u64,
    /// Also of the warm-up: no event that was not accepted is overlooked.
    pub(crate) refusals: BTreeMap<String, Refusal>,
    latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Tally> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, 3)?;
        Ok(Tally { requests: 0, events: 0, bytes: 0, warm_events: 0, waits: 0, refusals: BTreeMap::new(), latency })
    }

    /// A request that was answered.
    pub(crate) fn answered(&mut self, request: &Request, bytes: u64, latency: Duration, verdict: Verdict) {
        if request.warm {
            self.warm_events += verdict.accepted;
        } else {
            self.requests += 1;
            self.events += verdict.accepted;
            if verdict.accepted > 0 {
                self.bytes += bytes;
                self.latency.saturating_record(latency.as_nanos() as u64);
            }
        }
        for (reason, events) in verdict.refused {
            self.refuse(reason, events, &verdict.said);
        }
    }

    /// A request that never had an answer.
    pub(crate) fn lost(&mut self, request: &Request, reason: String) {
        self.requests += u64::from(!request.warm);
        self.refuse(reason, request.events as u64, "");
    }

    fn refuse(&mut self, reason: String, events: u64, said: &str) {
        let refusal = self.refusals.entry(reason).or_default();
        refusal.requests += 1;
        refusal.events += events;
        if refusal.said.is_empty() {
            refusal.said.push_str(said);
        }
    }

    /// Every event that the server did not say it has.
    pub(crate) fn refused(&self) -> u64 {
        self.refusals.values().map(|refusal| refusal.events).sum()
    }

    /// The latency, in milliseconds, that this part (0 to 1) of the requests does not exceed; 0 without any.
    pub(crate) fn milliseconds(&self, part: f64) -> f64 {
        self.latency.value_at_quantile(part) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail_rig::now;

    #[test]
    fn counts_and_quantiles() {
        let mut tally = Tally::new().unwrap();
        let request = |warm| Request { events: 2, planned: now(), warm };
        let verdict = |accepted, refused: &[(&str, u64)]| Verdict {
            accepted,
            refused: refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            said: "why".to_owned(),
        };
        for ms in 1..=100 {
            tally.answered(&request(false), 10, Duration::from_millis(ms), verdict(2, &[]));
        }
        tally.answered(&request(true), 10, Duration::from_secs(9), verdict(1, &[("x", 1)]));
        tally.answered(&request(false), 10, Duration::from_secs(9), verdict(0, &[("x", 2)]));
        tally.lost(&request(false), "lost".to_owned());
        assert_eq!((tally.requests, tally.events, tally.bytes, tally.warm_events, tally.refused()), (102, 200, 1_000, 1, 5));
        let x = tally.refusals.get("x").unwrap();
        assert_eq!((x.requests, x.events, x.said.as_str()), (2, 3, "why"));
        assert_eq!([0.5, 0.99, 1.0].map(|part| tally.milliseconds(part).round()), [50.0, 99.0, 100.0]);
    }
}
