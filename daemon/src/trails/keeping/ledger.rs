//! [`Ledger`]: what is kept of one trail, changed by its workers and by its operator, durable before anybody acts on it.
//!
//! A worker that is stopped is dropped wherever it waits, and a write to the disk cannot be taken back. So every write runs to its end in a
//! task that holds the lock: whoever comes next finds the file and the memory as that write left them. A ledger that was erased, or has given its
//! file to another, is closed for ever: who comes late finds that the trail is gone, and never writes it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};
use trail_engine::error::{Error, ErrorKind, Result};

use crate::backend::Hands;
use crate::trails::keeping::kept::{Backfill, Kept, Progress};
use crate::trails::keeping::store::{DeadLetter, Store};

/// Which progress of a trail a worker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job, or the trail itself.
    pub backfill: Option<u64>,
    /// The place of the sink in the trail.
    pub sink: usize,
}

/// What is kept of one trail.
#[derive(Debug)]
pub struct Ledger {
    name: Arc<str>,
    store: Store,
    hands: Hands,
    kept: Arc<Mutex<Kept>>,
    /// Changed and read under the lock.
    closed: Arc<AtomicBool>,
}

impl Ledger {
    /// The ledger of a trail that was loaded, or is to be kept for the first time by the first change.
    #[must_use]
    pub fn new(name: Arc<str>, store: Store, hands: Hands, kept: Kept) -> Ledger {
        Ledger { name, store, hands, kept: Arc::new(Mutex::new(kept)), closed: Arc::default() }
    }

    /// The name of the trail.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is kept now.
    pub async fn kept(&self) -> Kept {
        self.kept.lock().await.clone()
    }

    /// Changes what is kept; when this returns it is durable. After an error nothing has changed.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn change<T>(&self, change: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
        let kept = self.kept.clone().lock_owned().await;
        self.is_open()?;
        let mut next = kept.clone();
        let answer = change(&mut next)?;
        if next != *kept {
            self.write(kept, move |store, name, kept| {
                store.save(name, &next)?;
                *kept = next;
                Ok(())
            })
            .await?;
        }
        Ok(answer)
    }

    /// Keeps a trail for the first time.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn found(&self) -> Result<()> {
        let kept = self.kept.clone().lock_owned().await;
        self.write(kept, |store, name, kept| store.found(name, kept)).await
    }

    /// Removes what is kept.
    ///
    /// # Errors
    /// When it could not be removed.
    pub async fn erase(&self) -> Result<()> {
        let kept = self.kept.clone().lock_owned().await;
        self.is_open()?;
        let closed = self.closed.clone();
        let erase = move |store: &Store, name: &str, _: &mut Kept| {
            store.remove(name)?;
            closed.store(true, Ordering::Relaxed);
            Ok(())
        };
        self.write(kept, erase).await
    }

    /// Leaves the file to another ledger: nothing is written here any more.
    pub async fn retire(&self) {
        let _kept = self.kept.lock().await;
        self.closed.store(true, Ordering::Relaxed);
    }

    fn is_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) { Err(Error::new(ErrorKind::NotFound, "the trail is gone")) } else { Ok(()) }
    }

    /// Writes under the lock, to the end, also when nobody waits for it any more.
    async fn write(
        &self,
        mut kept: OwnedMutexGuard<Kept>,
        work: impl FnOnce(&Store, &str, &mut Kept) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (store, name, hands) = (self.store.clone(), self.name.clone(), self.hands.clone());
        let writing = tokio::spawn(async move { hands.compute.run(move || work(&store, &name, &mut kept)).await });
        writing.await.unwrap_or_else(|e| Err(Error::new(ErrorKind::Io, "keeping a trail ended in a panic").because(e)))
    }

    /// The progress of a worker.
    pub async fn progress(&self, slot: Slot) -> Option<Progress> {
        let mut kept = self.kept.lock().await;
        progress_of(&mut kept, slot).cloned()
    }

    /// Changes the progress of a worker.
    ///
    /// # Errors
    /// As [`Ledger::change`], and `NotFound` when the trail or job has no such sink any more.
    pub async fn advance(&self, slot: Slot, change: impl FnOnce(&mut Progress)) -> Result<()> {
        self.change(|kept| {
            let progress = progress_of(kept, slot).ok_or_else(|| Error::new(ErrorKind::NotFound, "the trail has no such sink any more"))?;
            change(progress);
            Ok(())
        })
        .await
    }

    /// Appends dead letters; when this returns they are durable.
    ///
    /// # Errors
    /// When they could not be written.
    pub async fn bury(&self, letters: Vec<Letter>) -> Result<()> {
        let kept = self.kept.clone().lock_owned().await;
        let bury = move |store: &Store, name: &str, _: &mut Kept| {
            let letters: Vec<DeadLetter<'_>> = letters.iter().map(Letter::borrowed).collect();
            store.bury(name, &letters)
        };
        self.write(kept, bury).await
    }
}

