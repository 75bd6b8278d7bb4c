//! [`Budget`]: how much time and memory a query may take, and whether somebody still wants its answer.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::status::Gap;

/// A flag by which a caller says that the answer is no longer wanted.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Tells the work to stop at its next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was told to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bounds of one query; checked at least once for every block that is read.
pub struct Budget {
    clock: Arc<dyn Clock>,
    deadline: Duration,
    memory_bytes_max: u64,
    memory_bytes: AtomicU64,
    blocks: AtomicU64,
    cancel: Cancel,
    /// What could not be read on the way.
    gaps: Mutex<Vec<Gap>>,
}

/// The most stretches that are told apart; later ones are added to the last.
const GAPS_MAX: usize = 100;

impl Budget {
    /// A budget that runs out `time_max` from now, or at `memory_bytes_max` bytes of answer and scratch memory.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, time_max: Duration, memory_bytes_max: u64, cancel: Cancel) -> Budget {
        let deadline = clock.elapsed().saturating_add(time_max);
        Budget {
            clock,
            deadline,
            memory_bytes_max,
            memory_bytes: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            cancel,
            gaps: Mutex::default(),
        }
    }

    /// A budget that never runs out, for the engine's own work.
    #[must_use]
    pub fn unlimited(clock: Arc<dyn Clock>) -> Budget {
        Budget::new(clock, Duration::MAX, u64::MAX, Cancel::default())
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], or [`ErrorKind::Limit`] past the deadline.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the query was cancelled"));
        }
        if self.clock.elapsed() > self.deadline {
            return Err(Error::new(ErrorKind::Limit, "the query took longer than it may; narrow the time range or add a dimension"));
        }
        Ok(())
    }

    /// Counts a decoded block and checks.
    ///
    /// # Errors
    /// As [`Budget::check`].
    pub fn block(&self) -> Result<()> {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.check()
    }

    /// Takes memory for an answer.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when the query would hold more than it may.
    pub fn take_memory(&self, bytes: u64) -> Result<()> {
        self.within(self.memory_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes))
    }

    /// Whether so much more memory could be taken: what is made in one go can stop before it is more.
    ///
    /// # Errors
    /// As [`Budget::take_memory`].
    pub fn has_memory(&self, bytes: u64) -> Result<()> {
        self.within(self.memory_bytes.load(Ordering::Relaxed).saturating_add(bytes))
    }

    fn within(&self, held: u64) -> Result<()> {
        if held > self.memory_bytes_max {
            return Err(Error::new(ErrorKind::Limit, "the query needs more memory than it may; ask for fewer events")
                .expected(format!("at most {} bytes", self.memory_bytes_max), held));
        }
        Ok(())
    }

    /// How much memory can still be taken, in bytes.
    #[must_use]
    pub fn memory_left(&self) -> u64 {
        self.memory_bytes_max.saturating_sub(self.memory_bytes.load(Ordering::Relaxed))
    }

    /// Notes that a stretch of the log could not be read, and is missing from the answer.
    pub fn miss(&self, gap: Gap) {
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |known: &Gap| (&known.part, known.first_sequence, known.last_sequence) == (&gap.part, gap.first_sequence, gap.last_sequence);
        if gaps.iter().any(is_same) {
            return;
        }
        if gaps.len() < GAPS_MAX {
            gaps.push(gap);
        } else if let Some(last) = gaps.last_mut() {
            last.first_sequence = last.first_sequence.min(gap.first_sequence);
            last.last_sequence = last.last_sequence.max(gap.last_sequence);
            last.events = last.events.saturating_add(gap.events);
            last.part = "several".into();
        }
    }

    /// What could not be read so far.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many blocks were decoded so far.
    #[must_use]
    pub fn blocks_decoded(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn runs_out_of_time_memory_and_patience() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let cancel = Cancel::default();
        let budget = Budget::new(clock.clone(), Duration::MAX, 100, cancel.clone());
        assert!(budget.check().is_ok() && budget.take_memory(100).is_ok());
        assert_eq!((budget.memory_left(), budget.has_memory(1).unwrap_err().kind()), (0, ErrorKind::Limit));
        assert_eq!(budget.take_memory(1).unwrap_err().kind(), ErrorKind::Limit);
        cancel.cancel();
        assert_eq!(budget.check().unwrap_err().kind(), ErrorKind::Cancelled);
        let late = Budget::new(clock, Duration::ZERO, 100, Cancel::default());
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(late.block().unwrap_err().kind(), ErrorKind::Limit);
    }
}
