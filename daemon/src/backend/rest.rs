//! [`rest_when_idle`]: lets a log that nobody asks let go of what only makes questions faster.
//!
//! Unfolded parts of segments, and pages of their maps, are worth their memory while questions come. A server that only takes events in, or
//! does nothing, should not hold them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use trail_engine::AuditLog;

/// How often there is a look whether questions came.
const LOOK: Duration = Duration::from_secs(10);
/// After so many looks without a question the log rests.
const LOOKS_MAX: u32 = 6;

/// How many questions were asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<AtomicU64>);

impl Asked {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// For how many looks there was no question.
#[derive(Debug, Default)]
struct Quiet {
    asked: u64,
    looks: u32,
}

impl Quiet {
    /// Whether to rest now: once in every quiet time.
    fn look(&mut self, asked: u64) -> bool {
        self.looks = if asked == self.asked { self.looks.saturating_add(1) } else { 0 };
        self.asked = asked;
        self.looks == LOOKS_MAX
    }
}

/// Starts to look after a log, until that is gone.
pub(super) fn rest_when_idle(log: &Arc<AuditLog>, asked: Asked) {
    let log: Weak<AuditLog> = Arc::downgrade(log);
    tokio::spawn(async move {
        let (mut ticks, mut quiet) = (interval(LOOK), Quiet::default());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(log) = log.upgrade() else { return };
            if quiet.look(asked.0.load(Ordering::Relaxed)) {
                // Whether it ended well changes nothing here.
                let _ended = tokio::task::spawn_blocking(move || log.rest()).await;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_once_in_every_quiet_minute_or_longer() {
        let mut quiet = Quiet::default();
        let rests = |quiet: &mut Quiet, asked| (0..20).filter(|_| quiet.look(asked)).count();
        assert_eq!(rests(&mut quiet, 5), 1);
        assert_eq!(rests(&mut quiet, 6), 1);
        assert_eq!((7..100).filter(|asked| quiet.look(*asked)).count(), 0);
    }
}