fn progress_of(kept: &mut Kept, slot: Slot) -> Option<&mut Progress> {
    let sinks: &mut Vec<Progress> = match slot.backfill {
        None => &mut kept.sinks,
        Some(id) => kept.backfills.iter_mut().find(|job: &&mut Backfill| job.id == id).map(|job| &mut job.sinks)?,
    };
    sinks.get_mut(slot.sink)
}

/// An event that a sink refused for good, on its way to the file.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The event.
    pub event: Arc<trail_engine::index::StoredEvent>,
    /// The kind of the sink, and its place in the trail.
    pub sink: (&'static str, usize),
    /// Why.
    pub reason: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

impl Letter {
    fn borrowed(&self) -> DeadLetter<'_> {
        DeadLetter { sequence: self.event.sequence.0, sink: self.sink, reason: &self.reason, at_ms: self.at_ms, text: &self.event.text }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trail_engine::storage::FileStorage;

    use super::*;
    use crate::backend::Schedule;
    use crate::config::Config;

    fn ledger(directory: &std::path::Path) -> (Store, Arc<Ledger>) {
        let store = Store::new(Arc::new(FileStorage::open(directory).unwrap()));
        let hands = Hands::new(&Schedule::of(&Config::default()));
        (store.clone(), Arc::new(Ledger::new("all".into(), store, hands, Kept::fresh(json!({}), 1, 0))))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_goes_away_in_the_middle_leaves_no_second_writer() {
        let directory = tempfile::tempdir().unwrap();
        let (store, ledger) = ledger(directory.path());
        for round in 1..100 {
            let change = |at| {
                let ledger = ledger.clone();
                async move {
                    ledger
                        .change(|kept| {
                            kept.changed_at_ms = at;
                            Ok(())
                        })
                        .await
                }
            };
            let stopped = tokio::spawn(change(round * 2));
            while !stopped.is_finished() && ledger.kept.try_lock().is_ok() {
                tokio::task::yield_now().await;
            }
            stopped.abort();
            change(round * 2 + 1).await.unwrap();
            let loaded = store.load().unwrap();
            assert_eq!((loaded.trails[0].1.changed_at_ms, loaded.trails[0].1 == ledger.kept().await), (round * 2 + 1, true));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_comes_late_does_not_bring_back_what_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (store, ledger) = ledger(directory.path());
        ledger.found().await.unwrap();
        ledger.erase().await.unwrap();
        let slot = Slot { backfill: None, sink: 0 };
        let late = ledger.advance(slot, |progress| progress.position = Some(7)).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(store.load().unwrap().trails.is_empty());
        let (_, again) = self::ledger(&directory.path().join("again"));
        again.found().await.unwrap();
        again.retire().await;
        assert!(again.advance(slot, |progress| progress.position = Some(7)).await.is_err() && again.erase().await.is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn dead_letters_of_several_sinks_do_not_overwrite_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let (_, ledger) = ledger(directory.path());
        let letter = |sequence| {
            let at = trail_engine::id::Timestamp(0);
            let sequence = trail_engine::id::Sequence(sequence);
            let text = b"{}".to_vec();
            let event = trail_engine::index::StoredEvent { sequence, received_at: at, event_time: at, time_is_received: false, text };
            Letter { event: Arc::new(event), sink: ("file", 0), reason: "x".into(), at_ms: 0 }
        };
        let buried = (1..=50).map(|sequence| {
            let (ledger, letter) = (ledger.clone(), letter(sequence));
            tokio::spawn(async move { ledger.bury(vec![letter]).await })
        });
        for one in buried.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
        let text = std::fs::read_to_string(directory.path().join("all.dead")).unwrap();
        let mut sequences: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_u64().unwrap()).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=50).collect::<Vec<u64>>());
    }
}
