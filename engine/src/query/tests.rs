//! The whole of `query` against the oracle: thousands of generated filters over parts of both kinds.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use crate::budget::{Budget, Cancel};
use crate::clock::SystemClock;
use crate::error::ErrorKind;
use crate::event::path::Path;
use crate::id::{Sequence, Timestamp};
use crate::query::filter::{Comparison, Field, Filter, Test};
use crate::query::naive::{HOUR, NOW, NaiveEvent, NaiveLog, log, values_at};
use crate::query::oracle::holds;
use crate::query::question::times::Moment;
use crate::query::{
    Context, Facet, HistogramRequest, Order, PageRequest, Selection, TermsRequest, count, event_at, events_by_id, follow, histogram,
    search, tail, terms,
};

static LOG: LazyLock<NaiveLog> = LazyLock::new(|| log([60, 50, 70, 40], 7));
static CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(|| Arc::new(SystemClock::new()));

fn last(log: &NaiveLog) -> Sequence {
    log.events.last().unwrap().key.sequence
}

fn with<T>(log: &NaiveLog, upper: Sequence, ask: impl FnOnce(&Context<'_>) -> T) -> T {
    let budget = Budget::unlimited(CLOCK.clone());
    ask(&Context { parts: &log.parts, missing: &[], dimensions: &log.dimensions, now: NOW, upper, budget: &budget, clock: &**CLOCK })
}

fn field() -> impl Strategy<Value = Field> {
    let path = |text: &str| Field::Path(Path::parse(text).unwrap());
    let dimension = |name: &str| Field::Dimension(name.into());
    prop::sample::select(vec![
        dimension("user"),
        dimension("event_name"),
        dimension("source_ip"),
        dimension("size"),
        dimension("event_id"),
        path("user"),
        path("n"),
        path("ok"),
        path("when"),
        path("nothing"),
        path("req"),
        path("req.deep"),
        path("req.bucket"),
        path("req.\"a.b\""),
        path("req.items.k"),
        path("req.*"),
        path("absent.\"-x\".y"),
        path("\"-odd\".x"),
    ])
}

fn ends<T: std::fmt::Debug + Clone + 'static>(value: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = (Bound<T>, Bound<T>)> {
    let end = |v: T| prop::sample::select(vec![Bound::Included(v.clone()), Bound::Excluded(v), Bound::Unbounded]);
    (value.clone().prop_flat_map(end), value.prop_flat_map(end))
        .prop_filter("open at both ends", |(low, high)| !matches!((low, high), (Bound::Unbounded, Bound::Unbounded)))
}

fn moment() -> impl Strategy<Value = Moment> + Clone {
    prop_oneof![
        (-150i64..3).prop_map(|h| Moment::Now(h * HOUR)),
        (-150i64..3).prop_map(|h| Moment::At(NOW.shift(h * HOUR))),
        Just(Moment::Now(-1_500_000_000))
    ]
}

fn value_test() -> impl Strategy<Value = Test> {
    let values =
        vec!["alice", "bob", "odd \"q\\", "a*b", "", "DeleteTrail", "10.1.2.3", "10.0.0.0/8", "true", "null", "5", "v1", "id-20", "é"];
    let exact = (prop::sample::select(values), any::<bool>()).prop_map(|(v, ignore_case)| Test::Exact { value: v.into(), ignore_case });
    let patterns =
        vec![vec!["al", ""], vec!["", "e"], vec!["D", "e", "l"], vec!["10.", ""], vec!["", "q\\"], vec!["a*", ""], vec!["DELETE", ""]];
    let wildcard = (prop::sample::select(patterns), any::<bool>())
        .prop_map(|(p, ignore_case)| Test::Wildcard { pieces: p.into_iter().map(String::from).collect(), ignore_case });
    let regexes = vec!["^(Create|Delete).*User$", "[a-z]+", "10\\.\\d+.*", ".*/.*", "a|b", "\\\\/x"];
    let regex = (prop::sample::select(regexes), any::<bool>()).prop_map(|(p, ignore_case)| Test::Regex { pattern: p.into(), ignore_case });
    let networks = prop::sample::select(vec![("10.0.0.0", 8), ("10.1.0.0", 16), ("0.0.0.0", 0), ("2001:db8::", 32), ("10.1.2.3", 32)])
        .prop_map(|(ip, bits)| Test::Network { network: ip.parse().unwrap(), bits });
    let numbers = ends((-4i32..14).prop_map(|n| f64::from(n) / 2.0)).prop_map(|(low, high)| Test::Numbers { low, high });
    let times = ends(moment()).prop_map(|(low, high)| Test::Times { low, high });
    prop_oneof![1 => Just(Test::Exists), 4 => exact, 2 => wildcard, 2 => regex, 2 => networks, 2 => numbers, 1 => times]
}

