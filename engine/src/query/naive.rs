//! A small index in memory that does everything in the plainest way, and a log of such parts, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;
use serde_json::{Value, json};

use crate::budget::Budget;
use crate::error::Result;
use crate::event::path::{Path, Step};
use crate::event::schema::{Dimension, DimensionKind};
use crate::id::{SegmentId, Sequence, Timestamp};
use crate::index::{Extent, Index, Key, PartId, Postings, StoredEvent, TermVisitor, TimeRange, ValueVisitor};
use crate::matcher::{Lookup, Matcher, TextMatcher};

pub(crate) const NOW: Timestamp = Timestamp(1_795_334_400_000_000_000);
pub(crate) const HOUR: i64 = 3_600_000_000_000;

#[derive(Debug, Clone)]
pub(crate) struct NaiveEvent {
    pub(crate) key: Key,
    pub(crate) received_at: Timestamp,
    pub(crate) text: String,
    pub(crate) value: Value,
    pub(crate) terms: BTreeMap<&'static str, Vec<String>>,
}

pub(crate) struct NaiveIndex {
    extent: Extent,
    events: Vec<NaiveEvent>,
    dimensions: Vec<&'static str>,
}

impl NaiveIndex {
    /// Events are given in sequence order without gaps.
    pub(crate) fn new(number: u64, mut events: Vec<NaiveEvent>, time_ordered: bool, dimensions: &[&'static str]) -> NaiveIndex {
        let first_sequence = events.first().map_or(Sequence::FIRST, |e| e.key.sequence);
        if time_ordered {
            events.sort_by_key(|e| e.key);
        }
        let extent = Extent {
            part: if time_ordered { PartId::Segment(SegmentId(number)) } else { PartId::Head(first_sequence) },
            documents: events.len() as u32,
            first_sequence,
            time_min: events.iter().map(|e| e.key.time).min().unwrap_or_default(),
            time_max: events.iter().map(|e| e.key.time).max().unwrap_or_default(),
            time_ordered,
        };
        NaiveIndex { extent, events, dimensions: dimensions.to_vec() }
    }

    fn among(&self, candidates: &RoaringBitmap, test: impl Fn(&NaiveEvent) -> bool) -> RoaringBitmap {
        candidates.iter().filter(|d| test(&self.events[*d as usize])).collect()
    }

    fn terms_of<'a>(&'a self, event: &'a NaiveEvent, dimension: &str) -> &'a [String] {
        if self.has_dimension(dimension) { event.terms.get(dimension).map_or(&[], Vec::as_slice) } else { &[] }
    }
}

/// The strings (false) and literals (true) at a path.
pub(crate) fn values_at(value: &Value, steps: &[Step]) -> Vec<(String, bool)> {
    match (value, steps.split_first()) {
        (Value::Array(items), _) => items.iter().flat_map(|item| values_at(item, steps)).collect(),
        (Value::Object(members), Some((Step::Key(key), rest))) => members.get(key).map(|v| values_at(v, rest)).unwrap_or_default(),
        (Value::Object(members), Some((Step::Any, rest))) => members.values().flat_map(|v| values_at(v, rest)).collect(),
        (Value::Object(_), None) | (_, Some(_)) => vec![],
        (Value::String(text), None) => vec![(text.clone(), false)],
        (literal, None) => vec![(literal.to_string(), true)],
    }
}

/// Whether there is a value other than `null` at or beneath a path.
pub(crate) fn exists_at(value: &Value, steps: &[Step]) -> bool {
    match (value, steps.split_first()) {
        (Value::Array(items), _) => items.iter().any(|item| exists_at(item, steps)),
        (Value::Object(members), Some((Step::Key(key), rest))) => members.get(key).is_some_and(|v| exists_at(v, rest)),
        (Value::Object(members), Some((Step::Any, rest))) => members.values().any(|v| exists_at(v, rest)),
        (Value::Object(members), None) => members.values().any(|v| exists_at(v, &[])),
        (_, Some(_)) => false,
        (value, None) => !value.is_null(),
    }
}

impl Index for NaiveIndex {
    fn extent(&self) -> Extent {
        self.extent
    }

