//! [`Outcome`]: what became of a peer.

use std::time::Duration;

use trail_rig::Disk;

/// What became of a peer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It could not be started.
    Skipped {
        name: String,
        why: String,
    },
    /// It could be started, and then stored or answered nothing that counts.
    Failed {
        name: String,
        why: String,
    },
    Measured(Measured),
}

/// What was measured of a peer.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) note: String,
    /// From the first byte to the last answer.
    pub(crate) store_time: Duration,
    /// CPU seconds until then, and those until it was settled.
    pub(crate) store_cpu: Option<f64>,
    pub(crate) settle_cpu: Option<f64>,
    pub(crate) disk: Option<Disk>,
    /// The queries included.
    pub(crate) peak_memory: Option<u64>,
    /// For each question.
    pub(crate) answers: Vec<Answered>,
}

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Answered {
    Right(Times),
    /// It cannot be asked that.
    Not,
    /// It answered something else than what the file says.
    Wrong(String),
}

/// The times of one question, shortest first.
#[derive(Debug, Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// In any order.
    pub(crate) fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    /// How many there are.
    pub(crate) fn runs(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a hundred do not exceed (nearest rank), in milliseconds.
    pub(crate) fn milliseconds(&self, in_hundred: usize) -> f64 {
        let rank = (self.0.len() * in_hundred).div_ceil(100).max(1) - 1;
        self.0.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

impl Outcome {
    /// Whether it is a reason to end with an error: a peer that failed, or a wrong answer.
    pub(crate) fn is_wrong(&self) -> bool {
        match self {
            Outcome::Skipped { .. } => false,
            Outcome::Failed { .. } => true,
            Outcome::Measured(measured) => measured.answers.iter().any(|answer| matches!(answer, Answered::Wrong(_))),
        }
    }

    /// What was measured, if anything was.
    pub(crate) fn measured(&self) -> Option<&Measured> {
        match self {
            Outcome::Measured(measured) => Some(measured),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100, 0].map(|p| times.milliseconds(p).round()), [50.0, 99.0, 100.0, 1.0]);
        assert_eq!(Times::of(Vec::new()).milliseconds(50), 0.0);
    }
}
