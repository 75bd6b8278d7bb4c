//! [`Measured`]: what a server takes from its clients, by the clock and by the processor; [`Goodput`]: what is left of that in overload.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{BatchSize, Crowd, closed_loop, open_loop};
use crate::ledger::Ledger;
use crate::seed::Random;
use crate::server::Server;
use crate::stranger::processor;

/// What must be left of the peak.
const GOODPUT_MIN: f64 = 0.8;
/// And by the measure that says less of both: others on the machine may take the clock from one part of a test and not from the other.
const GOODPUT_MIN_BY_EITHER: f64 = 0.5;

/// What a server took from some clients.
#[derive(Debug)]
pub struct Measured {
    events: usize,
    /// How many requests were acknowledged.
    pub served: u64,
    /// How many were begun.
    pub begun: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many were given up, or broke.
    pub gone: u64,
    time: Duration,
    processor: Duration,
}

impl Measured {
    /// Events a second, by the clock.
    fn a_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }

    /// Events for a second of the server's processor time.
    fn of_processor(&self) -> f64 {
        self.events as f64 / self.processor.as_secs_f64()
    }

    /// Requests a second that were acknowledged.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.served as f64 / self.time.as_secs_f64()
    }

    /// Of a crowd that sends for so long.
    fn of(server: &Server, time: Duration, ledger: &mut Ledger, send: impl FnOnce() -> Crowd) -> Measured {
        let before = processor(server.pid());
        let Crowd { tally, begun } = send();
        let processor = processor(server.pid()) - before;
        let [refused, gone] = [&tally.refused, &tally.gone].map(|count| count.load(Ordering::Relaxed));
        let measured = Measured { events: tally.events(), served: tally.requests() as u64, begun, refused, gone, time, processor };
        tally.into_ledger(ledger);
        measured
    }
}

/// Lets clients send for a while, each its next batch when the one before is answered, and measures what is taken from them.
pub fn measured(
    server: &Server,
    clients: usize,
    time: Duration,
    (name, batch): (&str, BatchSize),
    ledger: &mut Ledger,
    random: &mut Random,
) -> Measured {
    Measured::of(server, time, ledger, || {
        let tally = closed_loop(server, clients, time, name, batch, random);
        let begun = tally.requests() as u64 + tally.refused.load(Ordering::Relaxed) + tally.gone.load(Ordering::Relaxed);
        Crowd { tally, begun }
    })
}

/// The same of a crowd that sends so many requests a second and gives up what is not answered in time: see [`open_loop`].
pub fn measured_open(
    server: &Server,
    rate: f64,
    time: Duration,
    (name, batch): (&str, BatchSize),
    ledger: &mut Ledger,
    random: &mut Random,
) -> Measured {
    Measured::of(server, time, ledger, || open_loop(server, rate, time, name, batch, random))
}

/// What is left of the peak in overload.
#[derive(Debug, Clone, Copy)]
pub struct Goodput {
    by_clock: f64,
    by_processor: f64,
}

impl Goodput {
    /// What was taken in overload, of what was before and after. A log that grows costs more: the peak is that of both.
    #[must_use]
    pub fn of(over: &Measured, around: [&Measured; 2]) -> Goodput {
        let by_clock = of_the_peak(over.a_second(), around.map(Measured::a_second));
        let by_processor = of_the_peak(over.of_processor(), around.map(Measured::of_processor));
        Goodput { by_clock, by_processor }
    }

    /// Whether that is enough. Others on the machine may take the clock from one part of the test and not from the other, but not what the
    /// processor does for an event; refusals that cost too much show in both.
    #[must_use]
    pub fn is_enough(self) -> bool {
        self.by_clock.max(self.by_processor) >= GOODPUT_MIN && self.by_clock.min(self.by_processor) >= GOODPUT_MIN_BY_EITHER
    }
}

/// What a rate is of those before and after, between which the cost of an event grew: the mean of what an event cost.
fn of_the_peak(rate: f64, around: [f64; 2]) -> f64 {
    rate * around.map(f64::recip).iter().sum::<f64>() / 2.0
}

/// How much of a core a server takes for a while. What it does in the background ends, and spinning does not.
#[must_use]
pub fn share_of_a_core(server: &Server) -> f64 {
    let (before, start) = (processor(server.pid()), Instant::now());
    thread::sleep(Duration::from_millis(300));
    (processor(server.pid()) - before).as_secs_f64() / start.elapsed().as_secs_f64()
}
