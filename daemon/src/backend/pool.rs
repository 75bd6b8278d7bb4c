//! [`Pool`]: a bounded share of the runtime's blocking threads, with a bounded queue before it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::timeout;
use trail_engine::error::{Error, ErrorKind, Result};

use crate::backend::line::Line;

/// At most so many pieces of work at a time, and so many that wait.
#[derive(Debug, Clone)]
pub struct Pool {
    name: &'static str,
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
    line: Line,
}

impl Pool {
    /// A pool of `threads` threads before which `queue` pieces of work may wait.
    #[must_use]
    pub fn new(name: &'static str, threads: usize, queue: usize) -> Pool {
        let places = threads.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Pool { name, threads: Arc::new(Semaphore::new(threads)), places: Arc::new(Semaphore::new(places)), line: Line::default() }
    }

    /// Runs work on a thread of the pool, in the order of coming. The thread is taken until the work ends, also when the caller goes away.
    ///
    /// # Errors
    /// `Busy` when the queue is full; `Closed` when the runtime stops; what the work gives.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| self.busy())?;
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| stopping())?;
        on_a_thread((place, thread), work).await
    }

    /// The same for work that somebody waits for who may give up: one of a line at a time waits for a thread beside what [`Pool::run`] was given; the rest are
    /// behind all of that, and where the first of them has waited for long, the last who came is next. Each waits for as long as `patience`.
    ///
    /// # Errors
    /// As [`Pool::run`]; `Busy` as well when the patience is over.
    pub async fn run_in_line<T: Send + 'static>(&self, patience: Duration, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| self.busy())?;
        let wait = async {
            let _turn = self.line.turn().await;
            self.threads.clone().acquire_owned().await
        };
        let thread = timeout(patience, wait).await.map_err(|_| self.busy())?.map_err(|_| stopping())?;
        on_a_thread((place, thread), work).await
    }

    fn busy(&self) -> Error {
        Error::new(ErrorKind::Busy, format!("too many {} are waiting; try again", self.name))
    }
}

/// Runs work on a blocking thread; what it holds is let go with its end.
async fn on_a_thread<T: Send + 'static>(held: impl Send + 'static, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let work = tokio::task::spawn_blocking(move || {
        let _held = held;
        work()
    });
    joined(work.await)
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
    async fn what_has_begun_goes_before_those_in_line_and_patience_ends() {
        let pool = Pool::new("bodies", 1, 8);
        let held = pool.threads.clone().acquire_owned().await.unwrap();
        let refused = pool.run_in_line(Duration::from_millis(10), || Ok(())).await.unwrap_err();
        assert_eq!((refused.kind(), pool.places.available_permits()), (ErrorKind::Busy, 9));
        let noted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let noted = noted.clone();
            move || {
                noted.lock().unwrap().push(name);
                Ok(())
            }
        };
        let in_line = |name| {
            let (pool, work) = (pool.clone(), note(name));
            tokio::spawn(async move { pool.run_in_line(Duration::from_secs(60), work).await })
        };
        let mut waiting = Vec::new();
        for name in ["first", "second", "third"] {
            waiting.push(in_line(name));
            tokio::task::yield_now().await;
        }
        let begun = tokio::spawn({
            let (pool, work) = (pool.clone(), note("begun"));
            async move { pool.run(work).await }
        });
        tokio::task::yield_now().await;
        // Longer than a line is served in order.
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(held);
        begun.await.unwrap().unwrap();
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        // The first of the line had its turn before the other came.
        assert_eq!(*noted.lock().unwrap(), ["first", "begun", "third", "second"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_that_work_only() {
        let pool = Pool::new("queries", 1, 0);
        assert_eq!(pool.run::<()>(|| panic!("expected by the test")).await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(pool.run(|| Ok(1)).await.unwrap(), 1);
    }
}
