//! The oracle is worth something: on a disk that lies about its syncs, it finds that events are lost; on an honest one it does not.

use trail_engine::Options;
use trail_sim::clock::Hands;
use trail_sim::disk::{Disk, Fill, Image, Medium, Operation, cut};
use trail_sim::ledger::Verdict;
use trail_sim::subject::{open, options};
use trail_sim::workload::record;

/// What a power cut after each operation of a life costs, when some operations are not believed.
fn cut_everywhere(seed: u64, is_believed: impl Fn(&Operation) -> bool) -> Verdict {
    let (life, mut all) = (record(seed, 40), Verdict::default());
    let (mut medium, mut walk) = (Medium::of(Image::default(), Fill::Zeros), life.walk());
    for (at, operation) in life.operations.iter().enumerate() {
        if is_believed(operation) {
            medium.note(operation);
        }
        walk.to(at + 1);
        let disk = Disk::holding(cut::crash(&medium, &mut |_| false, 0, Fill::Zeros));
        match open(&disk, Options { merge_cpu_percent: 0, ..options() }, &Hands::at(walk.now)) {
            Ok(log) => all.join(walk.ledger.judge(&log, walk.now), "opened"),
            Err(error) => all.wrong(format!("not opened: {error:?}")),
        }
    }
    all
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let files = cut_everywhere(3, |operation| !matches!(operation, Operation::Sync { .. }));
    assert!(!files.is_right(), "syncs of files were left out, and nobody noticed");
    let names = cut_everywhere(3, |operation| !matches!(operation, Operation::SyncDirectory));
    assert!(names.lost > 0, "syncs of the directory were left out, and nobody noticed: {names:?}");
}

#[test]
fn an_honest_one_is_not() {
    let verdict = cut_everywhere(3, |_| true);
    assert!(verdict.is_right(), "{verdict:?}");
}
