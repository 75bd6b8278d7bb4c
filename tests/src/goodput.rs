//! [`Measured`]: what a server takes from its clients, by the clock and by the processor.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::load;
use crate::ledger::Ledger;
use crate::seed::Random;
use crate::server::Server;
use crate::stranger::processor;

/// What a rate is of those before and after, between which the cost of an event grew: the mean of what an event cost.
#[must_use]
pub fn of_the_peak(rate: f64, around: [f64; 2]) -> f64 {
    rate * around.map(f64::recip).iter().sum::<f64>() / 2.0
}

/// What a server took from some clients.
#[derive(Debug)]
pub struct Measured {
    events: usize,
    /// How many batches were refused.
    pub refused: u64,
    time: Duration,
    processor: Duration,
}

impl Measured {
    /// Events a second, by the clock.
    #[must_use]
    pub fn a_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }

    /// Events for a second of the server's processor time.
    #[must_use]
    pub fn of_processor(&self) -> f64 {
        self.events as f64 / self.processor.as_secs_f64()
    }
}

/// Lets clients send for a while, and measures what is taken from them.
pub fn measured(server: &Server, clients: usize, time: Duration, name: &str, ledger: &mut Ledger, random: &mut Random) -> Measured {
    let begun = processor(server.pid());
    let tally = load(server, clients, time, name, random);
    let processor = processor(server.pid()) - begun;
    let measured = Measured { events: tally.events(), refused: tally.refused.load(Ordering::Relaxed), time, processor };
    tally.into_ledger(ledger);
    measured
}

/// How much of a core a server takes for a while. What it does in the background ends, and spinning does not.
#[must_use]
pub fn share_of_a_core(server: &Server) -> f64 {
    let (before, start) = (processor(server.pid()), Instant::now());
    thread::sleep(Duration::from_millis(300));
    (processor(server.pid()) - before).as_secs_f64() / start.elapsed().as_secs_f64()
}
