//! Each kind of query on a log in segments, warm.

use std::collections::HashSet;

use criterion::BenchmarkGroup;
use criterion::Criterion;
use criterion::measurement::WallTime;
use trail_corpus::{Facts, Tally, most_frequent};
use trail_engine::budget::Cancel;
use trail_engine::query::{Facet, HistogramRequest, Page, PageRequest, Selection, TermsRequest};

use crate::ground::{Ground, sizes};

const PAGE: usize = 100;
const PAGES: usize = 10;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

pub(crate) fn benches(criterion: &mut Criterion) {
    let ground = Ground::new(sizes().asked);
    let mut group = criterion.benchmark_group("query");
    one_event(&mut group, &ground);
    newest(&mut group, &ground);
    terms(&mut group, &ground);
    histogram(&mut group, &ground);
    counts(&mut group, &ground);
    pages(&mut group, &ground);
    group.finish();
}

impl Ground {
    /// A filter within the days of the events.
    fn selection(&self, q: &str) -> Selection {
        let (first, last) = (self.first_hour() * 3_600_000, (self.parameters.end + 1) * 1_000);
        Selection { q: q.to_owned(), from: Some(first.to_string()), to: Some(last.to_string()) }
    }

    fn first_hour(&self) -> i64 {
        (self.parameters.end - (self.parameters.days * 86_400.0) as i64 - 3_600).div_euclid(3_600)
    }

    fn page(&self, q: &str, limit: usize, cursor: Option<String>) -> Page {
        let request = PageRequest { limit, cursor, ..PageRequest::default() };
        self.log.search(&self.selection(q), &request, &Cancel::default()).unwrap()
    }

    fn triple(&self) -> String {
        let [service, region, read_only] = &self.questions.triple;
        format!("service:\"{service}\" region:\"{region}\" read_only:{read_only}")
    }

    fn part(&self) -> String {
        format!("requestParameters.bucketName:*{}*", self.questions.part.value)
    }
}

fn one_event(group: &mut Group<'_>, ground: &Ground) {
    let id = &ground.questions.id;
    group.bench_function("event id", |bencher| {
        bencher.iter(|| {
            let found = ground.log.events_by_id(id, &Cancel::default()).unwrap().events;
            assert_eq!(found.len(), 1);
            found
        });
    });
    let found = ground.log.events_by_id(id, &Cancel::default()).unwrap().events;
    assert_eq!(&Facts::read(&found[0].text).unwrap().id, id);
}

/// The events of a page are parsed and checked once, their number and the first of them every time.
fn newest(group: &mut Group<'_>, ground: &Ground) {
    let asked = &ground.questions;
    let user = format!("user:\"{}\"", asked.rare_user.value);
    let name = format!("event_name:\"{}\"", asked.frequent_name.value);
    page(group, ground, "newest 50 of a rare user", &user, 50, asked.rare_user.tally, &|f| f.user == asked.rare_user.value);
    page(group, ground, "newest 50 of a frequent event name", &name, 50, asked.frequent_name.tally, &|f| {
        f.event_name == asked.frequent_name.value
    });
    page(group, ground, "newest 50 of all", "", 50, ground.census.all, &|_| true);
    page(group, ground, "newest 100 of three dimensions", &ground.triple(), 100, asked.triple_tally, &|f| {
        [&f.service, &f.region, &f.read_only] == asked.triple.each_ref()
    });
    page(group, ground, "newest 50 of a part of an undeclared value", &ground.part(), 50, asked.part.tally, &|f| {
        f.bucket.contains(&asked.part.value)
    });
    for (what, (text, count)) in texts(ground) {
        let q = format!("\"{text}\"");
        let found = ground.page(&q, 50, None);
        assert!(found.events.iter().all(|event| String::from_utf8_lossy(&event.text).to_lowercase().contains(text)));
        group.bench_function(format!("newest 50 of a {what} text"), |bencher| {
            bencher.iter(|| {
                let found = ground.page(&q, 50, None);
                assert_eq!(found.events.len() as u64, (*count).min(50));
                found
            });
        });
    }
}

