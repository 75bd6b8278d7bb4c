//! The same queries while events are stored at full speed, beside their times on an idle server.
//!
//! What arrives meanwhile is of the days after those that are asked about, so that every answer stays exact. A few queries more have no end in
//! time and reach into what arrives: their counts may only grow, their pages must be in order and never become older.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Corpus, Parameters};
use trail_rig::{Connection, Result, epoch_seconds, target};

use crate::arguments::Arguments;
use crate::ingest::{Ingest, store_until};
use crate::queries::{Ask, Measured, Query, World, ask_all, queries, require};
use crate::table::print_under_ingest;

/// How long events arrive before the first query.
const WARM_UP: Duration = Duration::from_secs(3);
/// More than can be stored before all queries are asked; they take as many days as make the rate of a busy company.
const EVENTS_MAX: u64 = 200_000_000;
const DAYS: f64 = 10.0;

/// Asks everything idle, then under ingest, and prints both.
///
/// # Errors
/// When an answer is wrong, or an event is not stored.
pub(crate) fn measure(address: SocketAddr, corpus: &Corpus, world: &World<'_>, arguments: &Arguments) -> Result<()> {
    let all = || -> Vec<_> { queries(world).into_iter().chain(open_ended(world).into_iter().map(Query::from)).collect() };
    let idle = ask_all(address, all(), arguments.runs)?;
    let stop = AtomicBool::new(false);
    let (under, stored) = std::thread::scope(|scope| -> Result<(Vec<Measured>, Ingest)> {
        let load = scope.spawn(|| {
            store_until(address, corpus, &arriving(world.parameters), arguments.batch, arguments.connections, &stop)
                .map_err(|failure| failure.to_string())
        });
        std::thread::sleep(WARM_UP);
        let under = ask_all(address, all(), arguments.runs).map_err(|failure| failure.to_string());
        stop.store(true, Ordering::Relaxed);
        let stored = load.join().map_err(|_| "the load panicked")??;
        Ok((under?, stored))
    })?;
    print_under_ingest(&idle, &under, &stored);
    Ok(())
}

/// Events after the days that are asked about; a day apart, since events can be late. Other ones each time: a log that has them from an earlier
/// run would take none of them.
fn arriving(asked: &Parameters) -> Parameters {
    let end = asked.end + ((DAYS + 1.0) * 86_400.0) as i64;
    let seed = asked.seed ^ epoch_seconds().unsigned_abs().rotate_left(32) ^ 0x6172_7269;
    eprintln!("the events that arrive are those of seed {seed}");
    Parameters { events: EVENTS_MAX, days: DAYS, end, seed, ..asked.clone() }
}

fn open_ended<'w>(world: &'w World<'w>) -> Vec<(String, Ask<'w>)> {
    let q = world.questions;
    vec![
        ("newest 50 of all, with what arrives".into(), newest(String::new())),
        ("newest 50 of a frequent event name, with what arrives".into(), newest(format!("event_name:\"{}\"", q.frequent_name.value))),
        ("newest 50 of a text, with what arrives".into(), newest(format!("\"{}\"", q.frequent_name.value))),
        ("count of one service, with what arrives".into(), growing("/v1/count", "count", format!("service:\"{}\"", q.service.value))),
        (
            "top 10 event names of one service, with what arrives".into(),
            growing("/v1/terms", "total", format!("service:\"{}\"", q.service.value)),
        ),
    ]
}

const ALL_TIME: [(&str, &str); 2] = [("from", "0"), ("to", "4102444800000")];

/// A page whose events are in order, and whose first one is never older than before.
fn newest<'w>(q: String) -> Ask<'w> {
    let before = Cell::new(i64::MIN);
    Box::new(move |connection: &mut Connection| {
        let answer = connection.get(&target("/v1/events", &[ALL_TIME[0], ALL_TIME[1], ("q", &q), ("limit", "50")]))?.json()?;
        let events = answer["events"].as_array().ok_or("no events")?;
        // To the second: fractions may have any number of digits.
        let times: Vec<&str> = events.iter().filter_map(|event| event["event_time"].as_str()?.get(..19)).collect();
        require(times.len() == 50 && times.is_sorted_by(|a, b| a >= b), || format!("{} events, not 50 in order", times.len()))?;
        let first = times.first().and_then(|time| trail_corpus::read_end(&format!("{time}Z"))).ok_or("no time")?;
        require(first >= before.replace(first), || format!("the newest event was {}, now it is {first}", before.get()))
    })
}

/// A number that is never smaller than before.
fn growing<'w>(path: &'static str, member: &'static str, q: String) -> Ask<'w> {
    let before = Cell::new(0);
    Box::new(move |connection: &mut Connection| {
        let answer =
            connection.get(&target(path, &[ALL_TIME[0], ALL_TIME[1], ("q", &q), ("dimension", "event_name")][..named(path)]))?.json()?;
        let count = answer.get(member).and_then(Value::as_u64).ok_or_else(|| answer.to_string())?;
        let last = before.replace(count);
        require(count >= last, || format!("{count} after {last}"))
    })
}

/// Only a ranking takes a dimension.
fn named(path: &str) -> usize {
    if path == "/v1/terms" { 4 } else { 3 }
}
