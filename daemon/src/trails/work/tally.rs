//! [`Counted`]: deliveries as metrics.

use crate::metrics::{Metrics, TrailCounters};
use crate::trails::sink::seam::Delivered;
use crate::trails::work::worker::Tally;

/// Counts the deliveries of one sink.
#[derive(Debug)]
pub struct Counted(TrailCounters);

impl Counted {
    /// The counters of a sink.
    #[must_use]
    pub fn new(metrics: &Metrics, trail: &str, sink: &str) -> Counted {
        Counted(metrics.trail(trail, sink))
    }
}

impl Tally for Counted {
    fn delivered(&self, events: u64, delivered: &Delivered) {
        self.0.events.inc_by(events);
        self.0.objects.inc_by(delivered.objects);
        self.0.bytes.inc_by(delivered.bytes);
        self.0.dead_letters.inc_by(delivered.refused.len() as u64);
    }

    fn failed(&self) {
        self.0.failures.inc();
    }

    fn lost(&self, sequences: u64) {
        self.0.lost.inc_by(sequences);
    }
}
