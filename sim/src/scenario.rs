//! [`Attempt`]: a short life of a log in which one thing goes wrong, from the first open to after the last restart.
//!
//! The script is always the same: batches, flushes, a clean close and a new start, a retry, days that pass until segments are merged, sealed and
//! dropped. Calls that hang because background work cannot get on are given up after a while, as an operator would: the log is closed.
//! Afterwards the process dies, or the power goes, and what is left must satisfy the ledger.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::clock::Clock as _;
use trail_engine::{AuditLog, Error, ErrorKind, Options, Receipt, Result};

use crate::clock::{Hands, START};
use crate::contents::{Contents, Seen};
use crate::disk::{Disk, Fault, cut};
use crate::ledger::{BatchId, Ledger, Verdict};
use crate::random::Random;
use crate::subject::{append, open, options, read_all, settle_unless};
use crate::workload::event;

/// What happens, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many new events.
    Append(u64),
    /// The first batch that was acknowledged, again.
    Retry,
    Flush,
    Reopen,
    /// The clock goes to the next day.
    NextDay,
}

use Step::{Append, Flush, NextDay, Reopen, Retry};

const SCRIPT: [Step; 30] = [
    Append(3),
    Append(1),
    Flush,
    Append(4),
    Flush,
    Append(2),
    Reopen,
    Append(9),
    Retry,
    Flush,
    Append(1),
    NextDay,
    Append(2),
    Flush,
    Append(6),
    Flush,
    Append(1),
    Reopen,
    Append(3),
    NextDay,
    Append(2),
    Flush,
    NextDay,
    NextDay,
    Append(5),
    Flush,
    NextDay,
    Append(2),
    Flush,
    Append(4),
];

/// What the script comes to contain at least where nothing fails.
const LEAST: Contents = Contents { flushed: 8, merged: 5, sealed: 3, dropped: 2 };

/// How long a call hangs before a fault ends that is to end then.
const FREED_AFTER: Duration = Duration::from_millis(60);
/// How long a call may hang at most before the whole case has failed.
const STUCK: Duration = Duration::from_secs(60);
/// Every so many points, a call that hangs is waited for.
const PATIENT_EVERY: u64 = 16;
/// For so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a call that hangs is looked at.
const LOOK: Duration = Duration::from_micros(200);
/// How much time passes meanwhile for the log, at each look, once it is being closed.
const HURRY: Duration = Duration::from_secs(5);

/// A life with a fault in it.
#[derive(Debug)]
pub struct Attempt {
    /// The disk.
    pub disk: Disk,
    /// The clock.
    pub clock: Arc<Hands>,
    /// What is known outside.
    pub ledger: Ledger,
    /// What is wrong.
    pub verdict: Verdict,
    /// The errors that appends and openings gave.
    pub refused: Vec<Error>,
    /// How long a call may hang after the fault before it is given up.
    pub patience: Duration,
    /// Whether the fault ends when a call hangs.
    pub frees_when_stuck: bool,
    log: Option<AuditLog>,
    seen: Seen,
    random: Random,
    seed: u64,
    numbers: u64,
    /// Whether the fault hit while the log was opened: then it may know of less than there is, and says so.
    hurt: bool,
    /// How many refusals, and how many failed syncs of the journal, were before the log was opened.
    before: (usize, usize),
}

/// Tries again where background work came in another order, so that the fault was not reached.
pub fn reached(attempt: impl Fn() -> Option<Verdict>) -> Option<Verdict> {
    (0..5).find_map(|_| attempt())
}

impl Attempt {
    /// A life that has not begun.
    #[must_use]
    pub fn new(seed: u64) -> Attempt {
        Attempt {
            disk: Disk::default(),
            clock: Hands::at(START),
            ledger: Ledger::default(),
            verdict: Verdict::default(),
            refused: Vec::new(),
            patience: Duration::from_millis(40),
            frees_when_stuck: false,
            log: None,
            seen: Seen::default(),
            random: Random::new(seed),
            seed,
            numbers: 0,
            hurt: false,
            before: (0, 0),
        }
    }

    /// The same where, at some points, a call that hangs is waited for until background work has tried again.
    #[must_use]
    pub fn at_point(seed: u64, point: u64) -> Attempt {
        let mut attempt = Attempt::new(seed);
        if point.is_multiple_of(PATIENT_EVERY) {
            attempt.patience = PATIENCE;
        }
        attempt
    }

