//! The queries of the table, each with its answer, which is checked every time it is asked.
//!
//! The answers come from a [`Census`] of the same events: counts, the newest event of a page, the property that every event of a page
//! must have, the order of times, and that pages repeat nothing. Only the exchange of bytes is timed, not the check.

use std::collections::HashSet;
use std::net::SocketAddr;

use serde_json::Value;
use trail_corpus::{Census, Facts, Parameters, Questions, Tally, most_frequent};
use trail_rig::{Connection, Result, target};

use crate::timing::Times;

/// How often a query is asked before its times count.
const WARM_UP: usize = 5;
/// What takes less than so many milliseconds is asked so many times as often: of 40 times the 99th percentile is the most.
const SHORT: f64 = 10.0;
const MORE_RUNS: usize = 10;
/// Of the texts that are alike, so many are asked for once.
const FIRST_TEXTS: usize = 5;
const PAGE: u64 = 100;
const PAGES: u64 = 10;

/// What is asked about, and what comes out.
#[derive(Debug)]
pub(crate) struct World<'w> {
    pub(crate) parameters: &'w Parameters,
    pub(crate) census: &'w Census,
    pub(crate) questions: &'w Questions,
    /// Whether the log has no other events of these days. If it has, what is asked must be there, and more may be.
    pub(crate) alone: bool,
}

/// A query and its times.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Of what was never asked before.
    pub(crate) first: Times,
    pub(crate) times: Times,
}

/// Asks over a connection and checks; nothing to say when the answer is right.
pub(crate) type Ask<'w> = Box<dyn Fn(&mut Connection) -> Result<()> + 'w>;

/// A row of the table.
pub(crate) struct Query<'w> {
    pub(crate) name: String,
    pub(crate) ask: Ask<'w>,
    /// The same about other values, for a first answer that nothing is remembered of.
    pub(crate) firsts: Vec<Ask<'w>>,
}

impl<'w> From<(String, Ask<'w>)> for Query<'w> {
    fn from((name, ask): (String, Ask<'w>)) -> Query<'w> {
        Query { name, ask, firsts: Vec::new() }
    }
}

/// Asks every query `runs` times, and more often where it takes little.
///
/// # Errors
/// When an answer is wrong; the message says which.
pub(crate) fn measure(address: SocketAddr, world: &World<'_>, runs: usize) -> Result<Vec<Measured>> {
    ask_all(address, queries(world), runs)
}

/// Asks each of these `runs` times, and more often where it takes little, over one connection.
///
/// # Errors
/// When an answer is wrong; the message says which.
pub(crate) fn ask_all(address: SocketAddr, queries: Vec<Query<'_>>, runs: usize) -> Result<Vec<Measured>> {
    let mut connection = Connection::open(address)?;
    let mut all = Vec::new();
    for Query { name, ask, firsts } in queries {
        eprintln!("asking {name}");
        let mut timed = |ask: &Ask<'_>| {
            connection.take_time();
            ask(&mut connection).map_err(|failure| format!("{name}: {failure}"))?;
            Ok::<_, String>(connection.take_time())
        };
        let (mut first, mut times) = (Times::default(), Times::default());
        for ask in &firsts {
            first.push(timed(ask)?);
        }
        for run in 0..WARM_UP {
            let time = timed(&ask)?;
            if run == 0 && firsts.is_empty() {
                first.push(time);
            }
        }
        for _ in 0..runs {
            times.push(timed(&ask)?);
        }
        if times.milliseconds(500) < SHORT {
            for _ in runs..runs * MORE_RUNS {
                times.push(timed(&ask)?);
            }
        }
        all.push(Measured { name, first, times });
    }
    Ok(all)
}

/// All queries of the table.
pub(crate) fn queries<'w>(world: &'w World<'w>) -> Vec<Query<'w>> {
    let mut all: Vec<Query<'w>> = before_texts(world).into_iter().map(Query::from).collect();
    all.extend(texts(world));
    all.extend(after_texts(world).into_iter().map(Query::from));
    all
}

