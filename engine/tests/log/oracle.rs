//! Generated filters over one log in five states, each answer compared with a straight evaluation of every event.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trail_engine::budget::Cancel;
use trail_engine::id::{Sequence, Timestamp};
use trail_engine::index::StoredEvent;
use trail_engine::query::{Bucket, Facet, Filter, HistogramRequest, Order, PageRequest, Selection, TermsRequest};
use trail_engine::{AuditLog, Options};

use crate::support::answers;
use crate::support::events::{mixed, trimmed};
use crate::support::filters::{Filters, path_with_values};
use crate::support::log::{append, eventually, open, options};
use crate::support::oracle::{Known, holds};
use crate::support::schema::schema;
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::Disk;
use trail_sim::random::{Random, number, seed};

/// Where the events of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Segments,
    Both,
    Reopened,
    Merged,
}

struct Case {
    log: AuditLog,
    clock: Arc<Hands>,
    place: Place,
}

/// Events in small batches, a few milliseconds apart, so that receive times differ.
fn fill(place: Place, events: &[Vec<u8>]) -> Case {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = match place {
        Place::Segments => Options { head_bytes_max: 900 << 10, merge_cpu_percent: 0, ..options() },
        Place::Merged => options(),
        _ => Options { merge_cpu_percent: 0, ..options() },
    };
    let mut log = open(&memory, options.clone(), &clock).unwrap();
    for (i, batch) in events.chunks(50).enumerate() {
        clock.pass(Duration::from_millis(7));
        append(&log, batch).unwrap();
        let middle = i == events.len() / 100;
        if (place == Place::Both && (middle || i == 3)) || (place == Place::Segments && i % 5 == 4) || place == Place::Merged {
            log.flush().unwrap();
        }
    }
    match place {
        Place::Segments => log.flush().unwrap(),
        Place::Reopened => {
            log.flush().unwrap();
            log.close().unwrap();
            drop(log);
            log = open(&memory, options, &clock).unwrap();
        }
        _ => {}
    }
    // All logs are asked at the same moment.
    clock.pass(DAY);
    if place == Place::Merged {
        eventually("the day is one segment", || log.segments().iter().all(|s| s.sealed));
        assert_eq!((log.segments().len(), log.health().problems), (1, Vec::new()));
        assert!(log.stats().compacted_segments > 8);
    }
    Case { log, clock, place }
}

/// The events as the oracle knows them: exact copies of an event with an id are not stored again.
fn known(events: &[Vec<u8>]) -> Vec<Known> {
    let schema = schema();
    let (mut all, mut copies) = (Vec::new(), BTreeSet::new());
    for (i, batch) in events.chunks(50).enumerate() {
        let received_at = Timestamp(START.0 + (i as i64 + 1) * 7_000_000);
        for text in batch {
            let event = Known::new(&schema, all.len() as u64 + 1, received_at, trimmed(text));
            if event.id.is_none() || copies.insert(event.text.clone()) {
                all.push(event);
            }
        }
    }
    all
}

struct Asked<'a> {
    case: &'a Case,
    filter: &'a Filter,
    known: &'a [Known],
    selection: &'a Selection,
    /// In (event time, sequence) order.
    right: &'a [&'a Known],
    from: Timestamp,
    to: Timestamp,
}

#[test]
fn generated_filters_agree_with_a_straight_evaluation() {
    let seed = seed();
    println!("TRAIL_SEED={seed}");
    let events = mixed(seed, 500);
    let known = known(&events);
    let cases = [Place::Head, Place::Segments, Place::Both, Place::Reopened, Place::Merged].map(|place| fill(place, &events));
    for case in &cases {
        same_events(case, &known);
    }
    let now = trail_engine::clock::Clock::now(&*cases[0].clock);
    let dimensions: Vec<String> = schema().dimensions.into_iter().map(|d| d.name).collect();
    let mut filters = Filters { random: Random::new(seed), events: &known, dimensions, now };
    let mut selecting = 0;
    for round in 0..number("TRAIL_FILTERS", 600) {
        let filter = filters.filter(3);
        let (from, to) = if filters.random.chance(60) { wide() } else { narrow(&mut filters) };
        let q = filter.to_string();
        let read = Filter::parse(&q, &schema().dimensions).unwrap_or_else(|e| panic!("seed {seed}: {q}: {e}"));
        assert_eq!(read.to_string(), q, "seed {seed}");
        let selection = Selection { q, from: Some(from.to_string()), to: Some(to.to_string()) };
        let inside = |e: &&Known| from <= e.event_time && e.event_time < to && holds(&filter, e, now);
        let mut right: Vec<&Known> = known.iter().filter(inside).collect();
        right.sort_by_key(|e| (e.event_time, e.sequence));
        selecting += usize::from(!right.is_empty());
        for case in &cases {
            let asked = Asked { case, filter: &filter, known: &known, selection: &selection, right: &right, from, to };
            ask(&asked, round, &mut filters.random.clone(), seed);
        }
        ask_terms(&cases, &selection, &right, &mut filters, seed);
    }
    assert!(selecting > 100, "most filters select nothing");
}

