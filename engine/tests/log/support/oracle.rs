//! The meaning of events and filters, evaluated straight from the text: no index, no plan, no code shared with them but the reading of
//! times, which has tests of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::{Bound, RangeBounds as _};

use regex::{Regex, RegexBuilder};
use trail_engine::event::{DimensionSchema, EventKind, Path, Pick, Source, Step, Take, read_epoch, read_time};
use trail_engine::id::Timestamp;
use trail_engine::query::{Comparison, Field, Filter, Moment, Test};

use crate::support::json::Json;

/// An event as the oracle sees it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) sequence: u64,
    pub(crate) received_at: Timestamp,
    pub(crate) event_time: Timestamp,
    pub(crate) time_is_received: bool,
    pub(crate) id: Option<String>,
    pub(crate) text: Vec<u8>,
    pub(crate) json: Json,
    /// (dimension, term), none twice.
    pub(crate) terms: Vec<(String, String)>,
}

impl Known {
    pub(crate) fn new(schema: &DimensionSchema, sequence: u64, received_at: Timestamp, text: &[u8]) -> Known {
        let json = Json::read(text);
        let kind = schema.kinds.iter().find(|kind| kind.recognise.iter().all(|path| !members_at(&json, &path.steps).is_empty()));
        let id = kind.and_then(|kind| id_of(kind, &json));
        let time = kind.and_then(|kind| time_of(kind, &json));
        let mut terms = Vec::new();
        if let Some(id) = &id {
            terms.push(("event_id".to_owned(), id.clone()));
        }
        if let Some(kind) = kind {
            collect(kind, &json, &mut terms);
        }
        let event_time = time.unwrap_or(received_at);
        Known { sequence, received_at, event_time, time_is_received: time.is_none(), id, text: text.to_vec(), json, terms }
    }

    pub(crate) fn terms_of<'a>(&'a self, dimension: &'a str) -> impl Iterator<Item = &'a str> {
        self.terms.iter().filter(move |(d, _)| d == dimension).map(|(_, t)| t.as_str())
    }
}

/// The values at a path, of any kind; arrays are walked through, on the way and at its end.
pub(crate) fn members_at<'a>(value: &'a Json, steps: &[Step]) -> Vec<&'a Json> {
    match (value, steps.split_first()) {
        (Json::Object(members), Some((step, rest))) => {
            let fits = |key: &str| matches!(step, Step::Any) || *step == Step::Key(key.to_owned());
            members.iter().filter(|(key, _)| fits(key)).flat_map(|(_, v)| here_or_within(v, rest)).collect()
        }
        (Json::Array(items), Some(_)) => items.iter().flat_map(|item| members_at(item, steps)).collect(),
        (_, Some(_)) => vec![],
        (value, None) => vec![value],
    }
}

fn here_or_within<'a>(value: &'a Json, rest: &[Step]) -> Vec<&'a Json> {
    if rest.is_empty() { vec![value] } else { members_at(value, rest) }
}

/// The leaves at a path: (text, whether it is a literal).
pub(crate) fn leaves_at(value: &Json, path: &Path) -> Vec<(String, bool)> {
    let mut leaves = Vec::new();
    for member in members_at(value, &path.steps) {
        unwrap_arrays(member, &mut |leaf| match leaf {
            Json::Text(text) => leaves.push((text.clone(), false)),
            Json::Literal(literal) => leaves.push((literal.clone(), true)),
            _ => {}
        });
    }
    leaves
}

fn unwrap_arrays(value: &Json, visit: &mut dyn FnMut(&Json)) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| unwrap_arrays(item, visit)),
        other => visit(other),
    }
}

fn holds_anything(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(holds_anything),
        Json::Object(members) => members.iter().any(|(_, v)| holds_anything(v)),
        Json::Literal(literal) => literal != "null",
        Json::Text(_) => true,
    }
}

/// What counts as a term: neither `null` nor `""`.
fn sayings(json: &Json, path: &Path) -> impl Iterator<Item = (String, bool)> {
    leaves_at(json, path).into_iter().filter(|(text, literal)| if *literal { text != "null" } else { !text.is_empty() })
}

fn id_of(kind: &EventKind, json: &Json) -> Option<String> {
    let all = kind.event_id.iter().flat_map(|path| sayings(json, path).collect::<Vec<_>>());
    all.filter(|(text, literal)| !(*literal && (text == "true" || text == "false")) && text.len() <= 4_096).map(|(text, _)| text).next()
}

fn time_of(kind: &EventKind, json: &Json) -> Option<Timestamp> {
    let mut all = kind.event_time.iter().flat_map(|path| sayings(json, path).collect::<Vec<_>>());
    all.find_map(|(text, literal)| if literal { read_epoch(&text) } else { read_time(&text) })
}

fn collect(kind: &EventKind, json: &Json, terms: &mut Vec<(String, String)>) {
    for mapping in &kind.mappings {
        for source in &mapping.sources {
            let found = taken(source, json);
            let some = found.iter().any(|t| usable(t));
            for term in found.into_iter().filter(|t| usable(t)) {
                let term = (mapping.dimension.clone(), term);
                if !terms.contains(&term) {
                    terms.push(term);
                }
            }
            if some && mapping.pick == Pick::First {
                break;
            }
        }
    }
}

fn usable(term: &str) -> bool {
    !term.is_empty() && term.len() <= 4_096
}

