//! Every event comes back byte for byte: from the head, from segments, and after the log was closed or killed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::query::{Facet, TermsRequest};
use trail_engine::{AuditLog, Options};

use crate::support::events::{all_corpora, corpus, odd_event, trimmed};
use crate::support::log::{all_events, append, eventually, everything, open, options};
use crate::support::oracle::Known;
use crate::support::schema::schema;
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::Disk;
use trail_sim::random::{Random, seed};

/// Asserts that a log holds exactly these events, in this order.
fn holds_exactly(log: &AuditLog, events: &[Vec<u8>], when: &str) {
    let stored = all_events(log).unwrap();
    assert_eq!(stored.len(), events.len(), "{when}");
    for (i, (stored, event)) in stored.iter().zip(events).enumerate() {
        assert_eq!(stored.sequence, Sequence(i as u64 + 1), "{when}");
        assert!(stored.text == trimmed(event), "{when}: event {i} differs: {}", String::from_utf8_lossy(&event[..event.len().min(300)]));
    }
}

/// Runs events through every place where they can be.
fn through_all_places(events: &[Vec<u8>], batch: usize) {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for batch in events.chunks(batch) {
        append(&log, batch).unwrap();
    }
    holds_exactly(&log, events, "in the head");
    let killed = open(&Disk::of(memory.files()), options(), &clock).unwrap();
    holds_exactly(&killed, events, "after a kill");
    drop(killed);
    log.flush().unwrap();
    holds_exactly(&log, events, "in a segment");
    assert_eq!(log.stats().head_events, 0);
    let killed = open(&Disk::of(memory.files()), options(), &clock).unwrap();
    holds_exactly(&killed, events, "in a segment after a kill");
    log.close().unwrap();
    let again = open(&memory, options(), &clock).unwrap();
    holds_exactly(&again, events, "after a close");
    assert_eq!(again.health().problems, Vec::<String>::new());
    through_a_merge(events, batch);
}

/// Each batch is a segment, and all of them become one if one can hold them.
fn through_a_merge(events: &[Vec<u8>], batch: usize) {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for batch in events.chunks(batch) {
        append(&log, batch).unwrap();
        log.flush().unwrap();
    }
    clock.pass(DAY);
    eventually("the day is final", || log.segments().iter().all(|s| s.sealed));
    holds_exactly(&log, events, "merged");
    assert_eq!(log.health().problems, Vec::<String>::new());
    let found = log.verify(&Cancel::default()).unwrap();
    assert!(found.is_empty(), "merged: {found:?}");
    let with_ids = events.iter().filter(|e| Known::new(&schema(), 1, START, e).id.is_some()).count() as u64;
    assert_eq!(append(&log, events).unwrap().duplicates, with_ids, "copies are found in what was merged");
    drop(log);
    let again = open(&memory, Options { merge_cpu_percent: 0, ..options() }, &clock).unwrap();
    let bytes = |events: &mut dyn Iterator<Item = usize>| events.sum::<usize>();
    let stored = all_events(&again).unwrap();
    assert_eq!(bytes(&mut stored.iter().take(events.len()).map(|e| e.text.len())), bytes(&mut events.iter().map(|e| trimmed(e).len())));
}

/// The corpus without the one exact copy at the end of `edge.ndjson`.
fn corpus_once() -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    all_corpora().into_iter().filter(|line| seen.insert(line.clone())).collect()
}

#[test]
fn every_line_of_the_corpus() {
    let events = corpus_once();
    assert!(events.len() > 500);
    through_all_places(&events, 64);
    through_all_places(&events[events.len() - 60..], 1);
}

#[test]
fn made_up_events() {
    let seed = seed();
    println!("TRAIL_SEED={seed}");
    let mut random = Random::new(seed);
    let mut seen = BTreeSet::new();
    let mut events: Vec<Vec<u8>> = (0..4_000).map(|i| odd_event(&mut random, i)).collect();
    // An event without an id is stored as often as it comes; one with an id is not.
    events.retain(|e| seen.insert(e.clone()));
    through_all_places(&events, 500);
}

