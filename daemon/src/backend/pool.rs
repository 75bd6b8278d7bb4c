//! [`Pool`]: a bounded share of the runtime's blocking threads, with a bounded queue before it.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;
use trail_engine::error::{Error, ErrorKind, Result};

/// At most so many pieces of work at a time, and so many that wait.
#[derive(Debug, Clone)]
pub struct Pool {
    name: &'static str,
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Pool {
    /// A pool of `threads` threads before which `queue` pieces of work may wait.
    #[must_use]
    pub fn new(name: &'static str, threads: usize, queue: usize) -> Pool {
        let places = threads.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Pool { name, threads: Arc::new(Semaphore::new(threads)), places: Arc::new(Semaphore::new(places)) }
    }

    /// Runs work on a thread of the pool. The thread is taken until the work ends, also when the caller goes away.
    ///
    /// # Errors
    /// `Busy` when the queue is full; `Closed` when the runtime stops; what the work gives.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let busy = || Error::new(ErrorKind::Busy, format!("too many {} are waiting; try again", self.name));
        let place = self.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| stopping())?;
        let work = tokio::task::spawn_blocking(move || {
            let _held = (place, thread);
            work()
        });
        joined(work.await)
    }
}

/// What became of work on a blocking thread.
pub(super) fn joined<T>(joined: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    match joined {
        Ok(result) => result,
        Err(e) if e.is_panic() => Err(Error::new(ErrorKind::Io, "the work ended in a panic").because(e)),
        Err(_) => Err(stopping()),
    }
}

/// Said when the runtime goes down around the work.
pub(super) fn stopping() -> Error {
    Error::new(ErrorKind::Closed, "the server is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_does_not_fit_is_busy_and_places_come_back() {
        let pool = Pool::new("queries", 1, 1);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || gate.recv().map_err(|_| Error::invalid("gone"))).await }
        });
        while pool.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| Ok(2)).await }
        });
        while pool.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| Ok(3)).await.unwrap_err().kind(), ErrorKind::Busy);
        open.send(()).unwrap();
        assert!(running.await.unwrap().is_ok());
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
        assert_eq!(pool.run(|| Ok(4)).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_that_work_only() {
        let pool = Pool::new("queries", 1, 0);
        assert_eq!(pool.run::<()>(|| panic!("expected by the test")).await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(pool.run(|| Ok(1)).await.unwrap(), 1);
    }
}
