//! [`Space`]: whether the disk has room for what is to come.
//!
//! Problem: a log without space refuses writes and resumes by itself, so that it is healthy in its own eyes; but nobody should be sent
//! to it. Mechanism: the last write that was refused for want of space is remembered, and the free space of the file system is held
//! against a reserve. Limits: a refusal is forgotten after a minute without another, since a server that gets no writes because it is
//! not ready could never become ready again.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trail_engine::error::{ErrorKind, Result};

/// How long a refused write is remembered: as long as clients are told to wait.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The room on the disk of one log.
#[derive(Debug)]
pub struct Space {
    directory: PathBuf,
    reserve_bytes: u64,
    refused: Mutex<Option<Instant>>,
}

impl Space {
    /// `reserve_bytes` is the free space below which something is wrong; 0 for none.
    #[must_use]
    pub fn new(directory: PathBuf, reserve_bytes: u64) -> Space {
        Space { directory, reserve_bytes, refused: Mutex::new(None) }
    }

    /// Learns from what became of a write.
    pub fn note<T>(&self, written: &Result<T>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok(_) => *refused = None,
            Err(e) if e.kind() == ErrorKind::Full => *refused = Some(Instant::now()),
            Err(_) => {}
        }
    }

    /// What is wrong, in words. Asks the file system.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_some_and(|at| at.elapsed() < REMEMBERED) {
            return Some("the disk is full: writes are refused".into());
        }
        let free = self.free_bytes().filter(|free| *free < self.reserve_bytes)?;
        Some(format!("the disk has {free} bytes left, less than the reserve of {}", self.reserve_bytes))
    }

    /// Unknown when the file system does not say.
    fn free_bytes(&self) -> Option<u64> {
        let of = rustix::fs::statvfs(&self.directory).ok()?;
        Some(of.f_bavail.saturating_mul(of.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use trail_engine::error::Error;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_write_is_a_problem_until_one_succeeds_or_for_a_minute() {
        let space = Space::new(std::env::temp_dir(), 0);
        assert_eq!(space.problem(), None);
        let full: Result<()> = Err(Error::new(ErrorKind::Full, "no space"));
        space.note(&full);
        assert!(space.problem().unwrap().contains("the disk is full"));
        space.note::<()>(&Err(Error::new(ErrorKind::Busy, "wait")));
        assert!(space.problem().is_some(), "another error says nothing about space");
        space.note(&Ok(()));
        assert_eq!(space.problem(), None);
        space.note(&full);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(space.problem(), None);
    }

    #[tokio::test]
    async fn a_reserve_that_is_used_is_a_problem() {
        let problem = Space::new(std::env::temp_dir(), u64::MAX).problem().unwrap();
        assert!(problem.contains("less than the reserve"), "{problem}");
        assert_eq!(Space::new("/nowhere/at/all".into(), u64::MAX).problem(), None);
    }
}
