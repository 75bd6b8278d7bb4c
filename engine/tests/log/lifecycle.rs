//! Days, ages and sizes: when heads become segments, segments are sealed, and days are dropped. The clock is the test's.

use std::time::Duration;

use trail_engine::clock::Clock as _;
use trail_engine::id::{Day, Sequence};
use trail_engine::{AuditLog, Hold, Options};

use crate::support::log::{all_events, append, eventually, open, options, pause};
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::Disk;

/// Longer than background work needs to look at the clock twice.
const LOOKS_MILLIS: u64 = 2_300;

fn event(name: &str) -> String {
    format!(r#"{{"eventVersion":1,"eventId":"{name}","eventTime":"2026-11-20T00:00:00Z"}}"#)
}

fn names(log: &AuditLog) -> Vec<String> {
    let id = |text: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&text).unwrap()["eventId"].as_str().unwrap().to_owned();
    all_events(log).unwrap().into_iter().map(|e| id(e.text)).collect()
}

#[test]
fn a_day_is_dropped_when_all_of_it_is_over_the_retention_and_not_a_minute_earlier() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { retention: 3 * DAY, ..options() };
    let log = open(&memory, options, &clock).unwrap();
    append(&log, &[event("first")]).unwrap();
    log.flush().unwrap();
    clock.pass(DAY);
    append(&log, &[event("second")]).unwrap();
    log.flush().unwrap();
    let due = START.day().end().0 + 3 * DAY.as_nanos() as i64;
    clock.pass(Duration::from_nanos((due - clock.now().0) as u64) - Duration::from_secs(60));
    pause(LOOKS_MILLIS);
    assert_eq!(names(&log), ["first", "second"], "a minute early");
    clock.pass(Duration::from_secs(59));
    pause(LOOKS_MILLIS);
    assert_eq!(names(&log), ["first", "second"], "a second early");
    clock.pass(Duration::from_secs(1));
    eventually("the first day is dropped", || log.segments().len() == 1);
    assert_eq!(names(&log), ["second"]);
    assert_eq!((log.stats().expired_segments, log.stats().first_sequence), (1, Some(Sequence(2))));
    eventually("its file is gone", || memory.files().keys().filter(|name| name.starts_with("segment-")).count() == 1);
    let receipt = append(&log, &[event("third")]).unwrap();
    assert_eq!(receipt.first_sequence, Some(Sequence(3)), "sequences are never used again");
}

#[test]
fn what_is_held_outlives_the_retention_a_restart_and_nothing_more() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { retention: 3 * DAY, expiry_waits: true, merge_cpu_percent: 0, ..options() };
    let log = open(&memory, options.clone(), &clock).unwrap();
    for name in ["first", "second", "third"] {
        append(&log, &[event(name)]).unwrap();
        log.flush().unwrap();
    }
    // Somebody has the first event: that waits for nothing else.
    log.hold(Hold { behind: Some(Sequence(1)), bytes_max: u64::MAX });
    clock.pass(5 * DAY);
    append(&log, &[event("fourth")]).unwrap();
    log.flush().unwrap();
    eventually("what arrived is dropped", || names(&log) == ["second", "third", "fourth"]);
    assert!(log.stats().held_bytes > 0 && log.stats().expired_segments == 1, "{:?}", log.stats());
    log.close().unwrap();
    drop(log);
    let looked = open(&memory, Options { read_only: true, ..options.clone() }, &clock).unwrap();
    assert_eq!(names(&looked), ["second", "third", "fourth"]);
    drop(looked);
    let log = open(&memory, options, &clock).unwrap();
    pause(LOOKS_MILLIS);
    assert_eq!(names(&log), ["second", "third", "fourth"], "before anybody has said what is held");
    let segment = log.segments()[1].file_bytes;
    log.hold(Hold { behind: Some(Sequence(1)), bytes_max: segment });
    eventually("more than may wait goes, the oldest first", || names(&log) == ["third", "fourth"]);
    assert_eq!((log.stats().let_go_events, log.stats().held_bytes), (1, segment));
    assert!(log.health().problems.iter().any(|problem| problem.contains("were to wait were dropped")), "{:?}", log.health());
    log.hold(Hold::default());
    eventually("what nobody holds goes", || names(&log) == ["fourth"]);
    assert_eq!((log.stats().let_go_events, log.stats().held_bytes), (1, 0));
}

