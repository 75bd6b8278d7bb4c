//! Class 10: files that were cut short, whose pages are zeros, stand twice or in each other's place, and files that are gone, double, or of
//! another day.
//!
//! As for single bytes, but for one thing that nothing in a directory can tell: a journal that was cut off, or is gone, looks like one that was
//! never written any further. There the last events may be missing in silence, and only there: never an event before one that is shown.

use std::ops::Range;

use crate::classes::wrong_byte::held_by;
use crate::damage::{Answers, EVENTS, Files, Outcome, files, foreign, judge, right_answers};
use crate::disk::Image;
use crate::ledger::Verdict;
use crate::runner::{Run, cores};

/// The sizes of pages.
const PAGES: [usize; 2] = [512, 4_096];
/// The mark of a close and the end of frames: without them a journal may have had more.
const END_BYTES: usize = 128;

/// A damaged directory.
struct Case {
    what: String,
    /// The file that is not as it was, and its bytes; none when it is gone.
    name: String,
    bytes: Option<Vec<u8>>,
    /// What is changed of it.
    range: Range<usize>,
}

/// Damages pages and files.
pub(super) fn run(run: &Run) {
    let all = files(true);
    let (right, image) = (right_answers(&all), Image::of(all.clone()));
    let mut cases: Vec<Case> = Vec::new();
    for (name, bytes) in &all {
        cuts(name, bytes, &mut cases);
        pages(name, bytes, &all, &mut cases);
    }
    whole_files(&all, &mut cases);
    let cases: Vec<(u64, Case)> = (0..).zip(cases).collect();
    run.plan(cases.len() as u64);
    run.each(cores(), &cases, |(point, case)| {
        run.case(run.scale.seed, *point, &|| case.what.clone(), || Some(look(case, &all, &image, &right)));
    });
}

fn look(case: &Case, all: &Files, image: &Image, right: &Answers) -> Verdict {
    let (mut verdict, mut damaged) = (Verdict::default(), image.clone());
    match &case.bytes {
        Some(bytes) => damaged.put(case.name.clone(), bytes.clone()),
        None => damaged.remove(&case.name),
    }
    let end = all.get(&case.name).map_or(0, Vec::len).saturating_sub(END_BYTES);
    let may_be_shorter = case.name.starts_with("journal") && (case.range.end > end || case.bytes.is_none());
    match judge(damaged, right, &held_by(&case.name), &mut verdict) {
        Outcome::Shorter(missing) if !may_be_shorter => {
            verdict.lost_events(missing, format!("the last {missing} of {EVENTS} events are missing, and nobody is told"));
        }
        _ => {}
    }
    verdict
}

/// Every length but the whole one.
fn cuts(name: &str, bytes: &[u8], cases: &mut Vec<Case>) {
    cases.extend((0..bytes.len()).map(|length| Case {
        what: format!("{name} is cut to {length} of {} bytes", bytes.len()),
        name: name.to_owned(),
        bytes: Some(bytes[..length].to_vec()),
        range: length..bytes.len(),
    }));
}

/// Pages of zeros, pages in the place of others of the same or another file, and pages that changed places.
fn pages(name: &str, bytes: &[u8], all: &Files, cases: &mut Vec<Case>) {
    for size in PAGES {
        let starts = || (0..bytes.len()).step_by(size);
        let page = |at: usize| at..(at + size).min(bytes.len());
        let mut push = |what: String, range: Range<usize>, change: &dyn Fn(&mut [u8])| {
            let mut changed = bytes.to_vec();
            change(&mut changed);
            if changed != bytes {
                cases.push(Case { what: format!("{name}: {what}"), name: name.to_owned(), bytes: Some(changed), range });
            }
        };
        for at in starts() {
            push(format!("zeros at {:?}", page(at)), page(at), &|changed| changed[page(at)].fill(0));
            for from in starts().filter(|from| *from != at) {
                let length = page(at).len().min(page(from).len());
                push(format!("the page at {from} stands at {at} too"), page(at), &|c| c.copy_within(from..from + length, at));
                let both = at.min(from)..page(at).end.max(page(from).end);
                if from > at && length == size {
                    push(format!("the pages at {from} and {at} have changed places"), both, &|changed| {
                        let (low, high) = changed.split_at_mut(from);
                        low[at..at + size].swap_with_slice(&mut high[..size]);
                    });
                }
            }
            for (other, theirs) in all.iter().filter(|(other, theirs)| *other != name && theirs.len() > at) {
                let length = page(at).len().min(theirs.len() - at);
                push(format!("the page at {at} is that of {other}"), page(at), &|c| {
                    c[at..at + length].copy_from_slice(&theirs[at..at + length])
                });
            }
        }
    }
}

/// Files that are gone, that are there under another name too, and those of another log.
fn whole_files(all: &Files, cases: &mut Vec<Case>) {
    let other = foreign();
    let mut push = |what: String, name: &str, bytes: Option<&Vec<u8>>| {
        let length = all.get(name).map_or(0, Vec::len);
        cases.push(Case { what, name: name.to_owned(), bytes: bytes.cloned(), range: 0..length.saturating_sub(END_BYTES) });
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