/// Free text, which two thirds of the events have and which few have. First answers are to texts of which nothing was asked before: with a
/// segment is remembered which of its terms hold a text.
fn texts<'w>(world: &'w World<'w>) -> Vec<Query<'w>> {
    let q = world.questions;
    let quoted = |text: &str| format!("\"{text}\"");
    let count = |(text, events): &(String, u64)| world.count(quoted(text), *events);
    let newest = |(text, events): &(String, u64)| world.matches(quoted(text), 50, *events);
    let frequent = |ask: &dyn Fn(&(String, u64)) -> Ask<'w>, skip: usize| -> Vec<Ask<'w>> {
        q.texts.iter().skip(skip).take(FIRST_TEXTS).map(ask).collect()
    };
    let (Some(text), [rare, other]) = (q.texts.first(), q.rare_texts.as_slice()) else { return Vec::new() };
    let name = |row: &str, (text, events): &(String, u64), what: &str| format!("{row} free text `{text}` ({events} match), {what}");
    let row = |name: String, ask: Ask<'w>, firsts: Vec<Ask<'w>>| Query { name, ask, firsts };
    vec![
        row(name("Q7c", text, "count"), count(text), frequent(&count, 0)),
        row(name("Q7d", text, "newest 50"), newest(text), frequent(&newest, FIRST_TEXTS)),
        row(name("Q7e", rare, "count"), count(rare), vec![count(rare)]),
        row(name("Q7f", other, "newest 50"), newest(other), vec![newest(other)]),
    ]
}

fn before_texts<'w>(world: &'w World<'w>) -> Vec<(String, Ask<'w>)> {
    let (q, census) = (world.questions, world.census);
    let triple = world.triple();
    let part = format!("requestParameters.bucketName:*{}*", q.part.value);
    let user = |name: &str| format!("user:\"{name}\"");
    let name = format!("event_name:\"{}\"", q.frequent_name.value);
    let service = format!("service:\"{}\"", q.service.value);
    let filtered = service.clone();
    vec![
        ("Q1 event id".into(), Box::new(|c: &mut Connection| world.id(c)) as Ask<'w>),
        (
            named("Q2 newest 50 of a rare user", q.rare_user.tally),
            world.page(user(&q.rare_user.value), 50, q.rare_user.tally, |f| f.user == q.rare_user.value),
        ),
        (
            named("Q3 newest 50 of a frequent event name", q.frequent_name.tally),
            world.page(name, 50, q.frequent_name.tally, |f| f.event_name == q.frequent_name.value),
        ),
        ("Q3b newest 50 of all".into(), world.page(String::new(), 50, census.all, |_| true)),
        ("Q4 top 10 event names, all".into(), world.terms(String::new(), None)),
        (named("Q4b top 10 event names of one service", q.service.tally), world.terms(filtered, Some(&q.service.value))),
        (named("Q5 hourly histogram of one service", q.service.tally), Box::new(move |c| world.histogram(c, &service))),
        (
            named("Q6 three dimensions ANDed, newest 100", q.triple_tally),
            world.page(triple.clone(), 100, q.triple_tally, |f| [&f.service, &f.region, &f.read_only] == q.triple.each_ref()),
        ),
        ("Q6b the same, count".into(), world.count(triple, q.triple_tally.count)),
        (
            named("Q7 part of a nested, undeclared value, newest 50", q.part.tally),
            world.page(part.clone(), 50, q.part.tally, |f| f.bucket.contains(&q.part.value)),
        ),
        ("Q7b the same, count".into(), world.count(part, q.part.tally.count)),
    ]
}

fn after_texts<'w>(world: &'w World<'w>) -> Vec<(String, Ask<'w>)> {
    let (q, census) = (world.questions, world.census);
    let user = |name: &str| format!("user:\"{name}\"");
    vec![
        (
            named("Q8 1,000 events of a user, 10 pages of 100", q.paged_user.tally),
            Box::new(move |c| world.pages(c, &user(&q.paged_user.value), q.paged_user.tally)),
        ),
        (
            named("Q8b the same, of a user of every thousandth event", q.usual_user.tally),
            Box::new(move |c| world.pages(c, &user(&q.usual_user.value), q.usual_user.tally)),
        ),
        ("Q9 count of everything".into(), world.count(String::new(), census.all.count)),
    ]
}

