//! Class 9: every byte of every file is wrong in turn: a flipped bit, zero, or all ones.
//!
//! The damage must be found, be named with its place, cost no event of another file, and never show as an answer that says it is right. What changes
//! no answer, `verify` must find; the parts of files that nothing proves are listed (`damage::UNPROVED`). Of a log
//! that was killed only the last group may go in silence: a wrong byte in it looks like a write that was cut.

use crate::damage::{Answers, Damaged, Files, Outcome, VERIFIED_EVERY, detect, files, group_starts, right_answers, unproved};
use crate::disk::Image;
use crate::ledger::Verdict;
use crate::random::Random;
use crate::runner::{Run, cores};

/// The most bytes of the last group that are damaged in a log that was killed, its frame and what marks its end among them.
const LAST_GROUP: usize = 512;

/// Its number, whether the log was killed, the file, the byte, how often that was damaged before.
type Point<'a> = (u64, bool, &'a String, usize, u8);

/// Damages every byte, and every byte that was written to the last journal of a log that was killed.
pub(super) fn run(run: &Run) {
    let (all, left, times) = (files(true), files(false), if run.scale.long { run.of_release(8) as u8 } else { 1 });
    let (right, images, starts) = (right_answers(&all), [Image::of(all.clone()), Image::of(left.clone())], group_starts());
    let killed =
        places(&left).filter(|(name, at)| name.starts_with("journal") && *at < starts.last().map_or(0, |(start, _)| start + LAST_GROUP));
    let points: Vec<Point<'_>> = places(&all)
        .map(|(name, at)| (false, name, at))
        .chain(killed.map(|(name, at)| (true, name, at)))
        .flat_map(|(killed, name, at)| (0..times).map(move |time| (killed, name, at, time)))
        .zip(0..)
        .map(|((killed, name, at, time), point)| (point, killed, name, at, time))
        .collect();
    run.plan(points.len() as u64);
    run.each(cores(), &points, |(point, killed, name, at, time)| {
        let mut random = Random::new(run.scale.seed ^ point << 20);
        let whole = if *killed { &left[*name] } else { &all[*name] };
        let before = whole[*at];
        let bit = if times == 8 { *time } else { random.below(8) as u8 };
        let options = if times == 8 { vec![before ^ 1 << bit] } else { vec![before ^ 1 << bit, 0, 0xff] };
        let after = *random.pick(&options);
        let after = if after == before { before ^ 1 << bit } else { after };
        let whose = if *killed { " of a killed log" } else { "" };
        run.case(run.scale.seed, *point, &|| format!("{name}{whose} has {after:#04x} at byte {at} in place of {before:#04x}"), || {
            let mut bytes = whole.clone();
            bytes[*at] = after;
            let unproved = if *killed { unproved(whole, &bytes, &starts) } else { 0 };
            let (verdict, outcome) = look(&images[usize::from(*killed)], name, [whole, &bytes], &right, unproved, *point);
            run.note(outcome.in_words());
            Some(verdict)
        });
    });
}

fn places(files: &Files) -> impl Iterator<Item = (&String, usize)> {
    files.iter().flat_map(|(name, bytes)| (0..bytes.len()).map(move |at| (name, at)))
}

fn look(image: &Image, name: &str, [whole, bytes]: [&[u8]; 2], right: &Answers, unproved: u64, point: u64) -> (Verdict, Outcome) {
    let (mut verdict, mut image) = (Verdict::default(), image.clone());
    image.put(name.to_owned(), bytes.to_vec());
    let is_verified = point.is_multiple_of(VERIFIED_EVERY);
    let outcome = detect(image, &Damaged { name, whole: Some(whole), bytes: Some(bytes), is_verified }, right, &mut verdict);
    if let Outcome::Shorter(missing) = outcome
        && missing > unproved
    {
        verdict.lost_events(missing, format!("the last {missing} events are missing, and nobody is told"));
    }
    (verdict, outcome)
}
