//! [`ByteBudget`]: how many bytes of one kind, request bodies or answers, may be in memory at any time.
//!
//! Counted in KiB, rounded up, since a semaphore's permits are counted in 32 bits. Who has something of the budget does not wait for
//! more of it: two such could wait for each other. Who has nothing yet may wait for a while, in a `Line`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trail_engine::error::{Error, ErrorKind, Result};

use crate::backend::line::Line;
use crate::mutants;

/// The budget of the whole server.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    name: &'static str,
    kib: Arc<Semaphore>,
    kib_max: usize,
    line: Line,
}

impl ByteBudget {
    /// A budget of so many bytes of what `name` says, in the plural.
    #[must_use]
    pub fn new(name: &'static str, bytes: u64) -> ByteBudget {
        let kib_max = usize::try_from(bytes >> 10).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        ByteBudget { name, kib: Arc::new(Semaphore::new(kib_max)), kib_max, line: Line::default() }
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

/// Bytes of the budget that one holder has; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    held: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Reservation {
    /// Makes sure that `bytes` more than before are reserved.
    ///
    /// # Errors
    /// `Busy` when the server holds as much as it may; `Limit` when that would be too much even if it held nothing else.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let wanted = self.bytes.saturating_add(bytes);
        let missing = wanted.div_ceil(1 << 10).saturating_sub(self.held.as_ref().map_or(0, |p| p.num_permits() as u64));
        if missing > 0 {
            if wanted.div_ceil(1 << 10) > self.budget.kib_max as u64 {
                return Err(self.too_much(wanted));
            }
            let name = self.budget.name;
            let busy = || Error::new(ErrorKind::Busy, format!("the server holds as many {name} as it may; try again"));
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

    /// The first reservation, waited for as long as this: in the order of coming, and where that takes long, who came last first.
    ///
    /// # Errors
    /// See [`Reservation::grow`].
    pub async fn begin(&mut self, bytes: u64, patience: Duration) -> Result<()> {
        let refused = match self.grow(bytes) {
            Err(e) if e.kind() == ErrorKind::Busy && self.held.is_none() => e,
            grown => return grown,
        };
        let Ok(kib) = u32::try_from(bytes.div_ceil(1 << 10)) else { return Err(refused) };
        let wait = async {
            let _turn = self.budget.line.turn().await;
            self.budget.kib.clone().acquire_many_owned(kib).await
        };
        let Ok(Ok(held)) = tokio::time::timeout(patience, wait).await else { return Err(refused) };
        if mutants::is("waiter_gives_back_less") {
            self.budget.kib.forget_permits(64);
        }
        (self.held, self.bytes) = (Some(held), bytes);
        Ok(())
    }

    fn too_much(&self, wanted: u64) -> Error {
        let all = (self.budget.kib_max as u64) << 10;
        Error::new(ErrorKind::Limit, format!("this needs {wanted} bytes, and the server may hold {all} of all {}", self.budget.name))
    }

    /// Takes up to `bytes` of what is reserved as a reservation of its own.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Reservation {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        // What is left keeps a whole number of KiB; the part that was rounded up goes with the piece.
        let keep = usize::try_from(self.bytes.div_ceil(1 << 10)).unwrap_or(usize::MAX);
        let held = self.held.as_mut().and_then(|held| held.split(held.num_permits().saturating_sub(keep)));
        Reservation { budget: self.budget.clone(), held, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_limit_and_gives_back() {
        let budget = ByteBudget::new("bodies", 10 << 10);
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

    #[tokio::test(start_paused = true)]
    async fn the_first_is_waited_for() {
        let budget = ByteBudget::new("bodies", 10 << 10);
        let mut first = budget.reservation();
        first.begin(8 << 10, Duration::ZERO).await.unwrap();
        let mut second = budget.reservation();
        assert_eq!(second.begin(3 << 10, Duration::from_secs(1)).await.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(budget.reserved_bytes(), 8 << 10);
        assert_eq!(second.begin(11 << 10, Duration::MAX).await.unwrap_err().kind(), ErrorKind::Limit);
        let waits = tokio::spawn(async move {
            second.begin(3 << 10, Duration::from_secs(1)).await.unwrap();
            second
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(first);
        let second = waits.await.unwrap();
        assert_eq!(budget.reserved_bytes(), 3 << 10);
        drop(second);
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[test]
    fn what_can_never_fit_is_no_reason_to_wait() {
        let budget = ByteBudget::new("answers", 10 << 10);
        let error = budget.reservation().grow(11 << 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("all answers"), "{error}");
    }

    #[test]
    fn pieces_are_given_back_one_by_one() {
        let budget = ByteBudget::new("answers", 10 << 10);
        let mut whole = budget.reservation();
        whole.grow(2_500).unwrap();
        let first = whole.split(1_000);
        let second = whole.split(1_000);
        let rest = whole.split(9_000);
        assert_eq!(budget.reserved_bytes(), 3 << 10);
        drop(whole);
        assert_eq!(budget.reserved_bytes(), 3 << 10);
        drop(first);
        drop(second);
        assert_eq!(budget.reserved_bytes(), 1 << 10);
        drop(rest);
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
