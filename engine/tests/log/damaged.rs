//! Damage while a log is in use: it takes the events of one block from answers and nothing else, the answers say so, the operator hears
//! of it, and events that come again are stored again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::query::{Facet, HistogramRequest, Order, PageRequest, Selection, TermsRequest};
use trail_engine::status::Gap;
use trail_engine::{AuditLog, ErrorKind, Notice};

use crate::support::log::{append, everything, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::Disk;

/// Three blocks: two full ones and a rest.
const EVENTS: u64 = 5_000;
const BLOCK: u64 = 2_048;

fn event(i: u64) -> String {
    let (minute, second) = (i / 60 % 60, i % 60);
    format!(
        r#"{{"eventVersion":1,"eventId":"id-{i}","eventTime":"2026-11-20T0{}:{minute:02}:{second:02}Z","eventName":"N{}","req":{{"size":{i}}}}}"#,
        i / 3_600,
        i % 3,
    )
}

fn events() -> Vec<String> {
    (1..=EVENTS).map(event).collect()
}

/// A closed log with one segment, of which a byte in the second block is wrong.
fn damaged() -> Disk {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &events()).unwrap();
    log.flush().unwrap();
    log.close().unwrap();
    let files = memory.files();
    let (name, bytes) = files.iter().find(|(name, _)| name.starts_with("segment-")).unwrap();
    for at in (0..bytes.len()).step_by(2_000) {
        let mut changed = files.clone();
        changed.get_mut(name).unwrap()[at] ^= 4;
        let found = match open(&Disk::of(changed.clone()), options(), &clock) {
            Ok(log) => log.verify(&Cancel::default()).unwrap(),
            Err(_) => continue,
        };
        if found.iter().any(|e| e.component().is_some_and(|c| c == "block 1")) {
            return Disk::of(changed);
        }
    }
    panic!("no byte of the second block was found");
}

fn q(text: &str) -> Selection {
    Selection { q: text.into(), ..everything() }
}

/// The numbers of all events that pages give, and what they say is missing.
fn pages(log: &AuditLog, q: &Selection, order: Order) -> (BTreeSet<u64>, Vec<Gap>) {
    let mut page = PageRequest { order, limit: 700, ..PageRequest::default() };
    let (mut found, mut gaps) = (BTreeSet::new(), Vec::new());
    loop {
        let answer = log.search(q, &page, &Cancel::default()).unwrap();
        for stored in answer.events {
            assert!(found.insert(stored.sequence.0));
        }
        gaps.extend(answer.incomplete);
        page.cursor = answer.next_cursor;
        if page.cursor.is_none() {
            return (found, gaps);
        }
    }
}

fn is_the_block(gaps: &[Gap]) -> bool {
    let block = (Sequence(BLOCK + 1), Sequence(2 * BLOCK), BLOCK);
    !gaps.is_empty() && gaps.iter().all(|g| (g.first_sequence, g.last_sequence, g.events) == block && g.reason.contains("block 1"))
}

