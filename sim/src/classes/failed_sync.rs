//! Class 6: every sync of a file or of the directory fails in turn, once or for good; the pages stay dirty, count as clean, or go back.
//!
//! A log whose journal could not be synced is poisoned: whatever is sent is refused for that, old and new, though the disk is well again, until
//! the log is opened once more. Then all that was acknowledged is there, and what was refused is taken. The process may also die, or the power go.

use std::time::Duration;

use trail_engine::{AuditLog, Error, ErrorKind};

use crate::disk::{Failure, Fault, Kind, Lost};
use crate::ledger::Verdict;
use crate::runner::Run;
use crate::scenario::{Attempt, reached};

const SYNCS: &[Kind] = &[Kind::Sync, Kind::SyncDirectory];
const LOST: [Lost; 3] = [Lost::Kept, Lost::Clean, Lost::Reverted];
/// Cases wait more than they work.
const THREADS: usize = 16;
/// How often everything is sent to a poisoned log.
const TRIES: u64 = 2;
/// How many power cuts end a case.
const CUTS: usize = 4;

/// Fails every sync in turn.
pub(super) fn run(run: &Run) {
    let seeds = run.scale.seed..run.scale.seed + if run.scale.long { run.of_release(20) } else { 1 };
    let points = |seed| (0..Attempt::calls(seed, SYNCS) * 6).map(move |point| (seed, point));
    let cases: Vec<(u64, u64)> = seeds.flat_map(points).collect();
    run.plan(cases.len() as u64);
    run.each(THREADS, &cases, |(seed, point)| {
        let (after, lost, sticky) = (point / 6, LOST[(point % 3) as usize], point % 6 >= 3);
        let fault = Fault { kinds: SYNCS, after, sticky, failure: Failure { lost, ..Failure::EIO } };
        run.case(*seed, *point, &|| format!("{fault:?}"), || reached(|| fail(run, *seed, *point, fault)));
    });
}

fn fail(run: &Run, seed: u64, point: u64, fault: Fault) -> Option<Verdict> {
    let mut attempt = if fault.sticky { Attempt::new(seed) } else { Attempt::at_point(seed, point) };
    let mut poisoned = false;
    attempt.live(Some(fault), &mut |attempt| {
        poisoned |= stays_poisoned(attempt);
        false
    });
    if poisoned {
        run.note("poisoned, and taken up again");
        attempt.take_up_again();
    } else if attempt.journal_sync_failed() {
        // A receipt for this would be wrong.
        attempt.send_new(1);
    }
    attempt.end(CUTS)
}

/// After an append was refused: nothing is taken any more once a group could not be synced, and it is said why.
/// Whether it was.
fn stays_poisoned(attempt: &mut Attempt) -> bool {
    let kind = attempt.refused.last().map(Error::kind);
    // A log that was given up was closed by that.
    if attempt.journal_sync_failed() && !matches!(kind, Some(ErrorKind::Poisoned | ErrorKind::Closed)) {
        attempt.verdict.wrong(format!("the journal could not be synced, and an append was refused with {kind:?}"));
    }
    if kind != Some(ErrorKind::Poisoned) {
        return false;
    }
    // That later syncs go well proves nothing of the one that failed.
    attempt.disk.disarm();
    let known = attempt.ledger.len();
    for round in 0..TRIES {
        for id in (0..known).rev().take(2).chain([0]) {
            if attempt.send(id) {
                attempt.verdict.wrong("a poisoned log takes events");
            }
        }
        if attempt.send_new(1 + round) {
            attempt.verdict.wrong("a poisoned log takes new events");
        }
        // Background work comes by meanwhile.
        attempt.clock.pass(Duration::from_secs(40));
        attempt.log().into_iter().for_each(AuditLog::look_at_the_clock);
    }
    true
}
