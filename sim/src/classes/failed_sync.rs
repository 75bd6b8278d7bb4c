//! Class 6: every sync of a file or of the directory fails in turn, once or for good; the pages stay dirty, count as clean, or go back.

use crate::disk::{Failure, Fault, Kind, Lost};
use crate::ledger::Verdict;
use crate::runner::Run;
use crate::scenario::{Attempt, reached};

const SYNCS: &[Kind] = &[Kind::Sync, Kind::SyncDirectory];
const LOST: [Lost; 3] = [Lost::Kept, Lost::Clean, Lost::Reverted];
/// Cases wait more than they work.
const THREADS: usize = 16;
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
        run.case(*seed, *point, &|| format!("{fault:?}"), || reached(|| fail(*seed, *point, fault)));
    });
}

fn fail(seed: u64, point: u64, fault: Fault) -> Option<Verdict> {
    let mut attempt = if fault.sticky { Attempt::new(seed) } else { Attempt::at_point(seed, point) };
    attempt.live(Some(fault), &mut |attempt| {
        // Once a group could not be synced nothing is taken any more, and it is said why.
        for id in 0..attempt.ledger.len().min(3) {
            if attempt.is_poisoned() && attempt.send(id) {
                attempt.verdict.wrong("a poisoned log takes events");
            }
        }
        false
    });
    attempt.end(CUTS)
}
