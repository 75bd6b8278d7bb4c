//! [`Lanes`]: threads for questions, so that quick ones do not wait for those that take long.
//!
//! Problem: nobody knows before it runs how long a question takes, and a few scans at once would take every thread, so that looking
//! up one event waited for them. Mechanism: every question begins on a thread for questions. One that is still running after a slice
//! of time goes over to the long lane, which has threads of its own: as it is where one of them is free; where none is, it is stopped,
//! and begins again when its turn comes. So a quick question waits for one slice at most, whatever the number of scans, and no more scans
//! run beside an ingest than there are threads for them. Nothing is held while a question waits: neither memory nor a lock of a
//! head. Limits: a question that begins again has lost its slice; one in a step that does not look whether it was cancelled keeps its
//! thread until the step ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use trail_engine::budget::Cancel;
use trail_engine::error::{Error, ErrorKind, Result};

use crate::backend::pool::{joined, stopping};

/// How long a question keeps others waiting.
const SLICE: Duration = Duration::from_millis(30);

/// The threads for questions, and a bounded queue before them.
#[derive(Debug, Clone)]
pub struct Lanes {
    quick: Arc<Semaphore>,
    long: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Lanes {
    /// Lanes of so many threads, before which `queue` questions may wait.
    #[must_use]
    pub fn new(quick: usize, long: usize, queue: usize) -> Lanes {
        let places = quick.saturating_add(long).saturating_add(queue).min(Semaphore::MAX_PERMITS);
        let lane = |threads| Arc::new(Semaphore::new(threads));
        Lanes { quick: lane(quick), long: lane(long), places: lane(places) }
    }

    /// Runs a question, which may be stopped and begun again. When the future is dropped the question is cancelled; its thread is
    /// taken until it has noticed.
    ///
    /// # Errors
    /// `Busy` when the queue is full; `Closed` when the runtime stops; what the question gives.
    pub async fn run<T: Send + 'static>(&self, question: impl Fn(&Cancel) -> Result<T> + Send + Sync + 'static) -> Result<T> {
        let busy = |_| Error::new(ErrorKind::Busy, "too many queries are waiting; try again");
        let place = Arc::new(self.places.clone().try_acquire_owned().map_err(busy)?);
        let question = Arc::new(question);
        let turn = self.quick.clone().acquire_owned().await.map_err(|_| stopping())?;
        let mut running = Running::start(question.clone(), turn, place.clone());
        if let Ok(done) = timeout(SLICE, &mut running.work).await {
            return joined(done);
        }
        if let Ok(turn) = self.long.clone().try_acquire_owned() {
            running.go_over(turn);
            return joined((&mut running.work).await);
        }
        running.cancel.cancel();
        match joined((&mut running.work).await) {
            Err(error) if error.kind() == ErrorKind::Cancelled => {}
            // It was quicker than that.
            result => return result,
        }
        // Its turn is for those that wait.
        drop(running);
        let turn = self.long.clone().acquire_owned().await.map_err(|_| stopping())?;
        let mut running = Running::start(question, turn, place);
        joined((&mut running.work).await)
    }
}

/// A question on a thread; cancelled when dropped.
struct Running<T> {
    work: JoinHandle<Result<T>>,
    cancel: Cancel,
    /// The thread that it has, in whichever lane.
    turn: Arc<Mutex<OwnedSemaphorePermit>>,
}

impl<T: Send + 'static> Running<T> {
    fn start(
        question: Arc<impl Fn(&Cancel) -> Result<T> + Send + Sync + 'static>,
        turn: OwnedSemaphorePermit,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Running<T> {
        let cancel = Cancel::default();
        let turn = Arc::new(Mutex::new(turn));
        let (cancelled, held) = (cancel.clone(), (turn.clone(), place));
        let work = tokio::task::spawn_blocking(move || {
            let _held = held;
            // It may have waited for a thread longer than its client did for the answer.
            if cancelled.is_cancelled() {
                return Err(Error::new(ErrorKind::Cancelled, "the query was cancelled"));
            }
            question(&cancelled)
        });
        Running { work, cancel, turn }
    }

    /// Gives its thread's turn to others and counts among those of another lane.
    fn go_over(&self, turn: OwnedSemaphorePermit) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    /// A scan that ends when it is told to, and says how often it began.
    #[derive(Clone, Default)]
    struct Scan {
        begun: Arc<AtomicUsize>,
        end: Arc<AtomicBool>,
    }

    impl Scan {
        fn run(&self, cancel: &Cancel) -> Result<usize> {
            let begun = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            while !self.end.load(Ordering::SeqCst) {
                if cancel.is_cancelled() {
                    return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
                }
                std::thread::yield_now();
            }
            Ok(begun)
        }

        fn begin(&self, lanes: &Lanes) -> JoinHandle<Result<usize>> {
            let (lanes, scan) = (lanes.clone(), self.clone());
            tokio::spawn(async move { lanes.run(move |cancel| scan.run(cancel)).await })
        }

        async fn has_begun(&self) {
            while self.begun.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn quick_questions_pass_any_number_of_scans() {
        let lanes = Lanes::new(1, 1, 8);
        let scans: Vec<Scan> = (0..3).map(|_| Scan::default()).collect();
        let mut running = Vec::new();
        for scan in &scans {
            running.push(scan.begin(&lanes));
            scan.has_begun().await;
        }
        for answer in 0..5 {
            let asked = timeout(Duration::from_secs(20), lanes.run(move |_| Ok(answer)));
            assert_eq!(asked.await.expect("a quick question waited for scans").unwrap(), answer);
        }
        scans.iter().for_each(|scan| scan.end.store(true, Ordering::SeqCst));
        for (number, answer) in running.into_iter().enumerate() {
            // The first went over as it was; the others were stopped, and began again.
            assert_eq!(answer.await.unwrap().unwrap(), if number == 0 { 1 } else { 2 }, "scan {number}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_scan_with_a_thread_to_go_to_is_not_stopped() {
        let lanes = Lanes::new(1, 2, 0);
        let scans = [Scan::default(), Scan::default()];
        let running = scans.each_ref().map(|scan| scan.begin(&lanes));
        tokio::time::sleep(SLICE * 4).await;
        scans.iter().for_each(|scan| scan.end.store(true, Ordering::SeqCst));
        for answer in running {
            assert_eq!(answer.await.unwrap().unwrap(), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_does_not_fit_is_busy_and_who_goes_away_makes_room() {
        let lanes = Lanes::new(1, 1, 0);
        let scans = [Scan::default(), Scan::default()];
        let running = scans.each_ref().map(|scan| scan.begin(&lanes));
        while lanes.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lanes.run(|_| Ok(0)).await.unwrap_err().kind(), ErrorKind::Busy);
        running.iter().for_each(JoinHandle::abort);
        while lanes.places.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lanes.run(|_| Ok(7)).await.unwrap(), 7);
        assert_eq!(lanes.run::<()>(|_| panic!("expected by the test")).await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(lanes.run(|_| Ok(8)).await.unwrap(), 8);
    }
}
