//! Class 10: files that were cut short, whose pages are zeros, stand twice or in each other's place, and files that are gone, double, or of
//! another day.
//!
//! As for single bytes: nothing is missing in silence, and what changes no answer, `verify` finds. A log that was killed is cut short and loses files too: of its journal it is known how long
//! it was made and that it was there, though not what was in it last: its last groups may be gone in silence where the damage hit all of them, since
//! that is how a cut write looks. Groups before an undamaged one may not.

use crate::damage::{
    Answers, Damaged, EVENTS, Files, GroupStart, Outcome, VERIFIED_EVERY, detect, files, foreign, group_starts, right_answers, unproved,
};
use crate::disk::Image;
use crate::ledger::Verdict;
use crate::runner::{Run, cores};

/// The sizes of pages.
const PAGES: [usize; 2] = [512, 4_096];
/// A damaged directory.
struct Case {
    what: String,
    /// Whether the log was killed, not closed.
    killed: bool,
    /// The file that is not as it was, and its bytes; none when it is gone.
    name: String,
    bytes: Option<Vec<u8>>,
}

/// Damages pages and files.
pub(super) fn run(run: &Run) {
    let (all, left) = (files(true), files(false));
    let before = Before {
        right: right_answers(&all),
        images: [Image::of(all.clone()), Image::of(left.clone())],
        files: [all.clone(), left.clone()],
        starts: group_starts(),
    };
    let mut cases: Vec<Case> = Vec::new();
    for (name, bytes) in &all {
        cuts(name, bytes, false, &mut cases);
        pages(name, bytes, false, &all, &mut cases);
    }
    whole_files(&all, &mut cases);
    for (name, bytes) in left.iter().filter(|(name, _)| name.starts_with("journal")) {
        cuts(name, bytes, true, &mut cases);
        cases.push(Case { what: format!("{name} of a killed log is gone"), killed: true, name: name.clone(), bytes: None });
        pages(name, bytes, true, &left, &mut cases);
    }
    let cases: Vec<(u64, Case)> = (0..).zip(cases).collect();
    run.plan(cases.len() as u64);
    run.each(cores(), &cases, |(point, case)| {
        run.case(run.scale.seed, *point, &|| case.what.clone(), || {
            let (verdict, outcome) = look(*point, case, &before);
            run.note(outcome.in_words());
            Some(verdict)
        });
    });
}

/// What there was before the damage, and what the log answered.
struct Before {
    right: Answers,
    images: [Image; 2],
    /// The files of the log that was closed, and of the one that was killed.
    files: [Files; 2],
    starts: Vec<GroupStart>,
}

fn look(point: u64, case: &Case, before: &Before) -> (Verdict, Outcome) {
    let of = usize::from(case.killed);
    let (mut verdict, mut image) = (Verdict::default(), before.images[of].clone());
    match &case.bytes {
        Some(bytes) => image.put(case.name.clone(), bytes.clone()),
        None => image.remove(&case.name),
    }
    let whole = before.files[of].get(&case.name).map(Vec::as_slice);
    let unproved = match (&case.bytes, whole) {
        (Some(bytes), Some(whole)) if case.killed && bytes.len() == whole.len() => unproved(whole, bytes, &before.starts),
        _ => 0,
    };
    let is_verified = point.is_multiple_of(VERIFIED_EVERY);
    let damaged = Damaged { name: &case.name, whole, bytes: case.bytes.as_deref(), is_verified };
    let outcome = detect(image, &damaged, &before.right, &mut verdict);
    if let Outcome::Shorter(missing) = outcome
        && missing > unproved
    {
        verdict.lost_events(missing, format!("the last {missing} of {EVENTS} events are missing, and nobody is told"));
    }
    (verdict, outcome)
}

/// Every length but the whole one; of the space behind what was written, which only a killed log has, some.
fn cuts(name: &str, bytes: &[u8], killed: bool, cases: &mut Vec<Case>) {
    let whose = if killed { " of a killed log" } else { "" };
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let lengths = (0..bytes.len()).filter(|length| !killed || *length < used + 128 || length % 512 == 0 || *length + 1 == bytes.len());
    cases.extend(lengths.map(|length| Case {
        what: format!("{name}{whose} is cut to {length} of {} bytes", bytes.len()),
        killed,
        name: name.to_owned(),
        bytes: Some(bytes[..length].to_vec()),
    }));
}

/// Pages of zeros, pages in the place of others of the same or another file, and pages that changed places.
fn pages(name: &str, bytes: &[u8], killed: bool, all: &Files, cases: &mut Vec<Case>) {
    let whose = if killed { " of a killed log" } else { "" };
    for size in PAGES {
        let starts = || (0..bytes.len()).step_by(size);
        let page = |at: usize| at..(at + size).min(bytes.len());
        let mut push = |what: String, change: &dyn Fn(&mut [u8])| {
            let mut changed = bytes.to_vec();
            change(&mut changed);
            if changed != bytes {
                cases.push(Case { what: format!("{name}{whose}: {what}"), killed, name: name.to_owned(), bytes: Some(changed) });
            }
        };
        for at in starts() {
            push(format!("zeros at {:?}", page(at)), &|changed| changed[page(at)].fill(0));
            for from in starts().filter(|from| *from != at) {
                let length = page(at).len().min(page(from).len());
                push(format!("the page at {from} stands at {at} too"), &|c| c.copy_within(from..from + length, at));
                if from > at && length == size {
                    push(format!("the pages at {from} and {at} have changed places"), &|changed| {
                        let (low, high) = changed.split_at_mut(from);
                        low[at..at + size].swap_with_slice(&mut high[..size]);
                    });
                }
            }
            for (other, theirs) in all.iter().filter(|(other, theirs)| *other != name && theirs.len() > at) {
                let length = page(at).len().min(theirs.len() - at);
                push(format!("the page at {at} is that of {other}"), &|c| c[at..at + length].copy_from_slice(&theirs[at..at + length]));
            }
        }
    }
}

/// Files that are gone, that are there under another name too, and those of another log.
fn whole_files(all: &Files, cases: &mut Vec<Case>) {
    let other = foreign();
    let mut push = |what: String, name: &str, bytes: Option<&Vec<u8>>| {
        cases.push(Case { what, killed: false, name: name.to_owned(), bytes: bytes.cloned() });
    };
    for (name, bytes) in all {
        push(format!("{name} is gone"), name, None);
        let stem = name.split_once('-').map_or("", |(stem, _)| stem);
        for id in [0, 1, 2, 3, 4, 5, 9, u64::MAX] {
            let copy = format!("{stem}-{id:016x}");
            if !stem.is_empty() && copy != *name {
                push(format!("a copy of {name} stands as {copy}"), &copy, Some(bytes));
            }
        }
        for suffix in [".partial", ".aside", ".next", "~"] {
            push(format!("a copy of {name} stands as {name}{suffix}"), &format!("{name}{suffix}"), Some(bytes));
        }
        for (theirs, foreign) in &other {
            // A journal of another log with the same id and first sequence is a journal: who brings it there is nobody's accident.
            if !(name.starts_with("journal") && theirs.starts_with("journal")) {
                push(format!("{name} is {theirs} of another day"), name, Some(foreign));
            }
        }
    }
}
