//! A line on standard error that says how far a class is.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trail_engine::clock::{Clock as _, SystemClock};

/// How far a class is. Drawn at most a few times a second, and only on a terminal.
#[derive(Debug)]
pub struct Progress {
    name: String,
    target: AtomicU64,
    done: AtomicU64,
    clock: SystemClock,
    drawn: AtomicU64,
    shown: bool,
}

const WIDTH: u64 = 30;
const BETWEEN: Duration = Duration::from_millis(200);
/// From when on there is an estimate.
const KNOWN_AFTER: Duration = Duration::from_secs(3);

impl Progress {
    /// A bar whose length is not known yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Progress {
        let (shown, target) = (std::io::stderr().is_terminal(), AtomicU64::new(1));
        Progress { name: name.into(), target, done: AtomicU64::new(0), clock: SystemClock::new(), drawn: AtomicU64::new(0), shown }
    }

    /// So many cases are to come.
    pub fn expect(&self, cases: u64) {
        self.target.store(cases.max(1), Ordering::Relaxed);
    }

    /// One more case is done.
    pub fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.elapsed().as_millis() as u64;
        let last = self.drawn.load(Ordering::Relaxed);
        if self.shown && now >= last + BETWEEN.as_millis() as u64 {
            self.drawn.store(now, Ordering::Relaxed);
            let target = self.target.load(Ordering::Relaxed);
            let filled = (done * WIDTH / target).min(WIDTH) as usize;
            let bar: String = (0..WIDTH as usize).map(|at| if at < filled { '#' } else { '.' }).collect();
            let left = (now as f64 / done as f64 * target.saturating_sub(done) as f64 / 1_000.0) as u64;
            // The first cases wait for what all need.
            let left = if now < KNOWN_AFTER.as_millis() as u64 { String::new() } else { format!(", about {left} s left") };
            eprint!("\r{} [{bar}] {done} of {target}{left} \x1b[K", self.name);
            let _unseen = std::io::stderr().flush();
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.clock.elapsed()
    }
}
