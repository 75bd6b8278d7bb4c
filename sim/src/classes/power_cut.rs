//! Class 1: the power goes at every moment of a life, and again while the log is brought back.
//!
//! The life of a seed is recorded once; then its operations are played again, and after each of them everything is tried that a crash can leave
//! of what is pending. Every image is opened, read, verified and held against what was acknowledged by then. Every few images, what the opening
//! itself wrote is cut off in the same way, and opened again; and what was sent without an answer is sent once more.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use trail_engine::Options;
use trail_engine::id::Timestamp;

use crate::clock::Hands;
use crate::contents::Contents;
use crate::disk::{Disk, Fill, Image, Medium, cut};
use crate::kept::Kept;
use crate::ledger::{Ledger, Verdict};
use crate::random::Random;
use crate::runner::{Run, cores};
use crate::subject::{append, open, options};
use crate::workload::{Recorded, record};

/// How long a life is.
const STEPS: usize = 60;
/// What a life must contain, on average and at least.
const LEAST: Contents = Contents { flushed: 6, merged: 1, sealed: 2, dropped: 1 };
/// Every so many images, the recovery is cut off too.
const DEEPER_EVERY: u64 = 4;
/// Every so many images, the log goes on being used.
const USED_EVERY: u64 = 8;

/// Cuts the power until there were enough images.
pub(super) fn run(run: &Run) {
    run.plan(if run.scale.long { run.of_release(2_000_000) } else { 20_000 });
    let seeds = AtomicU64::new(run.scale.seed);
    // One case is of one life. Recording one is mostly waiting.
    let lives: Vec<usize> = (0..if run.scale.point.is_some() { 1 } else { cores() * 2 }).collect();
    let contents = Mutex::new(Vec::new());
    run.each(lives.len(), &lives, |_| {
        loop {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            let life = record(seed, STEPS);
            contents.lock().unwrap().push(life.contents);
            cut_a_life(run, seed, &life);
            if run.is_enough() || run.scale.point.is_some() {
                return;
            }
        }
    });
    let contents = contents.into_inner().unwrap();
    let lives = contents.len() as u64;
    run.contained(contents.into_iter().sum(), LEAST.times(lives));
}

/// Cuts the power at every moment of a life.
fn cut_a_life(run: &Run, seed: u64, life: &Recorded) {
    let (mut random, hasher) = (Random::new(seed), RandomState::new());
    let fill = *random.pick(&[Fill::Zeros, Fill::Noise(seed), Fill::Stale]);
    let (mut medium, mut walk, mut point) = (Medium::of(Image::default(), fill), life.walk(), 0);
    let mut seen = HashSet::new();
    for at in 0..=life.operations.len() {
        walk.to(at);
        let acknowledged = walk.ledger.acknowledged_events();
        let (ledger, now) = (&walk.ledger, walk.now);
        cut::crashes(&medium, &mut || random.next(), &mut |image| {
            let image = image.without_nameless();
            if run.is_enough() || !seen.insert(hasher.hash_one((&image, acknowledged, now.0))) {
                return;
            }
            point += 1;
            let what = || format!("the power goes after {at} operations of {}", life.operations.len());
            run.case(seed, point, &what, || {
                let mut verdict = judge(image.clone(), ledger, now, seed, point);
                if !verdict.is_right() {
                    verdict.wrong.insert(0, Kept { image, ledger: ledger.clone(), now, seed, point }.keep());
                }
                Some(verdict)
            });
        });
        if let Some(operation) = life.operations.get(at) {
            medium.note(operation);
        }
    }
}

/// Judges a case that was kept in a folder.
///
/// # Errors
/// When there is none.
pub fn again(folder: &Path) -> Result<Verdict, String> {
    let Kept { image, ledger, now, seed, point } = Kept::read(folder)?;
    Ok(judge(image, &ledger, now, seed, point))
}

/// Brings a log back from what is left, and holds it against the ledger.
fn judge(image: Image, ledger: &Ledger, now: Timestamp, seed: u64, point: u64) -> Verdict {
    let mut random = Random::new(seed ^ point << 32);
    let mut verdict = Verdict::default();
    let disk = Disk::holding(image.clone());
    disk.record();
    verdict.join(bring_back(&disk, ledger, now, point.is_multiple_of(USED_EVERY)), "brought back");
    if point.is_multiple_of(DEEPER_EVERY) {
        let operations = disk.trace();
        let mut medium = Medium::of(image, Fill::Noise(seed));
        operations.iter().take(random.below(operations.len() + 1)).for_each(|operation| medium.note(operation));
        let tear = *random.pick(&[0, 512, 4_096]);
        let again = Disk::holding(cut::drawn(&medium, &mut || random.next(), tear));
        // What was sent meanwhile may be there; all of it was known before.
        verdict.join(bring_back(&again, ledger, now, false), "cut off while it was brought back, and brought back again");
    }
    verdict
}

/// Opens what is left of a log and judges it. With `goes_on`, what was not acknowledged is sent again, and must then be there once.
fn bring_back(disk: &Disk, ledger: &Ledger, now: Timestamp, goes_on: bool) -> Verdict {
    let clock = Hands::at(now);
    let log = match open(disk, Options { merge_cpu_percent: 0, ..options() }, &clock) {
        Ok(log) => log,
        Err(error) => {
            let mut verdict = Verdict::default();
            verdict.wrong(format!("the log does not open: {error:?}"));
            return verdict;
        }
    };
    let mut verdict = ledger.judge(&log, now);
    if goes_on && verdict.is_right() {
        let mut ledger = ledger.clone();
        for id in 0..ledger.len() {
            if ledger.is_kept(id, now) {
                match append(&log, ledger.events(id)) {
                    Ok(receipt) if ledger.is_acknowledged(id) && receipt.accepted > 0 => {
                        verdict.wrong(format!("batch {id} was stored twice"))
                    }
                    Ok(receipt) if !ledger.is_acknowledged(id) => ledger.acknowledged(id, &receipt),
                    Ok(_) => {}
                    Err(error) => verdict.wrong(format!("batch {id} is refused: {error:?}")),
                }
            }
        }
        verdict.join(ledger.judge(&log, now), "gone on");
        // What is written now stands beside what was there before the power went.
        match log.flush() {
            Ok(()) => verdict.join(ledger.judge(&log, now), "flushed"),
            Err(error) => verdict.wrong(format!("a flush failed: {error:?}")),
        }
    }
    verdict
}