fn named(what: &str, tally: Tally) -> String {
    format!("{what} ({} match)", tally.count)
}

impl World<'_> {
    /// Finds out whether there are other events of these days, once before anything is asked.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) fn look_around(&mut self, address: SocketAddr) -> Result<()> {
        let answer = Connection::open(address)?.get(&self.target("/v1/count", &[("q", "")]))?.json()?;
        let (count, own) = (answer["count"].as_u64().ok_or_else(|| answer.to_string())?, self.census.all.count);
        self.alone = count <= own;
        if !self.alone {
            eprintln!("the log has {} other events of these days: answers must hold what was asked for, and may hold more", count - own);
        }
        Ok(())
    }

    /// Whether a number is right: the same, or no smaller where there are other events.
    fn is_right(&self, found: u64, expected: u64) -> bool {
        if self.alone { found == expected } else { found >= expected }
    }

    fn triple(&self) -> String {
        let [service, region, read_only] = &self.questions.triple;
        format!("service:\"{service}\" region:\"{region}\" read_only:{read_only}")
    }

    /// Asked within the days of the events, since "the last 30 days" may not hold them.
    fn target(&self, path: &str, more: &[(&str, &str)]) -> String {
        let (first, last) = (self.first_hour() * 3_600_000, (self.parameters.end + 1) * 1_000);
        let (from, to) = (first.to_string(), last.to_string());
        let mut parameters = vec![("from", from.as_str()), ("to", to.as_str())];
        parameters.extend_from_slice(more);
        target(path, &parameters)
    }

    /// Events are up to five minutes older than the days that were asked for.
    fn first_hour(&self) -> i64 {
        (self.parameters.end - (self.parameters.days * 86_400.0) as i64 - 3_600).div_euclid(3_600)
    }

    fn id(&self, connection: &mut Connection) -> Result<()> {
        let answer = connection.get(&target(&format!("/v1/events/{}", self.questions.id), &[]))?.json()?;
        let events = events(&answer)?;
        let found = events.iter().filter(|f| f.id == self.questions.id).count();
        require(found == 1 && events.len() == 1, || answer.to_string())
    }

    fn page<'w>(&'w self, q: String, limit: u64, tally: Tally, belongs: impl Fn(&Facts) -> bool + 'w) -> Ask<'w> {
        Box::new(move |connection| {
            let answer = connection.get(&self.target("/v1/events", &[("q", &q), ("limit", &limit.to_string())]))?.json()?;
            let found = events(&answer)?;
            require(self.is_right(found.len() as u64, limit.min(tally.count)), || format!("{} events", found.len()))?;
            let newest = found.first().and_then(|f| f.time);
            let is_newest = if self.alone { newest == Some(tally.newest) } else { newest >= Some(tally.newest) };
            require(is_newest, || "the first is not the newest".into())?;
            require(found.is_sorted_by(|a, b| a.time >= b.time), || "not in order".into())?;
            require(found.iter().all(&belongs), || "an event does not belong there".into())
        })
    }

    /// A page of events of which nothing is known but how many there are.
    fn matches<'w>(&'w self, q: String, limit: u64, expected: u64) -> Ask<'w> {
        Box::new(move |connection| {
            let answer = connection.get(&self.target("/v1/events", &[("q", &q), ("limit", &limit.to_string())]))?.json()?;
            let found = events(&answer)?;
            require(self.is_right(found.len() as u64, limit.min(expected)), || format!("{} events", found.len()))?;
            require(found.is_sorted_by(|a, b| a.time >= b.time), || "not in order".into())
        })
    }

    fn count<'w>(&'w self, q: String, expected: u64) -> Ask<'w> {
        Box::new(move |connection| {
            let answer = connection.get(&self.target("/v1/count", &[("q", &q)]))?.json()?;
            let right = answer["count"].as_u64().is_some_and(|count| self.is_right(count, expected));
            require(right, || format!("{answer}, expected {expected}"))
        })
    }

    fn terms<'w>(&'w self, q: String, service: Option<&'w str>) -> Ask<'w> {
        let counts: Vec<(String, u64)> = match service {
            Some(service) => self.census.names_of_service.get(service).into_iter().flatten().map(|(n, c)| (n.clone(), *c)).collect(),
            None => self.census.event_names.iter().map(|(n, t)| (n.clone(), t.count)).collect(),
        };
        let distinct = counts.len();
        let expected = most_frequent(counts.into_iter(), 10);
        Box::new(move |connection| {
            let answer = connection.get(&self.target("/v1/terms", &[("dimension", "event_name"), ("limit", "10"), ("q", &q)]))?.json()?;
            let terms = answer["terms"].as_array().ok_or("no terms")?;
            let of_rank = |(term, (name, count)): (&Value, &(String, u64))| {
                let found = term["count"].as_u64().is_some_and(|found| self.is_right(found, *count));
                found && (term["term"] == *name || !self.alone)
            };
            let same = terms.iter().zip(&expected).all(of_rank);
            let all = answer["distinct"].as_u64().is_some_and(|found| self.is_right(found, distinct as u64));
            require(same && all && terms.len() >= expected.len(), || format!("{answer}, expected {expected:?}"))
        })
    }

    fn histogram(&self, connection: &mut Connection, q: &str) -> Result<()> {
        let answer = connection.get(&self.target("/v1/histogram", &[("interval", "1h"), ("q", q)]))?.json()?;
        let buckets = answer["buckets"].as_array().ok_or("no buckets")?;
        let hours = self.census.hours.get(&self.questions.service.value).ok_or("no hours")?;
        let first = self.first_hour();
        let expected = (first..).take(buckets.len()).map(|hour| hours.get(&hour).copied().unwrap_or_default());
        let right = |bucket: &Value, count| bucket["count"].as_u64().is_some_and(|found| self.is_right(found, count));
        let same = buckets.iter().zip(expected.clone()).all(|(bucket, count)| right(bucket, count));
        require(same && expected.sum::<u64>() == self.questions.service.tally.count, || answer.to_string())
    }

    fn pages(&self, connection: &mut Connection, q: &str, tally: Tally) -> Result<()> {
        let (mut seen, mut cursor) = (HashSet::new(), None::<String>);
        for _ in 0..PAGES {
            let limit = PAGE.to_string();
            let mut more = vec![("q", q), ("limit", limit.as_str())];
            more.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = connection.get(&self.target("/v1/events", &more))?.json()?;
            let found = answer["events"].as_array().ok_or("no events")?;
            seen.extend(found.iter().filter_map(|event| event["sequence"].as_u64()));
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let expected = tally.count.min(PAGE * PAGES);
        require(self.is_right(seen.len() as u64, expected), || format!("{} events on all pages, expected {expected}", seen.len()))
    }
}

fn events(answer: &Value) -> Result<Vec<Facts>> {
    let events = answer["events"].as_array().ok_or("no events")?;
    events.iter().map(|event| Facts::of(&event["event"]).ok_or_else(|| "an event is no object".into())).collect()
}

pub(crate) fn require(right: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if right { Ok(()) } else { Err(format!("wrong answer: {}", otherwise()).into()) }
}