/// A text that most events have, and one that few have.
fn texts(ground: &Ground) -> [(&'static str, &(String, u64)); 2] {
    [("frequent", &ground.questions.texts[0]), ("rare", &ground.questions.rare_texts[0])]
}

fn page(group: &mut Group<'_>, ground: &Ground, name: &str, q: &str, limit: usize, tally: Tally, belongs: &dyn Fn(&Facts) -> bool) {
    let found = ground.page(q, limit, None);
    assert!(found.events.iter().all(|event| belongs(&Facts::read(&event.text).unwrap())), "{q}");
    assert!(found.events.is_sorted_by(|a, b| (a.event_time, a.sequence) > (b.event_time, b.sequence)), "{q}");
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let found = ground.page(q, limit, None);
            assert_eq!(found.events.len() as u64, tally.count.min(limit as u64), "{q}");
            assert_eq!(found.events[0].event_time.0, tally.newest * 1_000_000_000, "{q}");
            found
        });
    });
}

fn terms(group: &mut Group<'_>, ground: &Ground) {
    let service = &ground.questions.service.value;
    let all: Vec<(String, u64)> = ground.census.event_names.iter().map(|(name, tally)| (name.clone(), tally.count)).collect();
    let of_service: Vec<(String, u64)> =
        ground.census.names_of_service[service].iter().map(|(name, count)| (name.clone(), *count)).collect();
    for (name, q, counts) in [("terms of all", String::new(), all), ("terms of one service", format!("service:\"{service}\""), of_service)]
    {
        let distinct = counts.len() as u64;
        let expected = most_frequent(counts.into_iter(), 10);
        let request = TermsRequest { facet: Facet::Dimension("event_name".into()), limit: 10, prefix: String::new() };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let found = ground.log.terms(&ground.selection(&q), &request, &Cancel::default()).unwrap();
                assert!(found.terms.iter().map(|t| (&t.term, t.count)).eq(expected.iter().map(|(t, c)| (t, *c))), "{found:?} {expected:?}");
                assert_eq!(found.distinct, distinct);
                found
            });
        });
    }
}

fn histogram(group: &mut Group<'_>, ground: &Ground) {
    let service = &ground.questions.service;
    let hours = &ground.census.hours[&service.value];
    let selection = ground.selection(&format!("service:\"{}\"", service.value));
    let request = HistogramRequest { interval: "1h".into(), dimension: None, limit: 0 };
    group.bench_function("hourly histogram of one service", |bencher| {
        bencher.iter(|| {
            let found = ground.log.histogram(&selection, &request, &Cancel::default()).unwrap().buckets;
            let expected = (ground.first_hour()..).map(|hour| hours.get(&hour).copied().unwrap_or_default());
            assert!(found.iter().map(|bucket| bucket.count).eq(expected.take(found.len())));
            assert_eq!(found.iter().map(|bucket| bucket.count).sum::<u64>(), service.tally.count);
            found
        });
    });
}

fn counts(group: &mut Group<'_>, ground: &Ground) {
    let asked = &ground.questions;
    let [frequent, rare] = texts(ground).map(|(_, (text, count))| (format!("\"{text}\""), *count));
    for (name, q, expected) in [
        ("count of all", String::new(), ground.census.all.count),
        ("count of three dimensions", ground.triple(), asked.triple_tally.count),
        ("count of a part of an undeclared value", ground.part(), asked.part.tally.count),
        ("count of a frequent text", frequent.0, frequent.1),
        ("count of a rare text", rare.0, rare.1),
    ] {
        let selection = ground.selection(&q);
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(ground.log.count(&selection, &Cancel::default()).unwrap().count, expected, "{q}"));
        });
    }
}

fn pages(group: &mut Group<'_>, ground: &Ground) {
    let asked = &ground.questions.paged_user;
    let q = format!("user:\"{}\"", asked.value);
    group.bench_function("10 pages of 100 of a user", |bencher| {
        bencher.iter(|| {
            let (mut seen, mut cursor) = (HashSet::new(), None);
            for _ in 0..PAGES {
                let found = ground.page(&q, PAGE, cursor);
                seen.extend(found.events.iter().map(|event| event.sequence));
                cursor = found.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len() as u64, asked.tally.count.min((PAGE * PAGES) as u64));
        });
    });
}
