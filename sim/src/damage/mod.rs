//! Damage to files at rest: a small log that has everything, and the judge of how a damaged copy of it behaves.

mod cost;
mod detect;
mod directory;
mod judge;
mod place;

pub use cost::{held_by, unproved};
pub use detect::{Damaged, VERIFIED_EVERY, detect};
pub use directory::{EVENTS, FIRST_IN, Files, GroupStart, append, event, files, foreign, group_starts, options};
pub use judge::{Answers, Outcome, ask, judge, judge_open, right_answers};
pub use place::{UNPROVED, changed_parts, part_of, unproved_part};