fn wide() -> (Timestamp, Timestamp) {
    (Timestamp(-8_000_000_000_000_000_000), Timestamp(9_000_000_000_000_000_000))
}

fn narrow(filters: &mut Filters<'_>) -> (Timestamp, Timestamp) {
    let now = filters.now;
    let (a, b) = (filters.moment().resolve(now), filters.moment().resolve(now));
    (a.min(b), a.max(b))
}

fn same_events(case: &Case, known: &[Known]) {
    for event in known {
        let stored = case.log.event_at(Sequence(event.sequence), &Cancel::default()).unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&stored.text), String::from_utf8_lossy(&event.text), "{:?}", case.place);
        let facts = (stored.received_at, stored.event_time, stored.time_is_received);
        let text = String::from_utf8_lossy(&event.text);
        assert_eq!(facts, (event.received_at, event.event_time, event.time_is_received), "{:?} {text}", case.place);
        if let Some(id) = &event.id {
            let found = case.log.events_by_id(id, &Cancel::default()).unwrap().events;
            let right: Vec<u64> = known.iter().filter(|e| e.id.as_ref() == Some(id)).map(|e| e.sequence).collect();
            assert_eq!(sequences(&found), right, "{:?} {id}", case.place);
        }
    }
    assert_eq!(case.log.last_sequence(), Sequence(known.len() as u64));
    assert_eq!(case.log.event_at(Sequence(known.len() as u64 + 1), &Cancel::default()).unwrap(), None);
}

/// The smallest part of a filter that selects the wrong events by itself, with the first of them.
fn blame(asked: &Asked<'_>, filter: &Filter) -> String {
    let inner: &[Filter] = match filter {
        Filter::And(all) => all,
        Filter::Or(any) => any,
        Filter::Not(inner) => std::slice::from_ref(&**inner),
        _ => &[],
    };
    let found = inner.iter().map(|f| blame(asked, f)).find(|found| !found.is_empty());
    found.unwrap_or_else(|| wrong(asked, filter))
}

fn wrong(asked: &Asked<'_>, filter: &Filter) -> String {
    let now = trail_engine::clock::Clock::now(&*asked.case.clock);
    let selection = Selection { q: filter.to_string(), ..crate::support::log::everything() };
    let found: BTreeSet<u64> = paged(&asked.case.log, &selection, Order::Ascending, 10_000).into_iter().collect();
    let differs = |e: &&Known| holds(filter, e, now) != found.contains(&e.sequence);
    let Some(event) = asked.known.iter().find(differs) else { return String::new() };
    let text: String = String::from_utf8_lossy(&event.text).chars().take(2_000).collect();
    format!("wrong about `{filter}` ({}): {text} {:?}", found.contains(&event.sequence), event.terms)
}

fn sequences(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|e| e.sequence.0).collect()
}

fn ask(asked: &Asked<'_>, round: u64, random: &mut Random, seed: u64) {
    let log = &asked.case.log;
    let shown = format!("seed {seed} {:?} q: {} from {} to {}", asked.case.place, asked.selection.q, asked.from, asked.to);
    let counted = log.count(asked.selection, &Cancel::default()).unwrap().count;
    assert!(counted == asked.right.len() as u64, "count {counted}, right {} {shown}; {}", asked.right.len(), blame(asked, asked.filter));
    let order = if round.is_multiple_of(2) { Order::Descending } else { Order::Ascending };
    let mut right: Vec<u64> = asked.right.iter().map(|e| e.sequence).collect();
    if order == Order::Descending {
        right.reverse();
    }
    let limit = *random.pick(&[1, 7, 50, 1_000]).max(&(right.len() / 5).max(1));
    assert_eq!(paged(log, asked.selection, order, limit), right, "search {shown} {order:?} {limit}");
    if round.is_multiple_of(4) {
        tail(asked, random, &shown);
    }
}

fn paged(log: &AuditLog, selection: &Selection, order: Order, limit: usize) -> Vec<u64> {
    let mut page = PageRequest { order, limit, ..PageRequest::default() };
    let mut found = Vec::new();
    loop {
        let answer = log.search(selection, &page, &Cancel::default()).unwrap();
        assert!(answer.events.len() <= limit);
        found.extend(sequences(&answer.events));
        page.cursor = answer.next_cursor;
        if page.cursor.is_none() {
            return found;
        }
        assert!(!answer.events.is_empty(), "a page without events has a next one");
    }
}

