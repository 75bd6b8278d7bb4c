//! Keys that are found by their blocks, and columns that refer to the terms of a dimension: whatever segments hold, in whatever order they are
//! merged, counts are those of the oracle.
//!
//! Each segment is made in a style. In some every value at an id's path is an id, in others events have several, or `null`, or numbers; in
//! some all values of a column are terms of its dimension, in others nearly all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use trail_engine::budget::Cancel;
use trail_engine::id::Timestamp;
use trail_engine::query::{Facet, Selection, TermsRequest};
use trail_engine::{AuditLog, Options};

use crate::support::log::{append, eventually, everything, open, options};
use crate::support::oracle::Known;
use crate::support::schema::schema;
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::Disk;
use trail_sim::random::{Random, seed};

/// As many terms as one answer may have.
const TERMS: usize = 10_000;

/// An id: UUIDs of two cases, words, and one that must be written with an escape; from a small room, so that events share them.
fn id(random: &mut Random, room: usize) -> String {
    let number = random.below(room);
    match number % 7 {
        0 => format!("word-{number}"),
        1 => format!("0F0E0D0C-0B0A-4908-8706-{number:012X}"),
        2 => format!("\\u0061scii {number}"),
        _ => format!("0f0e0d0c-0b0a-4908-8706-{number:012x}"),
    }
}

