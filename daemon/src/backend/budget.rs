//! [`BodyBudget`]: how many bytes of request bodies may be in memory at any time.
//!
//! Counted in KiB, rounded up, since a semaphore's permits are counted in 32 bits. Nobody waits for the budget: waiting bodies
//! would hold connections and what they already have, and could wait for each other.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trail_engine::error::{Error, ErrorKind, Result};

/// The budget of the whole server.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    kib: Arc<Semaphore>,
    kib_max: usize,
}

impl BodyBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> BodyBudget {
        let kib_max = usize::try_from(bytes >> 10).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        BodyBudget { kib: Arc::new(Semaphore::new(kib_max)), kib_max }
    }

    /// An empty reservation, to be grown before bytes are read.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), held: None, bytes: 0 }
    }

    /// How many bytes are reserved now.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        (self.kib_max.saturating_sub(self.kib.available_permits()) as u64) << 10
    }
}

/// Bytes of the budget that one body holds; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: BodyBudget,
    held: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Reservation {
    /// Makes sure that `bytes` more than before are reserved.
    ///
    /// # Errors
    /// `Busy` when the server holds as much as it may.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let wanted = self.bytes.saturating_add(bytes);
        let missing = wanted.div_ceil(1 << 10).saturating_sub(self.held.as_ref().map_or(0, |p| p.num_permits() as u64));
        if missing > 0 {
            let busy = || Error::new(ErrorKind::Busy, "the server holds as many request bodies as it may; try again");
            let missing = u32::try_from(missing).map_err(|_| busy())?;
            let more = self.budget.kib.clone().try_acquire_many_owned(missing).map_err(|_| busy())?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        }
        self.bytes = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_limit_and_gives_back() {
        let budget = BodyBudget::new(10 << 10);
        let mut first = budget.reservation();
        first.grow(1).unwrap();
        first.grow(1_023).unwrap();
        assert_eq!(budget.reserved_bytes(), 1 << 10);
        first.grow(8 << 10).unwrap();
        let mut second = budget.reservation();
        second.grow(1 << 10).unwrap();
        assert_eq!(second.grow(1).unwrap_err().kind(), ErrorKind::Busy);
        drop(first);
        second.grow(1).unwrap();
        drop(second);
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
