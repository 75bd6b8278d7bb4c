//! [`Archive`]: the segments that a trail has put somewhere, for whoever reads them back.
//!
//! The manifests of the days say which files there should be and what each must be; every file is read whole and held against them before it is used.
//! Limits: one segment is in memory at a time; a segment that no manifest names is only told.

use std::collections::BTreeSet;

use bytes::Bytes;
use trail_engine::event::read_time;
use trail_engine::id::{Day, Timestamp};

use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::manifest::{Archived, Manifest, NAME};
use crate::trails::sink::object::store::ObjectStore;

const FOLDER: &str = "segments/";
const SUFFIX: &str = ".segment";

/// Segments in a store, at the name of their trail.
#[derive(Debug)]
pub struct Archive {
    store: Box<dyn ObjectStore>,
}

/// A segment of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The UTC day on which its events were received.
    pub day: String,
    /// What the manifest says of it.
    pub segment: Archived,
}

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The segments, in the order of their sequences.
    pub entries: Vec<Entry>,
    /// Manifests that cannot be read, and files that none names.
    pub problems: Vec<String>,
}

/// The days that are asked for: from one until before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: Option<Day>,
    /// The one behind the last.
    pub to: Option<Day>,
}

impl Days {
    /// Whether a day as a manifest writes it is asked for. Days in this form sort as texts.
    fn contains(&self, day: &str) -> bool {
        let text = |day: Option<Day>| day.map(|day| day.to_string());
        text(self.from).is_none_or(|from| from.as_str() <= day) && text(self.to).is_none_or(|to| day < to.as_str())
    }

    /// The day of a time, rounded up for an end.
    #[must_use]
    pub fn end(time: Timestamp) -> Day {
        let day = time.day();
        if time == day.start() { day } else { Day(day.0.saturating_add(1)) }
    }
}

impl Content {
    /// Where the sequences do not follow each other, in words: what is missing, and between which days. What is before the first segment or
    /// behind the last is not known to be missing.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let pairs = self.entries.iter().zip(self.entries.iter().skip(1));
        pairs.filter_map(|(a, b)| gap(a, b)).collect()
    }
}

/// What is wrong between two segments that should follow each other.
fn gap(a: &Entry, b: &Entry) -> Option<String> {
    let (last, first) = (a.segment.last_sequence, b.segment.first_sequence);
    if first <= last {
        let (one, other) = (&a.segment.file, &b.segment.file);
        return Some(format!("{one} and {other} have the same sequences: they are of two logs, or of one that was set back"));
    }
    let wanted = last.saturating_add(1);
    if wanted == first {
        return None;
    }
    let days = match days_between(&a.day, &b.day) {
        Some((from, to)) if from == to => format!("; there is no manifest of {from}"),
        Some((from, to)) => format!("; there are no manifests of {from} to {to}"),
        None => String::new(),
    };
    let missing = first.saturating_sub(wanted);
    Some(format!("{missing} sequences are missing, {wanted} to {}, between {} and {}{days}", first.saturating_sub(1), a.day, b.day))
}

/// The first and the last day between two, when there are any.
fn days_between(a: &str, b: &str) -> Option<(Day, Day)> {
    let day = |day: &str| read_time(&format!("{day}T00:00:00Z")).map(Timestamp::day);
    let (from, to) = (Day(day(a)?.0.saturating_add(1)), Day(day(b)?.0.saturating_sub(1)));
    (from.0 <= to.0).then_some((from, to))
}

impl Archive {
    /// The archive in a store whose prefix is the name of the trail.
    #[must_use]
    pub fn new(store: Box<dyn ObjectStore>) -> Archive {
        Archive { store }
    }

    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        self.store.place()
    }

    /// What its manifests say of some days.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn content(&self, days: Days) -> Result<Content, Fault> {
        let mut content = Content::default();
        let (mut named, mut files) = (BTreeSet::new(), Vec::new());
        for key in self.store.list(FOLDER, "").await? {
            let day = key.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix("day=")).and_then(|rest| rest.split_once('/'));
            let Some((day, name)) = day.filter(|(day, _)| days.contains(day)) else { continue };
            if name.ends_with(SUFFIX) {
                files.push(key.clone());
            } else if name == NAME {
                let bytes = self.store.get(&key).await?.unwrap_or_default();
                match Manifest::read(&bytes) {
                    Ok(manifest) => {
                        named.extend(manifest.segments.iter().map(|segment| file_of(day, segment)));
                        let entry = |segment| Entry { day: day.to_owned(), segment };
                        content.entries.extend(manifest.segments.into_iter().map(entry));
                    }
                    Err(problem) => content.problems.push(format!("{key}: {problem}")),
                }
            }
        }
        let unnamed = files.into_iter().filter(|file| !named.contains(file));
        content.problems.extend(unnamed.map(|file| format!("{file}: no manifest names it")));
        content.entries.sort_by_key(|entry| entry.segment.first_sequence);
        Ok(content)
    }

    /// The file of a segment, held against its manifest: `Err` inside says what is wrong with it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn file(&self, entry: &Entry) -> Result<Result<Bytes, String>, Fault> {
        let key = file_of(&entry.day, &entry.segment);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(Err(format!("{key}: it is not there"))) };
        Ok(match entry.segment.problem(&bytes) {
            None => Ok(bytes),
            Some(problem) => Err(format!("{key}: {problem}")),
        })
    }
}

fn file_of(day: &str, segment: &Archived) -> String {
    format!("{FOLDER}day={day}/{}", segment.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_follow_is_told_with_the_days_between() {
        let entry = |day: &str, first, last| Entry {
            day: day.into(),
            segment: Archived {
                id: "0".into(),
                file: format!("{first}-{last}"),
                first_sequence: first,
                last_sequence: last,
                event_time_min: String::new(),
                event_time_max: String::new(),
                events: 1,
                bytes: 1,
                sha256: String::new(),
            },
        };
        let days = [
            ("2026-11-20", 5, 9),
            ("2026-11-20", 10, 19),
            ("2026-11-22", 30, 39),
            ("2026-11-26", 40, 49),
            ("2026-11-27", 45, 60),
            ("2026-12-01", 70, 71),
        ];
        let content = Content { entries: days.map(|(day, first, last)| entry(day, first, last)).to_vec(), problems: Vec::new() };
        let wanted = [
            "10 sequences are missing, 20 to 29, between 2026-11-20 and 2026-11-22; there is no manifest of 2026-11-21",
            "40-49 and 45-60 have the same sequences: they are of two logs, or of one that was set back",
            "9 sequences are missing, 61 to 69, between 2026-11-27 and 2026-12-01; there are no manifests of 2026-11-28 to 2026-11-30",
        ];
        assert_eq!(content.gaps(), wanted);
    }

    #[test]
    fn days_are_from_one_until_before_another() {
        let days = Days { from: Some(Day(20_779)), to: Some(Day(20_781)) };
        let asked: Vec<bool> = ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"].iter().map(|day| days.contains(day)).collect();
        assert_eq!(asked, [false, true, true, false]);
        assert!(Days::default().contains("2026-11-24"));
        assert_eq!((Days::end(Day(5).start()), Days::end(Timestamp(Day(5).start().0 + 1))), (Day(5), Day(6)));
    }
}