fn leaf() -> impl Strategy<Value = Filter> {
    let compare = |field: Field, test: Test| Filter::Compare(Comparison { field, test });
    let value = (field(), value_test()).prop_map(move |(f, t)| compare(f, t));
    let time = (ends(moment()), any::<bool>()).prop_map(move |((low, high), received)| {
        compare(if received { Field::ReceivedAt } else { Field::EventTime }, Test::Times { low, high })
    });
    let received = ends((0i64..240).prop_map(|ms| Moment::At(NOW.shift(ms * 1_000_000))))
        .prop_map(move |(low, high)| compare(Field::ReceivedAt, Test::Times { low, high }));
    let sequence = ends(0u64..240).prop_map(move |(low, high)| compare(Field::Sequence, Test::Sequences { low, high }));
    let text =
        prop::sample::select(vec!["stratus", "role/admin", "a*b", "\"n\":5", "v1", "nowhere", "5"]).prop_map(|t| Filter::Text(t.into()));
    prop_oneof![8 => value, 1 => time, 1 => received, 1 => sequence, 2 => text, 1 => Just(Filter::All)]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::all_of),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::any_of),
            inner.prop_map(Filter::negate),
        ]
    })
}

fn ranges() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    let hours = |h: i64| Moment::Now(h * HOUR).to_string();
    prop_oneof![
        Just((None, None)),
        (-140i64..-20, 0i64..20).prop_map(move |(from, length)| (Some(hours(from)), Some(hours(from + length)))),
        (-140i64..0).prop_map(move |from| (Some(hours(from)), None)),
        (-140i64..0).prop_map(move |to| (None, Some(Timestamp(NOW.0 + to * HOUR + 1).to_string()))),
    ]
}

/// What a selection must give, in sequence order.
fn expected<'l>(log: &'l NaiveLog, filter: &Filter, selection: &Selection, upper: Sequence) -> Vec<&'l NaiveEvent> {
    let at = |text: &Option<String>| text.as_deref().map(|t| Moment::parse(t).unwrap().resolve(NOW));
    let from = at(&selection.from).unwrap_or(NOW.shift(-30 * 24 * HOUR));
    let inside = |time: Timestamp| from <= time && at(&selection.to).map_or(time <= NOW, |to| time < to);
    log.events.iter().filter(|e| e.key.sequence <= upper && inside(e.key.time) && holds(filter, e)).collect()
}

fn all_pages(context: &Context<'_>, selection: &Selection, order: Order, limit: usize) -> Vec<u64> {
    let mut request = PageRequest { order, limit, cursor: None, explain: true };
    let mut seen = Vec::new();
    loop {
        let page = search(context, selection, &request).unwrap();
        assert!(page.events.len() <= limit && (page.next_cursor.is_none() || page.events.len() == limit));
        let explanation = page.explanation.unwrap();
        assert_eq!(explanation.parts.len(), context.parts.len());
        assert!(explanation.parts.iter().all(|p| p.matched <= p.touched && p.touched <= u64::from(p.documents)));
        seen.extend(page.events.iter().map(|e| e.sequence.0));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            return seen;
        }
    }
}