#[test]
fn a_clock_that_jumps_drops_nothing() {
    for days in [400, -400] {
        let (memory, clock) = (Disk::default(), Hands::at(START));
        let options = Options { retention: 3 * DAY, ..options() };
        let mut log = open(&memory, options.clone(), &clock).unwrap();
        append(&log, &[event("before")]).unwrap();
        log.flush().unwrap();
        clock.jump(days * Day::NANOS);
        pause(LOOKS_MILLIS);
        append(&log, &[event("after")]).unwrap();
        log.flush().unwrap();
        assert_eq!(names(&log), ["before", "after"], "{days} days");
        assert_eq!(log.health().problems.len(), usize::from(days > 0), "{:?}", log.health());
        log.close().unwrap();
        log = open(&memory, options, &clock).unwrap();
        pause(LOOKS_MILLIS);
        assert_eq!(names(&log), ["before", "after"], "{days} days, opened again");
        assert!(log.segments().iter().all(|s| s.day >= START.day()), "an event looks older than it is: {:?}", log.segments());
    }
}

#[test]
fn a_head_of_an_older_day_or_age_becomes_a_segment() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { head_age_max: Duration::from_secs(60), merge_cpu_percent: 0, ..options() };
    let log = open(&memory, options, &clock).unwrap();
    append(&log, &[event("first")]).unwrap();
    clock.pass(Duration::from_secs(59));
    pause(LOOKS_MILLIS);
    assert_eq!(log.segments().len(), 0, "a second early");
    clock.pass(Duration::from_secs(1));
    eventually("the head is old", || log.segments().len() == 1);
    append(&log, &[event("second")]).unwrap();
    clock.pass(DAY);
    append(&log, &[event("third")]).unwrap();
    eventually("the day is over", || log.segments().len() >= 2);
    log.flush().unwrap();
    let days: Vec<Day> = log.segments().iter().map(|s| s.day).collect();
    let today = START.day();
    assert_eq!(days, [today, today, Day(today.0 + 1)]);
    assert_eq!(names(&log), ["first", "second", "third"]);
}

#[test]
fn one_batch_is_of_one_day_and_the_next_day_begins_a_head() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    clock.pass(Duration::from_nanos((START.day().end().0 - START.0) as u64) - Duration::from_millis(1));
    append(&log, &[event("last millisecond")]).unwrap();
    clock.pass(Duration::from_millis(1));
    append(&log, &[event("midnight")]).unwrap();
    log.flush().unwrap();
    let found: Vec<(Day, u64)> = log.segments().iter().map(|s| (s.day, s.events)).collect();
    assert_eq!(found, [(START.day(), 1), (Day(START.day().0 + 1), 1)]);
    assert_eq!(all_events(&log).unwrap()[1].received_at, START.day().end());
}

#[test]
fn a_head_that_was_killed_at_midnight_keeps_its_day() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &[event("today")]).unwrap();
    let killed = Disk::of(memory.files());
    clock.pass(DAY);
    let again = open(&killed, options(), &clock).unwrap();
    append(&again, &[event("tomorrow")]).unwrap();
    again.flush().unwrap();
    let days: Vec<Day> = again.segments().iter().map(|s| s.day).collect();
    assert_eq!(days, [START.day(), Day(START.day().0 + 1)]);
}

#[test]
fn segments_are_sealed_by_size_and_by_the_end_of_their_day() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { segment_events_max: 3, seal_grace: Duration::from_secs(600), ..options() };
    let log = open(&memory, options, &clock).unwrap();
    append(&log, &[event("a"), event("b"), event("c")]).unwrap();
    log.flush().unwrap();
    append(&log, &[event("d")]).unwrap();
    log.flush().unwrap();
    eventually("the large one is sealed", || log.segments()[0].sealed);
    let grace = Duration::from_nanos((START.day().end().0 - START.0) as u64) + Duration::from_secs(599);
    clock.pass(grace);
    pause(LOOKS_MILLIS);
    assert!(!log.segments()[1].sealed, "a second early");
    clock.pass(Duration::from_secs(1));
    eventually("the day's last one is sealed", || log.segments()[1].sealed);
    let files = memory.files();
    let reopened = open(&Disk::of(files), Options { segment_events_max: 3, ..self::options() }, &clock).unwrap();
    assert!(reopened.segments().iter().all(|s| s.sealed), "the seal is durable");
}

#[test]
fn a_full_head_becomes_segments_by_itself() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { head_bytes_max: 64 << 10, ..options() };
    let log = open(&memory, options.clone(), &clock).unwrap();
    for batch in 0..40 {
        let events: Vec<String> = (0..50).map(|i| event(&format!("{batch}-{i}"))).collect();
        append(&log, &events).unwrap();
    }
    eventually("segments are there", || log.segments().len() >= 2);
    assert_eq!(names(&log).len(), 2_000);
    log.close().unwrap();
    let log = open(&memory, options, &clock).unwrap();
    assert_eq!(names(&log).len(), 2_000);
    assert_eq!(log.last_sequence(), Sequence(2_000));
}
