//! [`detect`]: damage must be noticed, by an answer, at the opening or by `verify`; what nothing proves is named.

use std::sync::Arc;

use trail_engine::AuditLog;
use trail_engine::budget::Cancel;

use crate::clock::{Hands, START};
use crate::damage::cost::held_by;
use crate::damage::directory::options;
use crate::damage::judge::{Answers, Outcome, judge};
use crate::damage::place::{changed_parts, unproved_part};
use crate::disk::{Disk, Image};
use crate::ledger::Verdict;

/// A file that is not as it was.
#[derive(Debug, Clone, Copy)]
pub struct Damaged<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it had; none when it is one too many.
    pub whole: Option<&'a [u8]>,
    /// What it has; none when it is gone.
    pub bytes: Option<&'a [u8]>,
    /// Whether `verify` must name it whoever else does: it costs about as much as all questions.
    pub is_verified: bool,
}

/// Asks a damaged directory everything, as [`judge`] does. What nobody noticed by then, `verify` must name. Only a catalog may keep a log from
/// being opened.
pub fn detect(image: Image, damaged: &Damaged<'_>, right: &Answers, verdict: &mut Verdict) -> Outcome {
    let outcome = judge(image.clone(), right, &held_by(damaged.name), verdict);
    if outcome == Outcome::Refused && damaged.name != "catalog" {
        verdict.wrong("its catalog is whole, and the log does not open");
    }
    match outcome {
        Outcome::Right => verify(image, damaged, verdict),
        // What looks like a write that was cut does so to everybody.
        Outcome::Shorter(_) => outcome,
        _ if damaged.is_verified && damaged.whole.is_some() => {
            verify(image, damaged, verdict);
            outcome
        }
        _ => outcome,
    }
}

/// Every so many cases, `verify` is asked in any case.
pub const VERIFIED_EVERY: u64 = 8;

/// What `verify` says of damage.
fn verify(image: Image, damaged: &Damaged<'_>, verdict: &mut Verdict) -> Outcome {
    let (disk, clock) = (Arc::new(Disk::holding(image)), Hands::at(START));
    let looked = match AuditLog::inspect_storage(disk, &options(true), clock, &Cancel::default(), Arc::new(|_| ())) {
        Ok(looked) => looked,
        Err(error) => {
            verdict.wrong(format!("it opens, and cannot be verified: {error:?}"));
            return Outcome::Right;
        }
    };
    let names_it = |line: &String| damaged.name == "catalog" || line.starts_with(damaged.name);
    if looked.found.iter().any(names_it) {
        return Outcome::Verified;
    }
    if !looked.found.is_empty() {
        verdict.wrong(format!("verify names another file: {:?}", looked.found));
    }
    let Some(whole) = damaged.whole else { return Outcome::Stray };
    let Some(bytes) = damaged.bytes else {
        verdict.wrong("a file is gone, and verify does not say so");
        return Outcome::Right;
    };
    let parts = changed_parts(damaged.name, whole, bytes);
    let unproved: Option<Vec<&str>> = parts.iter().map(|part| unproved_part(part)).collect();
    if let Some([.., part]) = unproved.as_deref() {
        return Outcome::Unproved(part);
    }
    verdict.wrong(format!("verify does not notice it: {}", parts.join(", ")));
    Outcome::Right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::damage::directory::{FIRST_IN, files};
    use crate::damage::judge::right_answers;
    use crate::damage::place::{UNPROVED, part_of};

    /// What is said when a byte of a part is wrong, and the log that is asked does not notice: an engine that passes it over.
    fn passed_over(name: &str, part: &str) -> (Outcome, Verdict) {
        let (all, mut verdict) = (files(true), Verdict::default());
        let whole = &all[name];
        let at = (0..whole.len()).find(|at| part_of(name, whole, *at) == part).unwrap_or_else(|| panic!("{name} has no {part}"));
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let damaged = Damaged { name, whole: Some(whole), bytes: Some(&bytes), is_verified: false };
        (detect(Image::of(all.clone()), &damaged, &right_answers(&all), &mut verdict), verdict)
    }

    #[test]
    fn what_an_engine_passes_over_is_wrong_by_the_name_of_its_part() {
        let (segment, journal) = (FIRST_IN[0].0, FIRST_IN[2].0);
        for (name, part) in
            [(segment, "segment: postings"), (segment, "segment: padding"), (journal, "journal: payload"), ("catalog", "catalog")]
        {
            let (outcome, verdict) = passed_over(name, part);
            assert_eq!(outcome, Outcome::Right, "{part}");
            assert!(verdict.wrong.len() == 1 && verdict.wrong[0].ends_with(part), "{part}: {verdict:?}");
        }
        for (part, _) in UNPROVED {
            assert_eq!(passed_over(journal, part), (Outcome::Unproved(part), Verdict::default()));
        }
    }

    /// Every part of a file is there to be damaged, each segment component among them.
    #[test]
    fn every_part_of_every_file_is_damaged() {
        let mut parts: Vec<String> =
            files(true).iter().flat_map(|(name, bytes)| (0..bytes.len()).map(move |at| part_of(name, bytes, at))).collect();
        parts.sort_unstable();
        parts.dedup();
        assert!(!parts.iter().any(|part| part.contains('?')), "{parts:?}");
        // Thirteen components, header, table, trailer, padding; header, frame headers, payloads, padding and end of a journal; the catalog.
        assert_eq!(parts.len(), 17 + 5 + 1, "{parts:?}");
    }
}
