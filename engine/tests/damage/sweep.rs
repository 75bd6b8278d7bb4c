//! Walks over all files and damages them in turn. `TRAIL_STRIDE` sets how many bytes of a large file are passed over between two tries.

use std::collections::BTreeMap;
use std::sync::Arc;

use trail_engine::AuditLog;

use crate::allocator::largest;
use crate::clock::{Hands, START};
use crate::directory::{Files, files, options};
use crate::judge::{Answers, Outcome, ask, judge};
use crate::memory::Memory;
use crate::random::{Random, number, seed};

/// No single allocation may be larger than this.
const ALLOCATION_MAX: usize = 64 << 20;
/// Files up to this length are damaged at every byte, larger ones at their ends.
const ALL_BYTES_UP_TO: usize = 4_096;

fn right_answers(files: &Files) -> Answers {
    let storage = Arc::new(Memory::of(files.clone()));
    let log = AuditLog::open_storage(storage, options(true), Hands::at(START)).unwrap();
    assert!(log.health().problems.is_empty());
    ask(&log)
}

/// The places to damage in a file of some length.
fn places(length: usize, stride: usize) -> Vec<usize> {
    let in_full = |at: &usize| length <= ALL_BYTES_UP_TO || *at < 256 || *at + 2_048 > length || *at % stride == stride / 2;
    (0..length).filter(in_full).collect()
}

/// Damages every place in turn; says how often what became of it. A `step` above 1 passes over places.
fn sweep(files: &Files, step: usize, mut damage: impl FnMut(&str, usize, &mut Vec<u8>)) -> BTreeMap<String, u64> {
    let right = right_answers(files);
    let stride = number("TRAIL_STRIDE", 301) as usize;
    let mut tally = BTreeMap::new();
    for (name, bytes) in files {
        // Past its last frame a journal is zeros; a few of them are enough.
        let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 40).min(bytes.len());
        for at in places(used, stride).into_iter().step_by(step) {
            let mut damaged = files.clone();
            let changed = damaged.get_mut(name).unwrap();
            damage(name, at, changed);
            if *changed == *bytes {
                continue;
            }
            let what = format!("{name} damaged at byte {at} of {}", bytes.len());
            let outcome = judge(&damaged, true, &right, &what);
            // Damage to the last group and to all that was written after it cannot be told from a torn tail: see the limits of `journal`.
            let last_group = step > 1 && name.starts_with("journal") && outcome == Outcome::Shorter(1);
            let quiet = matches!(outcome, Outcome::Shorter(_)) && !last_group;
            assert!(!quiet, "{what}: {outcome:?}: a silent loss");
            let kind = name.split('-').next().unwrap();
            *tally.entry(format!("{kind} {outcome:?}")).or_insert(0) += 1;
        }
    }
    assert!(largest() <= ALLOCATION_MAX, "an allocation of {} bytes", largest());
    println!("{tally:?}");
    tally
}

#[test]
fn flipped_bits() {
    let mut random = Random::new(seed());
    let tally = sweep(&files(true), 1, |_, at, bytes| bytes[at] ^= 1 << random.below(8));
    assert!(tally.len() > 3, "the damage is not found in many ways: {tally:?}");
}

#[test]
fn other_bytes() {
    let mut random = Random::new(seed() + 1);
    sweep(&files(true), 7, |_, at, bytes| bytes[at] = random.next() as u8);
}

#[test]
fn zeroed_and_overwritten_stretches() {
    let mut random = Random::new(seed() + 2);
    sweep(&files(true), 7, |_, at, bytes| {
        let end = (at + 1 + random.below(64)).min(bytes.len());
        let zeros = random.chance(50);
        bytes[at..end].iter_mut().for_each(|b| *b = if zeros { 0 } else { random.next() as u8 });
    });
}

#[test]
fn files_that_were_cut_short() {
    let all = files(true);
    let right = right_answers(&all);
    for (name, bytes) in &all {
        for at in places(bytes.len(), 997).into_iter().step_by(5) {
            let mut damaged = all.clone();
            damaged.get_mut(name).unwrap().truncate(at);
            let outcome = judge(&damaged, true, &right, &format!("{name} cut at byte {at} of {}", bytes.len()));
            // A journal that ends early looks like one that was never written further: see the limits of `journal`.
            let quiet = matches!(outcome, Outcome::Shorter(_));
            assert!(!quiet || name.starts_with("journal"), "{name} cut at {at}: {outcome:?}");
        }
    }
    assert!(largest() <= ALLOCATION_MAX, "an allocation of {} bytes", largest());
}

#[test]
fn files_that_are_gone() {
    let all = files(true);
    let right = right_answers(&all);
    for name in all.keys() {
        let mut damaged = all.clone();
        damaged.remove(name);
        let storage = Arc::new(Memory::of(damaged.clone()));
        match AuditLog::open_storage(storage, options(true), Hands::at(START)) {
            Err(error) => assert!(error.to_string().contains(name.as_str()), "{name}: {error}"),
            Ok(log) if name.starts_with("journal") => drop(log),
            Ok(log) => {
                let problems = log.health().problems;
                assert!(problems.iter().any(|p| p.contains(name.as_str())), "{name}: {problems:?}");
                assert!(ask(&log).events.is_ok(), "what is left can be read");
            }
        }
        if !name.starts_with("journal") && name != "catalog" {
            assert_eq!(judge(&damaged, true, &right, name), Outcome::Reported);
        }
    }
}

/// A log that is opened for writing must not make things worse: it goes on, and a second start says the same.
#[test]
fn damage_under_a_writer() {
    let mut random = Random::new(seed() + 3);
    let all = files(false);
    for round in 0..120 {
        let names: Vec<&String> = all.keys().collect();
        let name = *random.pick(&names);
        let mut damaged = all.clone();
        let bytes = damaged.get_mut(name).unwrap();
        let used = bytes.iter().rposition(|b| *b != 0).unwrap_or(0) + 1;
        let at = random.below(used);
        bytes[at] ^= 1 << random.below(8);
        let memory = Memory::of(damaged);
        let Ok(log) = AuditLog::open_storage(Arc::new(memory.clone()), options(false), Hands::at(START)) else { continue };
        let what = format!("round {round}: {name} at {at}");
        let before = ask(&log).events.map(|e| e.len());
        let (batch, _) = log.prepare(&mut [br#"{"id":"new"}"#.as_slice()].into_iter()).unwrap();
        let appended = log.append(batch);
        drop(log);
        let again = AuditLog::open_storage(Arc::new(memory), options(false), Hands::at(START)).unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let after = ask(&again).events.map(|e| e.len());
        if let (Ok(before), Ok(after), Ok(receipt)) = (before, after, appended) {
            assert_eq!(after, before + receipt.accepted as usize, "{what}: {:?}", again.health().problems);
        }
    }
}
