//! Class 7: every call of every kind fails in turn: an error of the medium, a signal, half of a read or write.

use crate::disk::{Failure, Fault, Kind};
use crate::ledger::Verdict;
use crate::runner::Run;
use crate::scenario::{Attempt, reached};

/// Each kind alone.
const KINDS: [&[Kind]; 13] = [
    &[Kind::List],
    &[Kind::Create],
    &[Kind::Open],
    &[Kind::Rename],
    &[Kind::Remove],
    &[Kind::SyncDirectory],
    &[Kind::Length],
    &[Kind::Read],
    &[Kind::Write],
    &[Kind::Allocate],
    &[Kind::Truncate],
    &[Kind::Sync],
    &[Kind::View],
];
const WAYS: [Failure; 3] = [Failure::EIO, Failure::EINTR, Failure::HALF];
const THREADS: usize = 16;
const CUTS: usize = 2;

/// Every fault: how a call fails, and which.
fn faults(seed: u64) -> Vec<Fault> {
    let ways = |kind: &[Kind]| if matches!(kind, [Kind::Read | Kind::Write]) { 3 } else { 2 };
    let of_kind = |kinds: &'static [Kind]| {
        let calls = Attempt::calls(seed, kinds);
        WAYS.into_iter().take(ways(kinds)).flat_map(move |way| (0..calls).map(move |after| Fault::once(kinds, after, way)))
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// Fails every call in turn.
pub(super) fn run(run: &Run) {
    let seed = run.scale.seed;
    let faults: Vec<(u64, Fault)> = (0..).zip(faults(seed)).collect();
    run.plan(faults.len() as u64);
    run.each(THREADS, &faults, |(point, fault)| {
        run.case(seed, *point, &|| format!("{fault:?}"), || reached(|| fail(seed, *point, *fault)));
    });
}

fn fail(seed: u64, point: u64, fault: Fault) -> Option<Verdict> {
    let mut attempt = Attempt::at_point(seed, point);
    attempt.live(Some(fault), &mut |attempt| !attempt.is_poisoned());
    attempt.end(CUTS)
}
