//! What damage to a file may cost: the events that the file holds, and those of a journal's end that nothing proves.

use crate::damage::directory::{EVENTS, FIRST_IN, GroupStart};

/// Which events a file holds.
#[must_use]
pub fn held_by(name: &str) -> std::ops::Range<u64> {
    match FIRST_IN.iter().position(|(file, _)| *file == name) {
        Some(at) => FIRST_IN[at].1..FIRST_IN[at + 1].1,
        // Another catalog may know of none of them.
        None if name == "catalog" => 1..EVENTS + 1,
        None => 0..0,
    }
}

/// How many of the last events stand in groups that the damage has hit, with every group after them: what nothing proves to have been there.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn unproved(whole: &[u8], damaged: &[u8], starts: &[GroupStart]) -> u64 {
    let (mut first, mut end) = (EVENTS + 1, whole.len());
    for (start, first_event) in starts.iter().rev() {
        if whole[*start..end] == damaged[*start..end] {
            break;
        }
        (first, end) = (*first_event, *start);
    }
    EVENTS + 1 - first
}