#[test]
fn a_damaged_block_takes_its_own_events_and_nothing_else() {
    let log = open(&damaged(), options(), &Hands::at(START)).unwrap();
    assert_eq!(log.health().problems, Vec::<String>::new(), "nobody has looked at it yet");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    log.on_notice(Box::new(move |notice| ear.lock().unwrap().push(format!("{notice:?}"))));
    let readable: BTreeSet<u64> = (1..=EVENTS).filter(|i| !(BLOCK + 1..=2 * BLOCK).contains(i)).collect();
    for order in [Order::Ascending, Order::Descending] {
        let (found, gaps) = pages(&log, &everything(), order);
        assert!(found == readable && is_the_block(&gaps), "{order:?}: {} events, {gaps:?}", found.len());
    }
    let (found, gaps) = pages(&log, &q("\"N1\""), Order::Ascending);
    assert!(is_the_block(&gaps) && found == readable.iter().copied().filter(|i| i % 3 == 1).collect(), "text: {gaps:?}");
    let (found, gaps) = pages(&log, &q("req.size:>4000"), Order::Ascending);
    assert!(is_the_block(&gaps) && found == readable.range(4_001..).copied().collect(), "path: {gaps:?}");
    let newest = log.search(&everything(), &PageRequest { limit: 3, ..PageRequest::default() }, &Cancel::default()).unwrap();
    assert_eq!((newest.events.len(), newest.incomplete), (3, Vec::new()), "what does not touch it is whole");
    let count = log.count(&q("req.size:*"), &Cancel::default()).unwrap();
    assert!(count.count == EVENTS - BLOCK && is_the_block(&count.incomplete), "{count:?}");
    let facet = TermsRequest { facet: Facet::Path("req.size".into()), limit: 10, prefix: String::new() };
    let terms = log.terms(&everything(), &facet, &Cancel::default()).unwrap();
    assert!(terms.distinct == EVENTS - BLOCK && is_the_block(&terms.incomplete), "{terms:?}");
    let by_id = |i: u64| log.events_by_id(&format!("id-{i}"), &Cancel::default()).unwrap();
    assert_eq!((by_id(7).events.len(), by_id(7).incomplete), (1, Vec::new()));
    assert!(by_id(3_000).events.is_empty() && is_the_block(&by_id(3_000).incomplete));
    assert_eq!(log.event_at(Sequence(3_000), &Cancel::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(log.event_at(Sequence(7), &Cancel::default()).unwrap().is_some());
    let (mut position, mut tailed, mut gaps) = (Sequence::ZERO, 0, Vec::new());
    while position < Sequence(EVENTS) {
        let page = log.tail("", position, 600, &Cancel::default()).unwrap();
        assert!(page.position > position, "the tail does not get past the damage");
        (position, tailed) = (page.position, tailed + page.events.len() as u64);
        gaps.extend(page.incomplete);
    }
    assert!(tailed == EVENTS - BLOCK && is_the_block(&gaps), "{tailed}: {gaps:?}");
    // What needs no block is whole: counts of dimensions and over time.
    let count = log.count(&everything(), &Cancel::default()).unwrap();
    assert_eq!((count.count, count.incomplete), (EVENTS, Vec::new()));
    let request = HistogramRequest { interval: "1h".into(), dimension: None, limit: 1 };
    let day = Selection { from: Some("2026-11-20T00:00:00Z".into()), to: Some("2026-11-21T00:00:00Z".into()), q: String::new() };
    let histogram = log.histogram(&day, &request, &Cancel::default()).unwrap();
    assert_eq!((histogram.buckets.iter().map(|b| b.count).sum::<u64>(), histogram.incomplete), (EVENTS, Vec::new()));
    let problems = log.health().problems;
    assert!(problems.len() == 1 && problems[0].contains("segment-") && problems[0].contains("block 1"), "{problems:?}");
    assert_eq!(*heard.lock().unwrap(), [format!("{:?}", Notice::Problem(&problems[0]))], "told once, when it was found");
}

#[test]
fn what_comes_again_is_stored_again_when_its_copy_cannot_be_read() {
    let log = open(&damaged(), options(), &Hands::at(START)).unwrap();
    let mut batch = events();
    batch.extend((EVENTS + 1..=EVENTS + 120).map(event));
    let receipt = append(&log, &batch).unwrap();
    assert_eq!((receipt.accepted, receipt.duplicates), (BLOCK + 120, EVENTS - BLOCK));
    assert!(log.health().problems[0].contains("block 1"), "{:?}", log.health());
    let (found, _) = pages(&log, &everything(), Order::Ascending);
    assert_eq!(found.len() as u64, EVENTS + 120, "all are there, the lost ones at new positions");
    assert_eq!(append(&log, &batch).unwrap().accepted, 0, "and they are known now");
}

#[test]
fn a_segment_that_is_gone_is_missing_from_every_answer_that_it_could_be_in() {
    let mut files = damaged().files();
    files.retain(|name, _| !name.starts_with("segment-"));
    let log = open(&Disk::of(files), options(), &Hands::at(START)).unwrap();
    let whole = |gaps: &[Gap]| gaps.len() == 1 && gaps[0].events == EVENTS && gaps[0].part.starts_with("segment-");
    let count = log.count(&everything(), &Cancel::default()).unwrap();
    assert!(count.count == 0 && whole(&count.incomplete), "{count:?}");
    assert!(whole(&pages(&log, &everything(), Order::Descending).1));
    assert!(whole(&log.tail("", Sequence::ZERO, 10, &Cancel::default()).unwrap().incomplete));
    assert!(whole(&log.events_by_id("id-1", &Cancel::default()).unwrap().incomplete));
    assert_eq!(log.event_at(Sequence(1), &Cancel::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    let other_day = Selection { from: Some("2026-11-21T00:00:00Z".into()), ..everything() };
    assert_eq!(log.count(&other_day, &Cancel::default()).unwrap().incomplete, Vec::new(), "it has no events of that time");
    let segments = log.segments();
    assert!(segments.len() == 1 && !segments[0].readable);
    assert_eq!(log.health().problems.len(), 1, "{:?}", log.health());
}

#[test]
fn events_that_the_journal_lost_are_missing_from_answers() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for first in [1, 11, 21] {
        append(&log, &(first..first + 10).map(event).collect::<Vec<_>>()).unwrap();
    }
    let mut files = memory.files();
    let journal = files.iter_mut().find(|(name, _)| name.starts_with("journal-") && !name.contains("spare")).unwrap().1;
    // In the first frame: the others prove that it had been durable.
    journal[200] ^= 1;
    let log = open(&Disk::of(files), options(), &clock).unwrap();
    let count = log.count(&everything(), &Cancel::default()).unwrap();
    assert_eq!((count.count, count.incomplete.len()), (20, 1));
    let gap = &count.incomplete[0];
    assert_eq!((gap.first_sequence, gap.last_sequence, gap.events), (Sequence(1), Sequence(10), 10));
}