fn frequencies<'v>(values: impl Iterator<Item = Vec<&'v str>>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for mut of_event in values {
        of_event.sort_unstable();
        of_event.dedup();
        of_event.into_iter().for_each(|v| *counts.entry(v).or_default() += 1);
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(v, n)| (v.to_owned(), n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

/// Pieces of the language, for texts that are nearly right.
const TOKENS: [&str; 30] = [
    "(",
    ")",
    "\"",
    "user",
    ":",
    "~",
    "-",
    "NOT ",
    "AND ",
    "OR ",
    "[",
    "]",
    "{",
    "}",
    " TO ",
    ">=",
    "<",
    "/",
    "\\",
    "*",
    "a",
    ".",
    "[]",
    "5",
    " ",
    "now-1d",
    "10.0.0.0/8",
    "é",
    "event_time",
    "sequence",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_filter_reads_back_as_itself(filter in filter()) {
        let printed = filter.to_string();
        let read = Filter::parse(&printed, &LOG.dimensions);
        prop_assert_eq!(read.as_ref().ok(), Some(&filter), "{} {:?}", printed, read);
    }

    #[test]
    fn pages_and_counts_agree_with_the_oracle(filter in filter(), (from, to) in ranges(), limit in 1usize..60, upper in 0u64..260) {
        let selection = Selection { q: filter.to_string(), from, to };
        let mut keys: Vec<_> = expected(&LOG, &filter, &selection, Sequence(upper)).iter().map(|e| e.key).collect();
        keys.sort_unstable();
        let ascending: Vec<u64> = keys.iter().map(|k| k.sequence.0).collect();
        let descending: Vec<u64> = ascending.iter().rev().copied().collect();
        with(&LOG, Sequence(upper), |context| {
            prop_assert_eq!(count(context, &selection).unwrap().count, keys.len() as u64, "{}", &selection.q);
            prop_assert_eq!(all_pages(context, &selection, Order::Ascending, limit), ascending, "{}", &selection.q);
            prop_assert_eq!(all_pages(context, &selection, Order::Descending, limit), descending, "{}", &selection.q);
            Ok(())
        })?;
    }

    #[test]
    fn terms_and_histograms_agree_with_the_oracle(filter in filter(), (from, to) in ranges(), limit in 1usize..5, prefix in "(|a|D|10)") {
        let selection = Selection { q: filter.to_string(), from, to };
        let chosen = expected(&LOG, &filter, &selection, last(&LOG));
        with(&LOG, last(&LOG), |context| {
            for (facet, of) in [("user", None), ("source_ip", None), ("size", None), ("user", Some("user")), ("k", Some("req.items.k"))] {
                let path = of.map(|p| Path::parse(p).unwrap());
                let owned: Vec<Vec<String>> = chosen.iter().map(|e| match &path {
                    Some(path) => values_at(&e.value, &path.steps).into_iter().filter(|v| v.0 != "null").map(|v| v.0).collect(),
                    None => e.terms.get(facet).cloned().unwrap_or_default(),
                }).collect();
                let wanted = frequencies(owned.iter().map(|v| v.iter().map(String::as_str).filter(|t| t.starts_with(&prefix)).collect()));
                let facet = of.map_or(Facet::Dimension(facet.into()), |p| Facet::Path(p.into()));
                let found = terms(context, &selection, &TermsRequest { facet, limit, prefix: prefix.clone() }).unwrap();
                prop_assert_eq!(found.total, chosen.len() as u64);
                prop_assert_eq!(found.distinct, wanted.len() as u64);
                prop_assert_eq!(found.other, wanted.iter().skip(limit).map(|t| t.1).sum::<u64>());
                let named: Vec<_> = found.terms.into_iter().map(|t| (t.term, t.count)).collect();
                prop_assert_eq!(named, wanted.into_iter().take(limit).collect::<Vec<_>>());
            }
            let request = HistogramRequest { interval: "7h".into(), dimension: Some("source_ip".into()), limit };
            let buckets = histogram(context, &selection, &request).unwrap().buckets;
            prop_assert_eq!(buckets.iter().map(|b| b.count).sum::<u64>(), chosen.len() as u64);
            for bucket in &buckets {
                prop_assert_eq!(bucket.start.0 % (7 * HOUR), 0);
                let inside = || chosen.iter().filter(|e| (bucket.start.0..bucket.start.0 + 7 * HOUR).contains(&e.key.time.0));
                prop_assert_eq!(bucket.count, inside().count() as u64);
                let wanted = frequencies(inside().map(|e| e.terms["source_ip"].iter().map(String::as_str).collect()));
                let named: Vec<_> = bucket.terms.iter().map(|t| (t.term.clone(), t.count)).collect();
                prop_assert_eq!(named, wanted.into_iter().take(limit).collect::<Vec<_>>());
            }
            Ok(())
        })?;
    }

    #[test]
    fn following_the_log_gives_every_match_once(filter in filter(), events_max in 1usize..30, scan_max in 1u64..300, upper in 0u64..260) {
        let wanted: Vec<u64> = LOG.events.iter().filter(|e| e.key.sequence.0 <= upper && holds(&filter, e)).map(|e| e.key.sequence.0).collect();
        with(&LOG, Sequence(upper), |context| {
            let (mut position, mut seen) = (Sequence::ZERO, Vec::new());
            while position.0 < upper {
                let page = tail(context, &filter.to_string(), position, events_max, scan_max).unwrap();
                prop_assert!(page.events.len() <= events_max && page.position > position && page.position.0 <= upper);
                position = page.position;
                seen.extend(page.events.iter().map(|e| e.sequence.0));
            }
            prop_assert_eq!(seen, wanted, "{}", filter);
            Ok(())
        })?;
    }

    #[test]
    fn several_filters_are_followed_as_each_alone(
        filters in prop::collection::vec(filter(), 1..5), events_max in 1usize..30, scan_max in 1u64..300, upper in 0u64..260
    ) {
        let texts: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let marks = |event| filters.iter().enumerate().filter(|(_, filter)| holds(filter, event)).fold(0, |marks, (i, _)| marks | 1 << i);
        let of_all = LOG.events.iter().filter(|e| e.key.sequence.0 <= upper).map(|e| (e.key.sequence.0, marks(e)));
        let wanted: Vec<(u64, u64)> = of_all.filter(|(_, marks)| *marks != 0).collect();
        with(&LOG, Sequence(upper), |context| {
            let (mut position, mut seen) = (Sequence::ZERO, Vec::new());
            while position.0 < upper {
                let page = follow(context, &texts, position, events_max, scan_max).unwrap();
                prop_assert!(page.events.len() <= events_max && page.position > position && page.position.0 <= upper);
                position = page.position;
                seen.extend(page.events.iter().map(|e| (e.event.sequence.0, e.filters)));
            }
            prop_assert_eq!(seen, wanted, "{:?}", texts);
            Ok(())
        })?;
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", tokens in prop::collection::vec(
        prop::sample::select(TOKENS.to_vec()), 0..24)) {
        for text in [text, tokens.concat()] {
            match Filter::parse(&text, &LOG.dimensions) {
                Ok(filter) => prop_assert_eq!(Filter::parse(&filter.to_string(), &LOG.dimensions).ok(), Some(filter), "{}", text),
                Err(e) => prop_assert!(e.kind() == ErrorKind::Invalid && e.offset().is_some_and(|at| at <= text.len() as u64), "{} {:?}", text, e),
            }
        }
    }
}

#[test]
fn windows_of_large_parts_give_the_same_pages() {
    let log = log([9_000, 3_000, 7_000, 500], 11);
    let q = r#"req.bucket:10.200.0.1 -"ok":true OR ("n":7 stratus) user:odd*"#;
    let selection = Selection { q: q.into(), ..Selection::default() };
    let filter = Filter::parse(&selection.q, &log.dimensions).unwrap();
    let mut keys: Vec<_> = expected(&log, &filter, &selection, Sequence(15_000)).iter().map(|e| e.key).collect();
    assert!(keys.len() > 500, "{}", keys.len());
    keys.sort_unstable();
    let ascending: Vec<u64> = keys.iter().map(|k| k.sequence.0).collect();
    with(&log, Sequence(15_000), |context| {
        assert_eq!(all_pages(context, &selection, Order::Ascending, 97), ascending);
        assert_eq!(all_pages(context, &selection, Order::Descending, 97), ascending.iter().rev().copied().collect::<Vec<_>>());
        let page = search(context, &selection, &PageRequest { limit: 5, explain: true, ..PageRequest::default() }).unwrap();
        let explanation = page.explanation.unwrap();
        assert!(explanation.parts.iter().any(|p| p.skipped.is_some_and(|why| why.contains("page is full"))), "{explanation:?}");
        assert!(explanation.parts.iter().any(|p| p.touched > 0 && p.touched < u64::from(p.documents)), "{explanation:?}");
        assert!(explanation.parts.iter().flat_map(|p| &p.steps).any(|s| s.starts_with("user:odd*: ")), "{explanation:?}");
    });
}

#[test]
fn a_cursor_keeps_its_answer_while_events_arrive() {
    let selection = Selection { q: "user:*".into(), ..Selection::default() };
    let mut request = PageRequest { limit: 20, ..PageRequest::default() };
    let before = with(&LOG, Sequence(150), |context| all_pages(context, &selection, Order::Descending, 20));
    let mut seen = Vec::new();
    for upper in 150.. {
        let later = Selection { from: Some("now-1h".into()), ..selection.clone() };
        let page =
            with(&LOG, Sequence(upper), |context| search(context, if upper == 150 { &selection } else { &later }, &request)).unwrap();
        seen.extend(page.events.iter().map(|e| e.sequence.0));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, before);
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let selection =
        |q: &str, from: Option<&str>, to: Option<&str>| Selection { q: q.into(), from: from.map(Into::into), to: to.map(Into::into) };
    with(&LOG, last(&LOG), |context| {
        let page = PageRequest { limit: 0, ..PageRequest::default() };
        assert!(search(context, &Selection::default(), &page).unwrap_err().message().contains("limit"));
        assert!(count(context, &selection("", None, Some("now-60d"))).unwrap_err().message().contains("ends at"));
        assert!(count(context, &selection("", Some("soon"), None)).unwrap_err().message().contains("cannot read the time `soon`"));
        let terms_of = |facet| terms(context, &Selection::default(), &TermsRequest { facet, limit: 5, prefix: String::new() });
        assert_eq!(terms_of(Facet::Dimension("usr".into())).unwrap_err().message(), "unknown dimension `usr`; did you mean `user`?");
        assert!(terms_of(Facet::Dimension("event_id".into())).unwrap_err().message().contains("ranked"));
        let request = HistogramRequest { interval: "1s".into(), dimension: None, limit: 0 };
        assert!(histogram(context, &Selection::default(), &request).unwrap_err().message().contains("at least"));
    });
}

#[test]
fn single_events_are_found_and_memory_is_charged() {
    with(&LOG, Sequence(100), |context| {
        let pair: Vec<u64> = events_by_id(context, "id-30").unwrap().events.iter().map(|e| e.sequence.0).collect();
        assert_eq!(pair, [60, 61]);
        assert_eq!(events_by_id(context, "id-50").unwrap().events.len(), 1);
        assert!(events_by_id(context, "id-0").unwrap().events.is_empty());
        assert_eq!(event_at(context, Sequence(77)).unwrap().unwrap().sequence, Sequence(77));
        assert!(event_at(context, Sequence(101)).unwrap().is_none() && event_at(context, Sequence(1)).unwrap().is_none());
    });
    let small = Budget::new(CLOCK.clone(), std::time::Duration::MAX, 5_000, Cancel::default());
    let context = Context {
        parts: &LOG.parts,
        missing: &[],
        dimensions: &LOG.dimensions,
        now: NOW,
        upper: last(&LOG),
        budget: &small,
        clock: &**CLOCK,
    };
    let error = search(&context, &Selection::default(), &PageRequest { limit: 100, ..PageRequest::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}
