//! What the committed directories of released formats hold (`tests/fixtures/format`): the ledger of them, made again from a rule, because the events of
//! one are some 300 KB.
//!
//! A directory that is not in [`events_of`] has no ledger, and a test that finds one fails. The rule of a released format never changes.

use std::ops::Range;

/// The batches of `log-v1`, by the numbers of their events; the first two are a segment each, the others are in the journal.
pub const BATCHES_V1: [Range<u64>; 4] = [1..21, 21..36, 36..41, 41..46];

/// The event of `log-v1` with a number, which is its sequence.
#[must_use]
pub fn event_v1(i: u64) -> String {
    match i % 9 {
        0 => format!(r#"{{ "id" : "spaced-{i}" , "a" : [ {i} , null , "\u00e9" ] }}"#),
        4 => format!(r#"{{"eventVersion":1,"eventId":"whole-{i}","text":"{}"}}"#, "golden ".repeat(9_500)),
        _ => format!(
            r#"{{"eventVersion":1,"eventId":"3b1f{i:04}-77aa-4e0c-9d20-{:012x}","eventTime":"2026-11-{:02}T08:00:00Z","eventName":"N{}","sourceIpAddress":"10.0.{i}.7","n":{}}}"#,
            i * 999_983,
            1 + i % 21,
            i % 4,
            i * i
        ),
    }
}

/// The events of a committed directory, in the order of their sequences, from 1.
#[must_use]
pub fn events_of(directory: &str) -> Option<Vec<Vec<u8>>> {
    let v1 = || BATCHES_V1.into_iter().flatten().map(|i| event_v1(i).into_bytes()).collect();
    (directory == "log-v1").then(v1)
}

/// The sequences of a file of a committed directory, where it is a segment.
#[must_use]
pub fn segment_of(directory: &str, file: &str) -> Option<Range<u64>> {
    let at = ["segment-0000000000000001", "segment-0000000000000002"].iter().position(|name| *name == file)?;
    (directory == "log-v1").then(|| BATCHES_V1[at].clone())
}