fn event(random: &mut Random, style: usize, number: usize) -> String {
    let room = if style == 0 { 1 << 40 } else { 3_000 };
    let plain = |random: &mut Random| format!("0f0e0d0c-0b0a-4908-8706-{:012x}", random.below(1 << 40));
    let own = if style < 2 { plain(random) } else { id(random, room) };
    let mut text = format!(r#"{{"eventSource":"s{}","awsRegion":"r","n":{number},"eventID":"{own}""#, random.below(3));
    let rare = |random: &mut Random| random.below(9) == 0;
    if style == 3 && rare(random) {
        write!(text, r#","auditID":"{}""#, id(random, room)).unwrap();
    }
    match style {
        4 if rare(random) => text.push_str(r#","requestID":null"#),
        5 if rare(random) => write!(text, r#","requestID":{}"#, random.below(50)).unwrap(),
        6 if rare(random) => write!(text, r#","requestID":["{}","{}"]"#, id(random, room), id(random, room)).unwrap(),
        _ if rare(random) => {}
        _ => write!(text, r#","requestID":"{}""#, id(random, room)).unwrap(),
    }
    // All values of `userName` are users; of `type` those are that come without a name, which may be all, most or none of them.
    let named = random.below(8) >= style;
    let name = if named { format!(r#""userName":"u{}","#, random.below(40)) } else { String::new() };
    write!(text, r#","userIdentity":{{{name}"type":"t{}"}}"#, random.below(if style == 7 { 300 } else { 4 })).unwrap();
    write!(text, r#","eventName":"e{}","errorCode":"{}""#, random.below(1 + style * 9), if style == 2 { "the one" } else { "x\\ty" })
        .unwrap();
    if random.below(3) > 0 {
        let resource = random.below(if style.is_multiple_of(2) { 1 << 30 } else { 500 });
        write!(
            text,
            r#","resources":[{{"ARN":"arn:{resource}","type":"k"}}],"requestParameters":{{"name":"arn:{}"}}"#,
            resource / (1 + style % 3)
        )
        .unwrap();
    }
    text + "}"
}

fn count(log: &AuditLog, q: &str) -> u64 {
    log.count(&Selection { q: q.into(), ..everything() }, &Cancel::default()).unwrap().count
}

/// Asks for ids, terms and values, and compares.
fn compare(log: &AuditLog, known: &[Known], random: &mut Random, place: &str) {
    for dimension in ["event_id", "request_id"] {
        let mut of_ids: BTreeMap<&str, u64> = BTreeMap::new();
        known.iter().flat_map(|known| known.terms_of(dimension)).for_each(|id| *of_ids.entry(id).or_default() += 1);
        let with = |passes: &dyn Fn(&str) -> bool| known.iter().filter(|known| known.terms_of(dimension).any(passes)).count() as u64;
        for _ in 0..40 {
            let (id, wanted) = of_ids.iter().nth(random.below(of_ids.len())).unwrap();
            assert_eq!(
                count(log, &format!("{dimension}:\"{id}\"")),
                with(&|term| term == *id),
                "{place}: {dimension} {id}, {wanted} terms"
            );
        }
        // Values at the paths of ids that may be none, and ids that nobody has.
        for value in (0..30).map(|_| id(random, 3_500).replace("\\u0061", "a")).chain(["null".into(), "17".into(), "x".into()]) {
            let wanted = with(&|term| term == value);
            assert_eq!(count(log, &format!("{dimension}:\"{value}\"")), wanted, "{place}: {dimension} {value}");
        }
        assert_eq!(count(log, &format!("{dimension}:*")), with(&|_| true), "{place}");
        assert_eq!(count(log, &format!("{dimension}:word-1*")), with(&|term| term.starts_with("word-1")), "{place}");
        assert_eq!(count(log, &format!("{dimension}:n*")), with(&|term| term.starts_with('n')), "{place}");
    }
    for dimension in ["event_name", "user", "resource_name", "code"] {
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        known.iter().flat_map(|known| known.terms_of(dimension)).for_each(|term| *wanted.entry(term.to_owned()).or_default() += 1);
        let request = TermsRequest { facet: Facet::Dimension(dimension.into()), limit: TERMS, prefix: String::new() };
        let found = log.terms(&everything(), &request, &Cancel::default()).unwrap();
        assert_eq!(found.terms.len(), wanted.len().min(TERMS), "{place}: {dimension}");
        for found in found.terms {
            assert_eq!(Some(&found.count), wanted.get(&found.term), "{place}: {dimension} {}", found.term);
        }
    }
    let holding = |text: &str| known.iter().filter(|known| String::from_utf8_lossy(&known.text).contains(text)).count() as u64;
    for (q, text) in [
        ("userIdentity.type:t1", r#""type":"t1""#),
        ("requestParameters.name:arn*", r#""name":"arn:"#),
        ("\"errorCode\":\"the one\"", "the one"),
    ] {
        assert_eq!(count(log, q), holding(text), "{place}: {q}");
    }
    assert_eq!(count(log, "\"arn:7\""), holding("arn:7"), "{place}");
}

#[test]
fn counts_are_those_of_the_oracle() {
    let seed = seed();
    println!("TRAIL_SEED={seed}");
    let mut random = Random::new(seed);
    for round in 0..6 {
        let (memory, clock) = (Disk::default(), Hands::at(START));
        let log = open(&memory, Options { merge_cpu_percent: 0, ..options() }, &clock).unwrap();
        let segments = 2 + random.below(3);
        let styles: Vec<usize> = (0..segments).map(|_| if round < 2 { round } else { random.below(8) }).collect();
        let mut all: Vec<String> = Vec::new();
        for style in &styles {
            let count = if random.below(3) == 0 { 2_500 } else { 1 + random.below(300) };
            let events: Vec<String> = (0..count).map(|at| event(&mut random, *style, all.len() + at)).collect();
            append(&log, &events).unwrap();
            log.flush().unwrap();
            all.extend(events);
        }
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        let known: Vec<Known> = all.iter().map(|text| Known::new(&schema(), 0, Timestamp::default(), text.as_bytes())).collect();
        compare(&log, &known, &mut random, &format!("segments {styles:?}"));
        assert_eq!(append(&log, &all).unwrap().duplicates, all.len() as u64);
        drop(log);
        clock.pass(DAY);
        let log = open(&memory, options(), &clock).unwrap();
        eventually("the day is final", || log.segments().iter().all(|segment| segment.sealed));
        assert_eq!((log.segments().len(), log.health().problems), (1, Vec::new()), "{styles:?}");
        compare(&log, &known, &mut random, &format!("merged {styles:?}"));
        assert!(log.verify(&Cancel::default()).unwrap().is_empty());
        assert_eq!(append(&log, &all).unwrap().duplicates, all.len() as u64);
    }
}
