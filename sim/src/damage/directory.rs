//! A small log that has everything: two segments, a journal with groups, whole and shredded events.

use std::collections::BTreeMap;
use std::sync::Arc;

use trail_engine::event::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Path, Pick, Source};
use trail_engine::{AuditLog, Options};

use crate::clock::{DAY, Hands, START};
use crate::disk::Disk;
use crate::subject::settle;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The options with which the log is written and read.
///
/// # Panics
/// Never: its paths are good.
#[must_use]
pub fn options(read_only: bool) -> Options {
    let source = |path: &str| Source::value(Path::parse(path).unwrap());
    let mapping = |dimension: &str, path: &str| Mapping { dimension: dimension.into(), pick: Pick::All, sources: vec![source(path)] };
    let dimension = |name: &str, kind| Dimension { name: name.into(), kind };
    let kind = EventKind {
        name: "any".into(),
        recognise: vec![],
        event_id: vec![Path::parse("id").unwrap()],
        event_time: vec![Path::parse("time").unwrap()],
        mappings: vec![mapping("user", "user"), mapping("name", "name")],
    };
    let dimensions = vec![
        dimension("event_id", DimensionKind::Unique),
        dimension("user", DimensionKind::Keyword),
        dimension("name", DimensionKind::Keyword),
    ];
    let schema = DimensionSchema { dimensions, kinds: vec![kind] };
    Options { schema, journal_bytes: 16 << 10, read_only, ..Options::default() }
}

/// The event with a number, from 1.
#[must_use]
pub fn event(i: u64) -> String {
    match i % 17 {
        // One too long to be shredded in each file: every question reads them.
        0 if i.is_multiple_of(51) => format!(r#"{{"id":"w-{i}","long":"{}"}}"#, "wide ".repeat(13_200)),
        5 => format!(r#"{{"odd":[{i},{{"x":null}},"\u00e9{i}"],"id":{i}}}"#),
        _ => format!(
            r#"{{"id":"3b1f{:04x}-77aa-4e0c-9d20-{:012x}","time":"2026-11-{:02}T0{}:{:02}:11Z","user":"user-{}","name":"N{}","req":{{"size":{},"ip":"10.0.{}.7"}}}}"#,
            i * 7_919 % 65_536,
            i * 1_000_003,
            1 + i % 21,
            i % 10,
            i % 60,
            i % 9,
            i % 4,
            i * i,
            i % 200,
        ),
    }
}

/// Appends events of these numbers as one batch.
///
/// # Panics
/// When they are refused.
pub fn append(log: &AuditLog, numbers: std::ops::Range<u64>) {
    let events: Vec<String> = numbers.map(event).collect();
    let (batch, _) = log.prepare(&mut events.iter().map(String::as_bytes)).unwrap();
    log.append(batch).unwrap();
}

/// How many events the log of [`files`] has.
pub const EVENTS: u64 = 163;

/// The first event of each file of the log of [`files`], and the first of none.
pub const FIRST_IN: [(&str, u64); 4] =
    [("segment-0000000000000001", 1), ("segment-0000000000000002", 60), ("journal-0000000000000003", 150), ("", EVENTS + 1)];

/// The groups of the journal of the last events: its several groups, the last of them alone.
const GROUPS: [std::ops::Range<u64>; 4] = [150..155, 155..160, 160..163, 163..164];

/// Where a group of the last journal begins, in bytes, and its first event.
pub type GroupStart = (usize, u64);

/// Writes the log; `after_group` sees the disk before the first group and after each of them, with its first event.
fn write(after_group: &mut dyn FnMut(&Disk, Option<u64>)) -> (Disk, AuditLog) {
    let (disk, clock) = (Disk::default(), Hands::at(START));
    let log = AuditLog::open_storage(Arc::new(disk.clone()), options(false), clock).unwrap();
    append(&log, 1..60);
    log.flush().unwrap();
    append(&log, 60..150);
    log.flush().unwrap();
    settle(&log);
    after_group(&disk, None);
    for group in GROUPS {
        append(&log, group.clone());
        after_group(&disk, Some(group.start));
    }
    (disk, log)
}

/// Where the groups of the last journal begin in a log that is killed.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn group_starts() -> Vec<GroupStart> {
    let (mut starts, mut before) = (Vec::new(), Vec::new());
    write(&mut |disk, first| {
        // The file was another journal once: what stands behind the groups is not empty.
        let bytes = disk.content(FIRST_IN[2].0);
        let changed = bytes.iter().zip(&before).position(|(new, old)| new != old);
        if let Some(first) = first {
            starts.push((changed.unwrap_or(0), first));
        }
        before = bytes;
    });
    assert!(starts.is_sorted_by(|a, b| a.0 < b.0) && starts.len() == GROUPS.len(), "the last groups are in another journal: {starts:?}");
    starts
}

/// The files of a log that was closed, or was killed.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn files(closed: bool) -> Files {
    let (disk, log) = write(&mut |_, _| {});
    let killed = disk.files();
    log.close().unwrap();
    let mut files = if closed { disk.files() } else { killed };
    // Spare journals and the reserve hold nothing.
    files.retain(|name, _| !name.contains("spare") && name != "reserve");
    files
}

/// The files of another log, of the next day, whose files have the same names and hold as many events.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn foreign() -> Files {
    let (disk, clock) = (Disk::default(), Hands::at(START));
    clock.pass(DAY);
    let log = AuditLog::open_storage(Arc::new(disk.clone()), options(false), clock.clone()).unwrap();
    append(&log, 1_001..1_060);
    log.flush().unwrap();
    append(&log, 1_060..1_150);
    log.flush().unwrap();
    append(&log, 1_150..1_164);
    log.close().unwrap();
    let mut files = disk.files();
    files.retain(|name, _| !name.contains("spare") && name != "reserve");
    files
}
