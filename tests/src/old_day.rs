//! [`OldDay`]: events that a log received three days ago, so that a test can wait for their end.
//!
//! The engine writes them in the test's process, with a clock that is turned; the real server goes on from there, with a retention that
//! ends in some seconds. Until then all of the day must be there; only afterwards may it go. Limit: midnight in UTC must not fall between the two.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::clock::Clock;
use trail_engine::id::{Sequence, Timestamp};
use trail_engine::options::Options;

use crate::ledger::Batch;
use crate::wrong::Wrong;

const DAY: Duration = Duration::from_secs(86_400);

/// The first batches of a log, a segment each; none by default.
#[derive(Debug, Default, Clone)]
pub struct OldDay {
    batches: Vec<Batch>,
    files: Vec<PathBuf>,
    /// Since 1970, when it is over the retention; at any time, when nothing is said.
    due: Duration,
}

/// The files of the segments of a directory.
///
/// # Panics
/// When there is no such directory.
#[must_use]
pub fn segments(data: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("segment-") && !name.contains('.')).map(PathBuf::from).collect()
}

impl OldDay {
    /// Makes a log whose first segments were received three days ago, and which has lived since: it has a batch of today, because a log
    /// keeps the time that it trusts with a change of its segments.
    ///
    /// # Panics
    /// When the engine does not take them.
    #[must_use]
    pub fn make(data: &Path, batches: Vec<Batch>, fresh: &Batch) -> OldDay {
        let hands = Arc::new(Hands { wall: AtomicI64::new(nanos(since_1970() - 3 * DAY)), elapsed: AtomicU64::new(0) });
        let options = Options { merge_cpu_percent: 0, ..Options::default() };
        let log = AuditLog::open_with_clock(data, options, hands.clone()).unwrap();
        let append = |batch: &Batch| {
            let (events, rejected) = log.prepare(&mut batch.events.iter().map(Vec::as_slice)).unwrap();
            assert!(rejected.is_empty());
            assert_eq!(log.append(events).unwrap().accepted, batch.events.len() as u64);
            log.flush().unwrap();
        };
        batches.iter().for_each(append);
        let files = segments(data);
        hands.elapsed.fetch_add(3 * DAY.as_secs(), Ordering::SeqCst);
        hands.wall.fetch_add(nanos(3 * DAY), Ordering::SeqCst);
        append(fresh);
        log.close().unwrap();
        OldDay { batches, files, due: Duration::MAX }
    }

    /// One that was made elsewhere, and is due.
    #[must_use]
    pub fn of(batches: Vec<Batch>, files: Vec<PathBuf>) -> OldDay {
        OldDay { batches, files, due: Duration::ZERO }
    }

    /// A retention that ends for it after so much time. Until a server has it, and until then, none of it may go.
    ///
    /// # Panics
    /// When the clock stands before 1970.
    #[must_use]
    pub fn ends_after(&mut self, time: Duration) -> String {
        let now = since_1970().as_millis();
        let day = DAY.as_millis();
        self.due = Duration::from_millis(u64::try_from(now + time.as_millis()).unwrap());
        let end = (now / day - 3 + 1) * day;
        format!("{}ms", now + time.as_millis() - end)
    }

    /// Whether it may go. A server is asked first and this afterwards: what was gone when it was not yet due was lost.
    #[must_use]
    pub fn is_due(&self) -> bool {
        since_1970() >= self.due
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.batches.iter().map(|batch| batch.events.len() as u64).sum()
    }

    /// Its batches.
    #[must_use]
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// The names of its files.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether all of its files are in the directory.
    #[must_use]
    pub fn is_whole_in(&self, data: &Path) -> bool {
        self.files.iter().all(|file| data.join(file).exists())
    }

    /// Whether no file of it is left in the directory.
    #[must_use]
    pub fn is_gone_from(&self, data: &Path) -> bool {
        !self.files.iter().any(|file| data.join(file).exists())
    }

    /// Looks into a directory that no server has: all of the day is there, at its sequences. For directories in which nothing can have dropped it.
    ///
    /// # Errors
    /// What of it is not.
    pub fn all_in(&self, data: &Path) -> Result<(), Wrong> {
        let other = |error: trail_engine::Error| Wrong::Other(format!("{error:?}"));
        let log = AuditLog::open(data, Options { read_only: true, ..Options::default() }).map_err(other)?;
        for (sequence, event) in (1..).map(Sequence).zip(self.batches.iter().flat_map(|batch| &batch.events)) {
            match log.event_at(sequence, &Cancel::default()).map_err(other)? {
                None => return Err(Wrong::Lost(format!("the old day was to be kept, and its event {sequence} is gone"))),
                Some(stored) if stored.text != *event => return Err(Wrong::Altered(format!("event {sequence} of the old day is another"))),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// All that a server returns but for the old day, with sequences as if it had never been. Of the old day, once it is due, a segment may be
    /// there or not, but all of it; before that all of them must.
    ///
    /// # Errors
    /// When a part of a segment is there, or something is gone too early.
    pub fn taken_out(&self, mut stored: Vec<(u64, Vec<u8>)>) -> Result<Vec<(u64, Vec<u8>)>, Wrong> {
        let may_be_gone = self.is_due();
        for batch in &self.batches {
            let (mut old, rest): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, event)| batch.events.contains(event));
            old.sort_unstable();
            if !old.is_empty() && !old.iter().map(|(_, event)| event).eq(&batch.events) {
                let why = format!("{} of {} old events are left, in order or not", old.len(), batch.events.len());
                return Err(if old.len() < batch.events.len() { Wrong::Lost(why) } else { Wrong::Altered(why) });
            }
            if old.is_empty() && !may_be_gone {
                return Err(Wrong::Lost(format!("{} old events are gone before their time", batch.events.len())));
            }
            stored = rest;
        }
        let before: u64 = self.batches.iter().map(|batch| batch.events.len() as u64).sum();
        stored.iter_mut().for_each(|(sequence, _)| *sequence -= before.min(*sequence));
        Ok(stored)
    }
}

#[derive(Debug)]
struct Hands {
    wall: AtomicI64,
    elapsed: AtomicU64,
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.elapsed.load(Ordering::SeqCst))
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap()
}
