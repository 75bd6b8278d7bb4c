//! [`Background`]: threads of their own for work that must not delay requests, less urgent than all others, with a bounded queue before them.
//!
//! Problem: what deliveries compute comes in pieces of tens of milliseconds, and on a thread as urgent as those of requests each piece makes somebody wait.
//! Mechanism: threads that the kernel gives a core when nobody else wants it, or else a third of one: at a tenth, trails stood still beside an ingest that takes all cores. The runtime's own blocking threads cannot be those: they
//! do everybody's work, and a thread that has become less urgent cannot go back. Limits: beside load that takes all cores such work falls behind, and catches up later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::threads::{BEHIND_ANSWERS, lower_priority, spawn};

use crate::backend::pool::stopping;

type Work = Box<dyn FnOnce() + Send>;

/// Threads of little urgency. Clones share them; they end with the last.
#[derive(Debug, Clone)]
pub struct Background {
    name: &'static str,
    threads: usize,
    queue: usize,
    /// Where work goes; the threads are made for the first.
    sender: Arc<OnceLock<SyncSender<Work>>>,
}

impl Background {
    /// `threads` threads before which `queue` pieces of work may wait. None is made yet.
    #[must_use]
    pub fn new(name: &'static str, threads: usize, queue: usize) -> Background {
        Background { name, threads: threads.max(1), queue, sender: Arc::default() }
    }

    /// Runs work on one of the threads, to its end, also when the caller goes away.
    ///
    /// # Errors
    /// `Busy` when the queue is full; `Io` when the work panics, or the system gives no thread; what the work gives.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            // Whoever asked may be gone.
            drop(answer.send(done.unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "the work ended in a panic")))));
        });
        self.sender()?.try_send(work).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::new(ErrorKind::Busy, format!("too many {} are waiting; try again", self.name)),
            TrySendError::Disconnected(_) => stopping(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    fn sender(&self) -> Result<&SyncSender<Work>> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let (sender, receiver) = sync_channel(self.queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..self.threads {
            let receiver = receiver.clone();
            spawn("trail-delivery", move || serve(&receiver))?;
        }
        // Of two that come first at the same time the threads of one end again.
        Ok(self.sender.get_or_init(|| sender))
    }
}

/// Does work until nobody is left to bring any.
fn serve(receiver: &Mutex<Receiver<Work>>) {
    lower_priority(BEHIND_ANSWERS);
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => work(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_busy_and_a_panic_is_an_error_of_that_work_only() {
        let background = Background::new("deliveries", 1, 1);
        let ((open, gate), (began, begun)) = (channel::<()>(), channel());
        let run = |work: Work| {
            let background = background.clone();
            tokio::spawn(async move {
                background
                    .run(move || {
                        work();
                        Ok(())
                    })
                    .await
            })
        };
        let running = run(Box::new(move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
        }));
        while begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let waiting = background.run(|| Ok(2));
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the only thread is taken"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(background.run(|| Ok(3)).await.unwrap_err().kind(), ErrorKind::Busy);
        open.send(()).unwrap();
        assert!(running.await.unwrap().is_ok());
        assert_eq!(waiting.await.unwrap(), 2);
        assert_eq!(background.run::<()>(|| panic!("expected by the test")).await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(background.run(|| Ok(4)).await.unwrap(), 4);
    }
}