    /// Ends a life in which a call failed: what was refused was refused for that, and all is there after a restart and so many power cuts. `None`
    /// when the fault was not reached.
    #[must_use]
    pub fn end(mut self, cuts: usize) -> Option<Verdict> {
        if self.disk.tripped() == 0 {
            return None;
        }
        for error in &self.refused {
            if !matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io | ErrorKind::Closed) {
                self.verdict.wrong(format!("an error of the wrong kind: {error:?}"));
            }
        }
        self.restart(cuts);
        Some(self.verdict)
    }

    /// How many calls of some kinds a life without a fault has, at least.
    ///
    /// # Panics
    /// When such a life goes wrong, or contains less than it must.
    #[must_use]
    pub fn calls(seed: u64, kinds: &'static [crate::disk::Kind]) -> u64 {
        let plain = || {
            let mut attempt = Attempt::new(seed);
            attempt.live(None, &mut |_| true);
            assert!(attempt.verdict.is_right(), "without a fault: {:?}", attempt.verdict);
            let (contents, calls) = (attempt.seen.contents(), attempt.disk.calls(kinds));
            assert!(contents.has(LEAST) && calls > 0, "a life must contain more: {contents:?}, {calls} calls of {kinds:?}");
            calls
        };
        (0..4).map(|_| plain()).min().unwrap_or(0)
    }

    /// Lives the life with a fault, until its end or until the log takes nothing more. `after_error` is told of every refused append, and says
    /// whether to go on.
    pub fn live(&mut self, fault: Option<Fault>, after_error: &mut dyn FnMut(&mut Attempt) -> bool) {
        fault.into_iter().for_each(|fault| self.disk.arm(fault));
        self.start();
        for step in SCRIPT {
            if !self.step(step, after_error) {
                break;
            }
            // So that calls come in the same order each time.
            if let (0, Some(log)) = (self.disk.tripped(), &self.log) {
                settle_unless(log, &|| self.disk.tripped() > 0);
                self.seen.look(log);
            }
        }
        self.judge_now();
    }

    /// What the running log shows: all that it has acknowledged, whatever failed, and nothing else.
    pub fn judge_now(&mut self) {
        if let Some(log) = self.log.take() {
            self.judge_running(&log);
            self.log = Some(log);
        }
    }

    fn step(&mut self, step: Step, after_error: &mut dyn FnMut(&mut Attempt) -> bool) -> bool {
        match step {
            Append(events) => self.send_new(events) || after_error(self),
            Retry => {
                let kept = |id: &BatchId| self.ledger.is_acknowledged(*id) && self.ledger.is_kept(*id, self.clock.now());
                (0..self.ledger.len()).find(kept).is_none_or(|id| self.send(id) || after_error(self))
            }
            Flush => self.flush(),
            Reopen => {
                self.close();
                self.start();
                true
            }
            NextDay => {
                let now = self.clock.now();
                self.clock.pass(Duration::from_nanos((now.day().end().0 - now.0) as u64) + Duration::from_secs(3_600));
                true
            }
        }
    }

    /// Sends a batch; whether it was acknowledged.
    pub fn send(&mut self, id: BatchId) -> bool {
        let (known, poisoned) = (self.ledger.is_acknowledged(id), self.is_poisoned());
        let Some((result, _)) = self.patiently(|ledger, log| append(log, ledger.events(id))) else { return false };
        match result {
            Ok(receipt) => {
                self.check_receipt(id, &receipt, known, poisoned);
                if !known {
                    self.ledger.acknowledged(id, &receipt);
                }
                true
            }
            Err(error) => {
                if poisoned && error.kind() != ErrorKind::Poisoned && error.kind() != ErrorKind::Closed {
                    self.verdict.wrong(format!("a poisoned log gives another error: {error:?}"));
                }
                self.refused.push(error);
                false
            }
        }
    }

    fn check_receipt(&mut self, id: BatchId, receipt: &Receipt, known: bool, poisoned: bool) {
        if poisoned || self.journal_sync_failed() {
            self.verdict.wrong(format!("batch {id} was acknowledged by a poisoned log"));
        }
        // A log that could not read a segment at its start cannot know of copies in it, and says so.
        if known && receipt.accepted > 0 && !self.hurt {
            self.verdict.wrong(format!("batch {id} was stored twice: {receipt:?}"));
        }
    }

    /// Whether an append was refused for good since the log was opened.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.refused[self.before.0..].last().is_some_and(|error| error.kind() == ErrorKind::Poisoned)
    }

    /// Whether a journal file could not be synced since the log was opened: then nothing may be acknowledged any more.
    #[must_use]
    pub fn journal_sync_failed(&self) -> bool {
        self.journal_syncs_failed() > self.before.1
    }

    fn journal_syncs_failed(&self) -> usize {
        let is_live = |name: &&String| name.starts_with("journal-") && !name.contains("spare");
        self.disk.failed_syncs().iter().filter(is_live).count()
    }

    fn flush(&mut self) -> bool {
        match self.patiently(|_, log| log.flush()) {
            Some((Ok(()), false)) => true,
            // Closed: by a step before this one, whose call hung.
            Some((Err(error), false)) if !matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Closed) => {
                self.verdict.wrong(format!("a flush failed: {error:?}"));
                false
            }
            _ => false,
        }
    }

    /// Does something with the log; gives it up and closes the log when it hangs after a fault. With whether it was given up.
    fn patiently<T: Send>(&self, work: impl FnOnce(&Ledger, &AuditLog) -> T + Send) -> Option<(T, bool)> {
        let log = self.log.as_ref()?;
        Some(std::thread::scope(|scope| {
            let working = scope.spawn(|| work(&self.ledger, log));
            let (mut closing, mut waited) = (None, Duration::ZERO);
            while !working.is_finished() || closing.as_ref().is_some_and(|c: &std::thread::ScopedJoinHandle<'_, _>| !c.is_finished()) {
                std::thread::sleep(LOOK);
                waited += LOOK;
                if closing.is_some() {
                    self.clock.pass(HURRY);
                } else if self.frees_when_stuck && waited > FREED_AFTER {
                    self.disk.disarm();
                }
                if closing.is_none() && self.disk.tripped() > 0 && waited > self.patience {
                    closing = Some(scope.spawn(|| drop(log.close())));
                }
                assert!(waited < STUCK, "a call hangs");
            }
            (working.join().unwrap(), closing.is_some())
        }))
    }

    fn close(&mut self) {
        let closed = self.patiently(|_, log| log.close());
        if let Some((Err(error), _)) = closed
            && error.kind() != ErrorKind::Poisoned
        {
            self.verdict.wrong(format!("a close failed: {error:?}"));
        }
        self.log = None;
    }

    /// Opens the log; when that fails, once more without the fault, which must go well.
    fn start(&mut self) {
        self.seen.again();
        let before = self.disk.tripped();
        let options = Options { head_bytes_max: 1 << 20, merge_cpu_percent: 100, ..options() };
        match self.open(options.clone()) {
            Ok(log) => self.log = Some(log),
            Err(error) => {
                if self.disk.disarm() {
                    self.verdict.wrong(format!("the log does not open, and nothing had failed: {error:?}"));
                }
                self.refused.push(error);
                match self.open(options) {
                    Ok(log) => self.log = Some(log),
                    Err(error) => self.verdict.wrong(format!("the log does not open after a failed start: {error:?}")),
                }
            }
        }
        self.hurt = self.disk.tripped() > before;
        self.before = (self.refused.len(), self.journal_syncs_failed());
    }

    /// The fault is over, the log is closed and opened again in the same system, whose pages are what the fault has left of them: it has all
    /// that was acknowledged, takes what it had refused, and has that too.
    pub fn take_up_again(&mut self) {
        self.disk.disarm();
        self.close();
        let before = self.refused.len();
        self.start();
        if self.refused.len() > before {
            self.verdict.wrong(format!("it does not open, and nothing fails any more: {:?}", self.refused.last()));
        }
        // Nothing fails any more: what takes long is the machine's.
        self.patience = STUCK;
        self.judge_now();
        for id in 0..self.ledger.len() {
            if !self.ledger.is_acknowledged(id) && self.ledger.is_kept(id, self.clock.now()) && !self.send(id) {
                self.verdict.wrong(format!("batch {id} is refused after a new start: {:?}", self.refused.last()));
            }
        }
        self.judge_now();
    }

    /// A batch that was never sent before is sent; whether it was acknowledged.
    pub fn send_new(&mut self, events: u64) -> bool {
        let first = self.numbers;
        self.numbers += events;
        let events: Vec<Vec<u8>> = (first..self.numbers).map(|number| event(number, &mut self.random)).collect();
        let id = self.ledger.sent(events, self.clock.now());
        self.send(id)
    }

    fn open(&self, options: Options) -> Result<AuditLog> {
        open(&self.disk, options, &self.clock)
    }

    fn judge_running(&mut self, log: &AuditLog) {
        let mut seen = Verdict::default();
        let mut incomplete = false;
        match read_all(log) {
            Ok((events, gaps)) => {
                self.ledger.compare(&events, self.clock.now(), &mut seen);
                incomplete = !gaps.is_empty();
            }
            Err(error) => seen.wrong(format!("the running log cannot be read: {error:?}")),
        }
        // A log that was hurt at its start may miss some, but must say so.
        if !(self.hurt && incomplete && seen.altered == 0) {
            self.verdict.join(seen, "while it runs");
        }
    }

    /// The process dies; then, apart from that, the power goes, so many times. Both times the log must come back as the ledger says.
    pub fn restart(&mut self, cuts: usize) {
        if self.disk.changed_under_views() > 0 {
            self.verdict.wrong(format!("{} changes of files that were mapped", self.disk.changed_under_views()));
        }
        let dead = self.disk.next_life();
        dead.disarm();
        self.log = None;
        let mut images = vec![("killed".to_owned(), dead.image())];
        let (medium, mut random) = (dead.medium(), Random::new(self.seed));
        for number in 0..cuts {
            let tear = *random.pick(&[0, 512, 4_096]);
            images.push((format!("power cut {number}"), cut::drawn(&medium, &mut || random.next(), tear)));
        }
        for (what, image) in images {
            let verdict = match open(&Disk::holding(image), Options { merge_cpu_percent: 0, ..options() }, &self.clock) {
                Ok(log) => self.ledger.judge(&log, self.clock.now()),
                Err(error) => {
                    let mut verdict = Verdict::default();
                    verdict.wrong(format!("the log does not open: {error:?}"));
                    verdict
                }
            };
            self.verdict.join(verdict, &what);
        }
    }

    /// The log, while it is open.
    #[must_use]
    pub fn log(&self) -> Option<&AuditLog> {
        self.log.as_ref()
    }
}
