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

/// How many faults there are for each number of calls before: every kind in every way.
const FAULTS: u64 = (KINDS.len() * WAYS.len()) as u64;

/// The number of a fault, which says the same fault whatever the counts of a run: which calls a life makes varies by a few.
fn point(kind: usize, way: usize, after: u64) -> u64 {
    after * FAULTS + (kind * WAYS.len() + way) as u64
}

/// The fault of this number: which kind, how, and after how many others.
fn fault(point: u64) -> Fault {
    let which = (point % FAULTS) as usize;
    Fault::once(KINDS[which / WAYS.len()], point / FAULTS, WAYS[which % WAYS.len()])
}

/// The numbers of all faults.
fn points(seed: u64) -> Vec<u64> {
    let of_kind = |(kind, kinds): (usize, &'static [Kind])| {
        let ways = if matches!(kinds, [Kind::Read | Kind::Write]) { 3 } else { 2 };
        let calls = Attempt::calls(seed, kinds);
        (0..ways).flat_map(move |way| (0..calls).map(move |after| point(kind, way, after)))
    };
    KINDS.into_iter().enumerate().flat_map(of_kind).collect()
}

/// Fails every call in turn.
pub(super) fn run(run: &Run) {
    let seed = run.scale.seed;
    let points = run.scale.point.map_or_else(|| points(seed), |point| vec![point]);
    run.plan(points.len() as u64);
    run.each(THREADS, &points, |point| {
        let fault = fault(*point);
        run.case(seed, *point, &|| format!("{fault:?}"), || reached(|| fail(seed, *point, fault)));
    });
}

fn fail(seed: u64, point: u64, fault: Fault) -> Option<Verdict> {
    let mut attempt = Attempt::at_point(seed, point);
    attempt.live(Some(fault), &mut |attempt| !attempt.is_poisoned());
    attempt.end(CUTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_names_its_fault_by_itself() {
        let mut seen = std::collections::BTreeSet::new();
        for (kind, kinds) in KINDS.into_iter().enumerate() {
            for (way, failure) in WAYS.into_iter().enumerate() {
                for after in [0, 1, 2, 1_000] {
                    let point = point(kind, way, after);
                    assert_eq!(fault(point), Fault::once(kinds, after, failure));
                    assert!(seen.insert(point), "{point} names two faults");
                }
            }
        }
    }
}