/// The tail knows no time range.
fn tail(asked: &Asked<'_>, random: &mut Random, shown: &str) {
    let log = &asked.case.log;
    let last = log.last_sequence();
    let after = random.below(last.0 as usize) as u64;
    let now = trail_engine::clock::Clock::now(&*asked.case.clock);
    let (mut position, mut found) = (Sequence(after), Vec::new());
    while position < last {
        let page = log.tail(&asked.selection.q, position, 40, &Cancel::default()).unwrap();
        assert!(page.position > position, "the tail stands still: {shown}");
        position = page.position;
        found.extend(page.events);
    }
    for event in &found {
        let known = Known::new(&schema(), event.sequence.0, event.received_at, &event.text);
        assert!(holds(asked.filter, &known, now), "tail {shown}");
    }
    let inside: Vec<u64> = asked.right.iter().map(|e| e.sequence).filter(|s| *s > after).collect();
    let found: BTreeSet<u64> = found.iter().map(|e| e.sequence.0).collect();
    assert!(inside.iter().all(|s| found.contains(s)), "tail misses events {shown}");
}

fn ask_terms(cases: &[Case; 5], selection: &Selection, right: &[&Known], filters: &mut Filters<'_>, seed: u64) {
    let ranked: Vec<String> = filters.dimensions.iter().filter(|d| !d.ends_with("_id")).cloned().collect();
    let dimension = filters.random.pick(&ranked).clone();
    let path = path_with_values(filters);
    let limit = 1 + filters.random.below(20);
    let prefix = (*filters.random.pick(&["", "", "", "a", "true", "arn:"])).to_owned();
    let (from, to) = (Timestamp(START.0 - 30 * 86_400_000_000_000), Timestamp(START.0 + 86_400_000_000_000));
    let hours = 1 + filters.random.below(48) as i64;
    for case in cases {
        let shown = format!("seed {seed} {:?} q: {} {:?} {dimension} {path}", case.place, selection.q, (&selection.from, &selection.to));
        let request = TermsRequest { facet: Facet::Dimension(dimension.clone()), limit, prefix: prefix.clone() };
        let found = case.log.terms(selection, &request, &Cancel::default()).unwrap();
        assert_eq!(found, answers::of_dimension(right, &dimension, &prefix, limit), "terms {shown}");
        let request = TermsRequest { facet: Facet::Path(path.to_string()), ..request };
        let found = case.log.terms(selection, &request, &Cancel::default()).unwrap();
        assert_eq!(found, answers::of_path(right, &path, &prefix, limit), "values {shown}");
    }
    if selection.from.as_deref() == Some(wide().0.to_string().as_str()) {
        let inside: Vec<&Known> = right.iter().copied().filter(|e| from <= e.event_time && e.event_time < to).collect();
        let selection = Selection { from: Some(from.to_string()), to: Some(to.to_string()), ..selection.clone() };
        let right = answers::histogram(&inside, from, to, hours * 3_600_000_000_000, Some(&dimension), limit);
        let request = HistogramRequest { interval: format!("{hours}h"), dimension: Some(dimension.clone()), limit };
        for case in cases {
            let found = case.log.histogram(&selection, &request, &Cancel::default()).unwrap().buckets;
            // A filter on event times that holds for the whole query narrows the range, and with it the empty buckets at the ends.
            let asked_for = |b: &&Bucket| b.count > 0 || found.iter().any(|f| f.start == b.start);
            let right: Vec<Bucket> = right.iter().filter(asked_for).cloned().collect();
            assert_eq!(found, right, "histogram seed {seed} {:?} q: {} {dimension} {hours}h", case.place, selection.q);
        }
    }
}

#[test]
fn cursors_stand_still_while_events_arrive() {
    let seed = seed();
    let events = mixed(seed, 200);
    for place in [Place::Head, Place::Both, Place::Segments, Place::Merged] {
        let case = fill(place, &events);
        let selection = Selection { q: "-user:alice".into(), ..crate::support::log::everything() };
        for order in [Order::Ascending, Order::Descending] {
            let right = paged(&case.log, &selection, order, 10_000);
            let mut page = PageRequest { order, limit: 37, ..PageRequest::default() };
            let mut found = Vec::new();
            for step in 0.. {
                let answer = case.log.search(&selection, &page, &Cancel::default()).unwrap();
                found.extend(sequences(&answer.events));
                page.cursor = answer.next_cursor;
                if page.cursor.is_none() {
                    break;
                }
                case.clock.pass(Duration::from_millis(3));
                append(&case.log, &[format!(r#"{{"t":"2026-11-{:02}T00:00:00Z","a":"late {place:?} {order:?} {step}"}}"#, 1 + step % 20)])
                    .unwrap();
                if step % 6 == 5 {
                    case.log.flush().unwrap();
                }
            }
            assert_eq!(found, right, "seed {seed} {place:?} {order:?}");
        }
    }
}
