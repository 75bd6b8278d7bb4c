//! Damage to files at rest: a small log that has everything, and the judge of how a damaged copy of it behaves.

mod cost;
mod directory;
mod judge;

pub use cost::{held_by, unproved};
pub use directory::{EVENTS, FIRST_IN, Files, GroupStart, append, event, files, foreign, group_starts, options};
pub use judge::{Answers, Outcome, ask, judge, judge_open, right_answers};
