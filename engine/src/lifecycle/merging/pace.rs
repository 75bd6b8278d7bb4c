//! [`Pace`]: how fast background work goes, so that callers do not feel it.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::live::shared::Shared;

/// How long to work between two rests.
const SLICE: Duration = Duration::from_millis(10);
/// The most work that one rest is for: a clock that jumps must not stop the work.
const WORK_MAX: Duration = Duration::from_millis(500);
/// The share of a core while a head waits to be flushed, in percent: never nothing, or segments would pile up under a steady load.
const PERCENT_BESIDE_FLUSH: u32 = 20;

/// Works for a slice of time, then rests for its share.
pub(crate) struct Pace<'a> {
    shared: &'a Shared,
    stop: &'a dyn Fn() -> bool,
    since: Duration,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(shared: &'a Shared, stop: &'a dyn Fn() -> bool) -> Pace<'a> {
        Pace { shared, stop, since: shared.clock.elapsed() }
    }

    /// Called between two steps: rests when there was enough work.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the work is to end.
    pub(crate) fn breathe(&mut self) -> Result<()> {
        if (self.stop)() {
            return Err(Error::new(ErrorKind::Cancelled, "the log is being closed"));
        }
        let worked = self.shared.clock.elapsed().saturating_sub(self.since);
        if worked < SLICE {
            return Ok(());
        }
        let rest = rest_after(worked.min(WORK_MAX), self.percent());
        if !rest.is_zero() {
            self.shared.wait(self.shared.signals(), rest);
        }
        self.since = self.shared.clock.elapsed();
        Ok(())
    }

    fn percent(&self) -> u32 {
        let percent = self.shared.options.merge_cpu_percent;
        if self.shared.is_flushing() { percent.min(PERCENT_BESIDE_FLUSH) } else { percent }
    }
}

/// The rest that makes this much work the share of a core.
fn rest_after(worked: Duration, percent: u32) -> Duration {
    worked.saturating_mul(100_u32.saturating_sub(percent)) / percent.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_make_the_share() {
        let worked = Duration::from_millis(20);
        assert_eq!(rest_after(worked, 50), worked);
        assert_eq!(rest_after(worked, 20), worked * 4);
        assert_eq!(rest_after(worked, 100), Duration::ZERO);
        assert_eq!(rest_after(worked, 400), Duration::ZERO);
    }
}