    fn documents_between(&self, range: &TimeRange) -> Result<Range<u32>> {
        if !self.extent.time_ordered {
            // A superset: the hull of the chunks in which there is such an event.
            let inside = |i: &usize| self.events.chunks(64).nth(*i).is_some_and(|c| c.iter().any(|e| range.contains(e.key.time)));
            let chunks: Vec<usize> = (0..self.events.len().div_ceil(64)).filter(inside).collect();
            let (first, last) = (chunks.first().copied().unwrap_or(0), chunks.last().map_or(0, |c| c + 1));
            return Ok((first * 64) as u32..(last * 64).min(self.events.len()) as u32);
        }
        let start = self.events.partition_point(|e| e.key.time < range.from) as u32;
        Ok(start..(self.events.partition_point(|e| e.key.time < range.to) as u32).max(start))
    }

    fn keys(&self, documents: &mut dyn Iterator<Item = u32>, keys: &mut Vec<Key>) -> Result<()> {
        keys.extend(documents.map(|d| self.events[d as usize].key));
        Ok(())
    }

    fn document_of(&self, sequence: Sequence) -> Result<Option<u32>> {
        Ok(self.events.iter().position(|e| e.key.sequence == sequence).map(|d| d as u32))
    }

    fn has_dimension(&self, dimension: &str) -> bool {
        self.dimensions.contains(&dimension)
    }

    fn estimate(&self, dimension: &str, matcher: &Matcher) -> Result<Option<u64>> {
        if let Lookup::Prefix(_) = matcher.lookup() {
            return Ok(None);
        }
        Ok(Some(self.events.iter().filter(|e| self.terms_of(e, dimension).iter().any(|t| matcher.matches(t))).count() as u64))
    }

    fn term_documents(&self, dimension: &str, matcher: &Matcher, within: Range<u32>, budget: &Budget) -> Result<RoaringBitmap> {
        budget.block()?;
        let within: RoaringBitmap = within.collect();
        Ok(self.among(&within, |e| self.terms_of(e, dimension).iter().any(|t| matcher.matches(t))))
    }

    fn for_each_term(&self, dimension: &str, prefix: &str, _: &Budget, visit: &mut TermVisitor<'_>) -> Result<()> {
        let all: BTreeSet<&String> =
            self.events.iter().flat_map(|e| self.terms_of(e, dimension)).filter(|t| t.starts_with(prefix)).collect();
        for (i, term) in all.into_iter().enumerate() {
            let has = |d: &u32| self.terms_of(&self.events[*d as usize], dimension).contains(term);
            let documents: Vec<u32> = (0..self.extent.documents).filter(has).collect();
            if i % 2 == 0 {
                visit(term, Postings::Sorted(&documents))?;
            } else {
                let mut bytes = Vec::new();
                documents.iter().collect::<RoaringBitmap>().serialize_into(&mut bytes).unwrap();
                visit(term, Postings::Roaring { bytes: &bytes, count: documents.len() as u32 })?;
            }
        }
        Ok(())
    }

    fn path_documents(&self, path: &Path, matcher: &Matcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        budget.block()?;
        let any = matcher.lookup() == Lookup::All;
        let test = |(value, literal): &(String, bool)| if *literal { matcher.matches_literal(value) } else { matcher.matches(value) };
        Ok(self.among(
            candidates,
            |e| {
                if any { exists_at(&e.value, &path.steps) } else { values_at(&e.value, &path.steps).iter().any(test) }
            },
        ))
    }

    fn for_each_value(&self, path: &Path, candidates: &RoaringBitmap, _: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        for document in candidates {
            let values: BTreeSet<(String, bool)> = values_at(&self.events[document as usize].value, &path.steps).into_iter().collect();
            for (value, _) in values.iter().filter(|(value, literal)| !(*literal && value == "null")) {
                visit(value, 1)?;
            }
        }
        Ok(())
    }

    fn text_documents(&self, text: &TextMatcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        budget.block()?;
        Ok(self.among(candidates, |e| text.is_in(e.text.as_bytes())))
    }

