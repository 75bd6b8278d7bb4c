//! Class 9: every byte of every file is wrong in turn: a flipped bit, zero, or all ones.
//!
//! The damage must be found, be named with its place, cost no event of another file, and never show as an answer that says it is right.

use crate::damage::{Answers, EVENTS, FIRST_IN, Files, Outcome, files, judge, right_answers};
use crate::disk::Image;
use crate::ledger::Verdict;
use crate::random::Random;
use crate::runner::{Run, cores};

/// Damages every byte.
pub(super) fn run(run: &Run) {
    let (all, times) = (files(true), if run.scale.long { run.of_release(8) as u8 } else { 1 });
    let (right, image) = (right_answers(&all), Image::of(all.clone()));
    let points: Vec<(u64, &String, usize, u8)> = places(&all)
        .flat_map(|(name, at)| (0..times).map(move |time| (name, at, time)))
        .zip(0..)
        .map(|((name, at, time), point)| (point, name, at, time))
        .collect();
    run.plan(points.len() as u64);
    run.each(cores(), &points, |(point, name, at, time)| {
        let mut random = Random::new(run.scale.seed ^ point << 20);
        let before = all[*name][*at];
        let bit = if times == 8 { *time } else { random.below(8) as u8 };
        let options = if times == 8 { vec![before ^ 1 << bit] } else { vec![before ^ 1 << bit, 0, 0xff] };
        let after = *random.pick(&options);
        let after = if after == before { before ^ 1 << bit } else { after };
        run.case(run.scale.seed, *point, &|| format!("{name} has {after:#04x} at byte {at} in place of {before:#04x}"), || {
            let mut bytes = all[*name].clone();
            bytes[*at] = after;
            Some(look(&image, name, bytes, &right))
        });
    });
}

fn places(files: &Files) -> impl Iterator<Item = (&String, usize)> {
    files.iter().flat_map(|(name, bytes)| (0..bytes.len()).map(move |at| (name, at)))
}

/// Which events a file holds.
pub(super) fn held_by(name: &str) -> std::ops::Range<u64> {
    match FIRST_IN.iter().position(|(file, _)| *file == name) {
        Some(at) => FIRST_IN[at].1..FIRST_IN[at + 1].1,
        // Another catalog may know of none of them.
        None if name == "catalog" => 1..EVENTS + 1,
        None => 0..0,
    }
}

fn look(image: &Image, name: &str, bytes: Vec<u8>, right: &Answers) -> Verdict {
    let (mut verdict, mut damaged) = (Verdict::default(), image.clone());
    damaged.put(name.to_owned(), bytes);
    if let Outcome::Shorter(missing) = judge(damaged, right, &held_by(name), &mut verdict) {
        verdict.lost_events(missing, format!("the last {missing} events are missing, and nobody is told"));
    }
    verdict
}
