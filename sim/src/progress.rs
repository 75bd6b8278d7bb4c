//! A line on standard error that says how far a class is.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trail_engine::clock::{Clock as _, SystemClock};

/// How far a class is. Drawn at most a few times a second, and only on a terminal.
#[derive(Debug)]
pub struct Progress {
    name: String,
    target: u64,
    done: AtomicU64,
    clock: SystemClock,
    drawn: AtomicU64,
    shown: bool,
}

const WIDTH: u64 = 30;
const BETWEEN: Duration = Duration::from_millis(200);

impl Progress {
    /// A bar for so many cases.
    #[must_use]
    pub fn new(name: impl Into<String>, target: u64) -> Progress {
        let shown = std::io::stderr().is_terminal();
        Progress { name: name.into(), target, done: AtomicU64::new(0), clock: SystemClock::new(), drawn: AtomicU64::new(0), shown }
    }

    /// One more case is done.
    pub fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.elapsed().as_millis() as u64;
        let last = self.drawn.load(Ordering::Relaxed);
        if self.shown && now >= last + BETWEEN.as_millis() as u64 {
            self.drawn.store(now, Ordering::Relaxed);
            let filled = (done * WIDTH / self.target.max(1)).min(WIDTH) as usize;
            let bar: String = (0..WIDTH as usize).map(|at| if at < filled { '#' } else { '.' }).collect();
            let left = (now as f64 / done as f64 * self.target.saturating_sub(done) as f64 / 1_000.0) as u64;
            eprint!("\r{} [{bar}] {done} of {}, about {left} s left \x1b[K", self.name, self.target);
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
