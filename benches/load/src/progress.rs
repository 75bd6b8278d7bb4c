//! [`Progress`]: what the processes used since the first request that counts, and a line about it every second.

use std::time::Instant;

use trail_rig::{Process, grouped, mebibytes, now};

use crate::tally::Tally;

/// Looks at the generator and, when its process is known, at the server.
#[derive(Debug)]
pub(crate) struct Progress {
    server: Option<Process>,
    begun: bool,
    /// CPU seconds when the first request that counts was sent: own, server's.
    before: (Option<f64>, Option<f64>),
    start: Instant,
    last: Instant,
    last_events: u64,
}

impl Progress {
    pub(crate) fn new(server: Option<Process>) -> Progress {
        let start = now();
        Progress { server, begun: false, before: (None, None), start, last: start, last_events: 0 }
    }

    /// Counts from the first call on.
    pub(crate) fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.before = self.cpu_seconds();
        }
    }

    fn cpu_seconds(&self) -> (Option<f64>, Option<f64>) {
        (Process::this().cpu_seconds(), self.server.and_then(Process::cpu_seconds))
    }

    /// CPU seconds since: own, server's.
    pub(crate) fn used(&self) -> (Option<f64>, Option<f64>) {
        let (own, server) = self.cpu_seconds();
        (own.zip(self.before.0).map(|(now, then)| now - then), server.and_then(|now| self.server_used(now)))
    }

    /// The same from what the server used in its whole life.
    pub(crate) fn server_used(&self, whole: f64) -> Option<f64> {
        self.before.1.map(|then| whole - then)
    }

    /// Prints how far the run is, to standard error.
    pub(crate) fn show(&mut self, tally: &Tally) {
        let (time, events) = (now(), tally.warm_events + tally.events);
        let rate = (events - self.last_events) as f64 / (time - self.last).as_secs_f64();
        (self.last, self.last_events) = (time, events);
        let mut line = format!("{:5.0} s  {} events  {}/s", (time - self.start).as_secs_f64(), grouped(events), grouped(rate as u64));
        line.push_str(&format!("  p50 {:.2} p99 {:.2} ms", tally.milliseconds(0.5), tally.milliseconds(0.99)));
        if let Some(memory) = self.server.and_then(Process::memory) {
            line.push_str(&format!("  server {}", mebibytes(memory)));
        }
        if let (_, Some(used)) = self.used() {
            line.push_str(&format!(" {used:.1} CPU s"));
        }
        if tally.refused() > 0 || tally.waits > 0 {
            line.push_str(&format!("  not accepted {}, told to wait {}", grouped(tally.refused()), grouped(tally.waits)));
        }
        eprintln!("{line}");
    }
}