    fn fetch(&self, documents: &[u32], _: &Budget, events: &mut Vec<Option<StoredEvent>>) -> Result<()> {
        events.extend(documents.iter().map(|d| {
            let event = &self.events[*d as usize];
            Some(StoredEvent {
                sequence: event.key.sequence,
                received_at: event.received_at,
                event_time: event.key.time,
                time_is_received: false,
                text: event.text.clone().into_bytes(),
            })
        }));
        Ok(())
    }
}

/// Parts of a log, and all their events in sequence order as an oracle sees them.
pub(crate) struct NaiveLog {
    pub(crate) parts: Vec<Arc<dyn Index>>,
    pub(crate) events: Vec<NaiveEvent>,
    pub(crate) dimensions: Vec<Dimension>,
}

const DIMENSIONS: [&str; 5] = ["event_id", "user", "event_name", "source_ip", "size"];

pub(crate) fn dimensions() -> Vec<Dimension> {
    let kind = |name: &str| if name == "event_id" { DimensionKind::Unique } else { DimensionKind::Keyword };
    DIMENSIONS.iter().map(|name| Dimension { name: (*name).into(), kind: kind(name) }).collect()
}

/// A log of four parts, two of them in time order, with late events, equal times, and a part without `size`.
pub(crate) fn log(sizes: [usize; 4], seed: u64) -> NaiveLog {
    let (mut state, mut sequence) = (seed, 3u64);
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut parts, mut all): (Vec<Arc<dyn Index>>, Vec<NaiveEvent>) = (Vec::new(), Vec::new());
    for (number, size) in sizes.into_iter().enumerate() {
        let known = if number == 0 { &DIMENSIONS[..4] } else { &DIMENSIONS[..] };
        let mut events: Vec<NaiveEvent> = Vec::new();
        for _ in 0..size {
            let mut event = event(sequence, number as i64, &mut random);
            event.terms.retain(|name, _| known.contains(name));
            events.push(event);
            sequence += 1;
        }
        all.extend(events.iter().cloned());
        parts.push(Arc::new(NaiveIndex::new(number as u64, events, number != 1 && number != 3, known)));
    }
    parts.swap(0, 2);
    NaiveLog { parts, events: all, dimensions: dimensions() }
}

fn event(sequence: u64, part: i64, random: &mut impl FnMut(u64) -> u64) -> NaiveEvent {
    let mut pick = |from: &[&str]| from[random(from.len() as u64) as usize].to_owned();
    let user = pick(&["alice", "ALICE", "bob", "odd \"q\\", "", "a*b"]);
    let name = pick(&["CreateUser", "DeleteUser", "DeleteTrail", "StopLogging"]);
    let ip = pick(&["10.1.2.3", "10.200.0.1", "192.168.0.7", "2001:db8::1", "host", "10.0.0.0/8"]);
    let note = pick(&["role/admin now", "STRATUS red team", "plain"]);
    let time = NOW.shift((part - 3) * 24 * HOUR - (random(60) as i64) * HOUR + HOUR);
    let number = random(12) as i64 - 3;
    let (flag, when) = (random(3), Timestamp(NOW.0 - random(5) as i64 * HOUR).to_string());
    let items = if flag == 0 { json!([{"k": "v1"}, {"k": null}]) } else { json!([{"k": flag}, 7]) };
    let value = json!({"user": user, "n": number, "ok": flag == 1, "when": when, "note": note, "nothing": null,
        "req": {"bucket": ip, "a.b": name, "items": items, "deep": if flag == 2 { json!({"x": null}) } else { json!({"x": [1]}) }}});
    let mut terms = BTreeMap::from([("event_id", vec![format!("id-{}", sequence / 2)]), ("event_name", vec![name.clone()])]);
    terms.insert("user", if user.is_empty() { vec![] } else { vec![user] });
    terms.insert("source_ip", vec![ip, "10.1.1.1".to_owned()].into_iter().take(1 + usize::from(flag == 0)).collect());
    terms.insert("size", vec![number.to_string()]);
    let key = Key { time, sequence: Sequence(sequence) };
    NaiveEvent { key, received_at: NOW.shift(sequence as i64 * 1_000_000), text: value.to_string(), value, terms }
}