#[test]
fn what_is_too_odd_to_shred() {
    let long = "é\\n".repeat(30_000);
    let many = (0..5_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    let full = format!(r#"{{"a":"{}"}}"#, "x".repeat((1 << 20) - 8));
    let edge = format!(r#"{{"a":"{}"}}"#, "y".repeat(64 << 10));
    let leaves = |count: usize| format!(r#"{{"a":[{}]}}"#, vec!["0"; count].join(","));
    let events = [
        format!(r#"{{"a":"{long}"}}"#),
        format!(r#"{{ "a" : [{many}] }}"#),
        format!(r#"{{"a":{deep}}}"#),
        full,
        edge,
        leaves(4_096),
        leaves(4_097),
        "{}".into(),
        "{ }".into(),
        r#"{"":{"":{"":null}}}"#.into(),
    ];
    through_all_places(&events.map(String::into_bytes), 3);
}

#[test]
fn more_shapes_than_there_is_room_for() {
    let event = |i: usize| format!(r#"{{"key{i}":{{"x{}":{i}}},"t":"2026-11-20T00:00:00Z"}}"#, i % 7).into_bytes();
    let events: Vec<Vec<u8>> = (0..17_000).map(event).collect();
    through_all_places(&events, 5_000);
}

#[test]
fn more_columns_than_there_is_room_for() {
    let event = |i: usize| {
        let members: Vec<String> = (0..100).map(|j| format!(r#""k{i}-{j}":"{}""#, i * j)).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    let events: Vec<Vec<u8>> = (0..700).map(event).collect();
    through_all_places(&events, 350);
}

/// Arbitrary JSON, printed compactly or with white space.
fn arbitrary() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<Option<bool>>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    let value = leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    });
    (prop::collection::vec((any::<String>(), value), 0..6), any::<bool>()).prop_map(|(members, pretty)| {
        let object = serde_json::Value::Object(members.into_iter().collect());
        if pretty { serde_json::to_vec_pretty(&object).unwrap() } else { serde_json::to_vec(&object).unwrap() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_json(events in prop::collection::vec(arbitrary(), 1..80)) {
        let mut seen = BTreeSet::new();
        let events: Vec<Vec<u8>> = events.into_iter().filter(|e| seen.insert(e.clone())).collect();
        through_all_places(&events, 30);
    }
}

#[test]
fn bad_lines_are_refused_one_by_one() {
    let log = open(&Disk::default(), options(), &Hands::at(START)).unwrap();
    let (good, bad) = (br#"{"eventVersion":1,"eventId":"good"}"#.to_vec(), corpus("bad.ndjson"));
    for line in &bad {
        let pair = [line.as_slice(), &good];
        let (batch, rejections) = log.prepare(&mut pair.into_iter()).unwrap();
        assert_eq!((batch.len(), rejections.len()), (1, 1), "{}", String::from_utf8_lossy(&line[..line.len().min(80)]));
        assert_eq!(rejections[0].index, 0);
        let known = ["invalid_json", "not_an_object", "too_large", "too_deep", "invalid_utf8"];
        assert!(known.contains(&rejections[0].code) && !rejections[0].message.is_empty());
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20));
    let (_, rejections) = log.prepare(&mut [large.as_bytes()].into_iter()).unwrap();
    assert_eq!(rejections[0].code, "too_large");
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(128), "]".repeat(128));
    let (_, rejections) = log.prepare(&mut [deep.as_bytes()].into_iter()).unwrap();
    assert_eq!(rejections[0].code, "too_deep");
}

#[test]
fn a_retry_is_recognised_wherever_the_first_copy_is() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let mut log = open(&memory, options(), &clock).unwrap();
    let mut events: Vec<Vec<u8>> = corpus("actiontrail.ndjson");
    events.retain(|e| Known::new(&schema(), 1, START, e).id.is_some());
    assert!(events.len() > 100);
    let count = events.len() as u64;
    let retry = |log: &AuditLog, when: &str| {
        let receipt = append(log, &events).unwrap();
        assert_eq!((receipt.accepted, receipt.duplicates), (0, count), "{when}");
        assert_eq!((receipt.first_sequence, receipt.last_sequence), (None, None), "{when}");
    };
    let twice: Vec<Vec<u8>> = events.iter().chain(&events).cloned().collect();
    let receipt = append(&log, &twice).unwrap();
    assert_eq!((receipt.accepted, receipt.duplicates), (count, count), "within a batch");
    retry(&log, "in the head");
    log.flush().unwrap();
    retry(&log, "in a segment");
    log.close().unwrap();
    log = open(&memory, options(), &clock).unwrap();
    retry(&log, "in a segment, opened again");
    append(&log, &[r#"{"eventVersion":1,"eventId":"in-the-journal"}"#]).unwrap();
    drop(log);
    log = open(&memory, options(), &clock).unwrap();
    assert_eq!(append(&log, &[r#"{"eventVersion":1,"eventId":"in-the-journal"}"#]).unwrap().duplicates, 1);
    assert_eq!(append(&log, &[r#"{"eventVersion":1, "eventId":"in-the-journal"}"#]).unwrap().accepted, 1, "other bytes are another event");
    assert_eq!(append(&log, &[r#"{"no":"id"}"#, r#"{"no":"id"}"#]).unwrap().accepted, 2, "without an id there are no copies");
    assert_eq!(all_events(&log).unwrap().len() as u64, count + 4);
}

#[test]
fn retries_of_whole_and_shredded_events_with_one_id() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    let whole = format!(r#"{{"eventVersion":1,"eventId":"same","a":"{}"}}"#, "z".repeat(70_000));
    let other = r#"{"eventVersion":1,"eventId":"same"}"#.to_owned();
    for round in 0..3 {
        let receipt = append(&log, &[&whole, &other]).unwrap();
        assert_eq!(receipt.accepted, if round == 0 { 2 } else { 0 });
        log.flush().unwrap();
    }
    let found = log.events_by_id("same", &Cancel::default()).unwrap().events;
    assert_eq!(found.iter().map(|e| e.text.len()).collect::<Vec<_>>(), [whole.len(), other.len()]);
}

#[test]
fn one_value_in_two_dresses_counts_once() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, Options { ..options() }, &clock).unwrap();
    append(&log, &[r#"{"x":{"y":[5,"5","\u0035",5]}}"#, r#"{"x":{"y":"5"}}"#]).unwrap();
    let request = TermsRequest { facet: Facet::Path("x.y".into()), limit: 10, prefix: String::new() };
    for place in ["head", "segment"] {
        let terms = log.terms(&everything(), &request, &Cancel::default()).unwrap();
        assert_eq!(terms.terms.iter().map(|t| (t.term.as_str(), t.count)).collect::<Vec<_>>(), [("5", 2)], "{place}");
        log.flush().unwrap();
    }
}