fn taken(source: &Source, json: &Json) -> Vec<String> {
    let values = || sayings(json, &source.path).map(|(text, _)| text);
    let raw: Vec<String> = match &source.take {
        Take::Value => values().collect(),
        Take::Constant(term) => return values().map(|_| term.clone()).collect(),
        Take::Split(at) => values().flat_map(|v| v.split(|c| at.contains(&c)).map(|p| p.trim().to_owned()).collect::<Vec<_>>()).collect(),
        Take::AfterLast(at) => values().filter_map(|v| v.rfind(*at).map(|i| v[i + at.len_utf8()..].to_owned())).collect(),
        Take::Keys => keys_at(json, &source.path),
    };
    let replace = |term: String| source.replace.iter().find(|(from, _)| *from == term || from == "*").map_or(term, |(_, to)| to.clone());
    raw.into_iter().filter(|t| !t.is_empty()).map(replace).collect()
}

fn keys_at(json: &Json, path: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    for member in members_at(json, &path.steps) {
        unwrap_arrays(member, &mut |object| {
            if let Json::Object(members) = object {
                keys.extend(members.iter().map(|(key, _)| key.clone()));
            }
        });
    }
    keys
}

/// Whether a filter selects an event.
pub(crate) fn holds(filter: &Filter, event: &Known, now: Timestamp) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|f| holds(f, event, now)),
        Filter::Or(any) => any.iter().any(|f| holds(f, event, now)),
        Filter::Not(inner) => !holds(inner, event, now),
        Filter::Text(text) => has_text(event, text),
        Filter::Compare(comparison) => compares(comparison, event, now),
    }
}

fn has_text(event: &Known, needle: &str) -> bool {
    let is_in: Box<dyn Fn(&str) -> bool> = if needle.is_ascii() {
        let needle = needle.to_ascii_lowercase();
        Box::new(move |text| text.to_ascii_lowercase().contains(&needle))
    } else {
        let pattern = format!("(?s:.*){}(?s:.*)", regex::escape(needle));
        Box::new(move |text| whole(&pattern, true, text))
    };
    let mut found = is_in(std::str::from_utf8(&event.text).unwrap());
    if event.text.contains(&b'\\') {
        event.json.for_each_text(&mut |text| found |= is_in(text));
    }
    found
}

fn compares(comparison: &Comparison, event: &Known, now: Timestamp) -> bool {
    let test = &comparison.test;
    match &comparison.field {
        Field::EventTime => time_passes(test, event.event_time, now),
        Field::ReceivedAt => time_passes(test, event.received_at, now),
        Field::Sequence => match test {
            Test::Sequences { low, high } => (*low, *high).contains(&event.sequence),
            _ => true,
        },
        Field::Dimension(name) => event.terms_of(name).any(|term| passes(test, term, false, now)),
        Field::Path(path) if *test == Test::Exists => members_at(&event.json, &path.steps).into_iter().any(holds_anything),
        Field::Path(path) => leaves_at(&event.json, path).iter().any(|(value, literal)| passes(test, value, *literal, now)),
    }
}

fn time_passes(test: &Test, time: Timestamp, now: Timestamp) -> bool {
    let resolve = |end: &Bound<Moment>| end.map(|m| m.resolve(now));
    match test {
        Test::Times { low, high } => (resolve(low), resolve(high)).contains(&time),
        _ => true,
    }
}

fn passes(test: &Test, value: &str, literal: bool, now: Timestamp) -> bool {
    if let Test::Exact { value: exact, ignore_case: false } = test {
        return exact == value;
    }
    if literal && value == "null" {
        return false;
    }
    match test {
        Test::Exists => true,
        Test::Exact { value: exact, ignore_case } => whole(&regex::escape(exact), *ignore_case, value),
        Test::Wildcard { pieces, ignore_case } => {
            let pieces: Vec<String> = pieces.iter().map(|p| regex::escape(p)).collect();
            whole(&pieces.join(".*"), *ignore_case, value)
        }
        Test::Regex { pattern, ignore_case } => whole(pattern, *ignore_case, value),
        Test::Network { network, bits } => inside(value, *network, *bits),
        Test::Numbers { low, high } => {
            let plain = value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            plain && value.parse::<f64>().is_ok_and(|n| n.is_finite() && (*low, *high).contains(&n))
        }
        Test::Times { .. } => read_time(value).is_some_and(|t| time_passes(test, t, now)),
        Test::Sequences { .. } => unreachable!("sequences are not values"),
    }
}

thread_local! {
    /// The last patterns, since a filter asks about one event after the other.
    static COMPILED: RefCell<HashMap<(String, bool), Regex>> = RefCell::default();
}

fn whole(pattern: &str, ignore_case: bool, value: &str) -> bool {
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.len() > 64 {
            compiled.clear();
        }
        let regex = compiled.entry((pattern.to_owned(), ignore_case)).or_insert_with(|| {
            let whole = format!(r"\A(?:{pattern})\z");
            RegexBuilder::new(&whole).case_insensitive(ignore_case).dot_matches_new_line(true).build().unwrap()
        });
        regex.is_match(value)
    })
}

/// Bit by bit, as text; IPv4 that is written as IPv6 is IPv4.
fn inside(value: &str, network: IpAddr, bits: u8) -> bool {
    let own = value.split_once('/');
    let Ok(address) = own.map_or(value, |(a, _)| a).parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let Some(own_bits) = own.map_or(Some(most), |(_, b)| b.parse().ok().filter(|b: &u8| *b <= most)) else { return false };
    let (a, n) = (written(address, own_bits), written(network, bits));
    a.starts_with(&n)
}

fn written(address: IpAddr, bits: u8) -> String {
    match address {
        IpAddr::V4(v4) => format!("4{:032b}", v4.to_bits())[..=usize::from(bits)].to_owned(),
        IpAddr::V6(v6) => match (v6.to_ipv4_mapped(), bits.checked_sub(96)) {
            (Some(v4), Some(bits)) => written(IpAddr::V4(v4), bits),
            _ => format!("6{:0128b}", v6.to_bits())[..=usize::from(bits)].to_owned(),
        },
    }
}
