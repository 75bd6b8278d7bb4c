//! What is sent to a store and read back from it: events that differ, a trail of them, and what its objects hold.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::client::{Client, JSON, NDJSON};
use crate::delivery::status;
use crate::shelf::Shelf;
use crate::table::wait_for;

/// Events that differ, one a line, each with so many bytes beside.
#[must_use]
pub fn events(numbers: std::ops::Range<u64>, padding: usize) -> Vec<String> {
    let event = |n: u64| {
        let time = format!("2026-11-{:02}T10:00:00Z", 1 + n % 20);
        json!({"eventID": format!("e-{n}"), "eventTime": time, "eventName": "Put", "n": n, "padding": "x".repeat(padding)}).to_string()
    };
    numbers.map(event).collect()
}

/// Sends events, a few at a time.
///
/// # Panics
/// When they are refused.
pub fn post(client: &mut Client, events: &[String]) {
    for part in events.chunks(if events.iter().any(|event| event.len() > 100_000) { 5 } else { 20 }) {
        let answer = client.post(NDJSON, part.join("\n").as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Makes a trail of everything to one sink, and starts it.
///
/// # Panics
/// When it is refused.
pub fn make_trail(client: &mut Client, name: &str, sink: &Value) {
    let trail = json!({"name": name, "start": "oldest", "sinks": [sink], "start_now": true});
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Waits until a trail has delivered everything.
///
/// # Panics
/// When that takes too long; with the status.
pub fn wait_until_delivered(client: &mut Client, name: &str) {
    let mut last = Value::Null;
    let done = catch_unwind(AssertUnwindSafe(|| {
        wait_for("the delivery", || {
            last = status(client, name)[0].clone();
            last["lag_events"] == 0 && last["next_retry_at"].is_null()
        });
    }));
    assert!(done.is_ok(), "{name}: {last}");
}

/// Waits until the last error of a trail has these words in it; its status then.
///
/// # Panics
/// When that takes too long.
pub fn wait_for_words(client: &mut Client, name: &str, words: &str) -> Value {
    let mut last = Value::Null;
    wait_for(words, || {
        last = status(client, name)[0].clone();
        last["last_error"].as_str().is_some_and(|error| error.contains(words))
    });
    last
}

/// The events in the objects of a trail, and how often each is there; the names are numbered without holes.
///
/// # Panics
/// When they are not, or an object cannot be read.
#[must_use]
pub fn delivered(shelf: &Shelf, name: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for (i, key) in shelf.names().iter().filter(|key| key.starts_with(&format!("logs/here/{name}/"))).enumerate() {
        assert!(key.rsplit('/').next().unwrap().starts_with(&format!("{:012}-", i + 1)), "{key} is not the object {}", i + 1);
        let bytes = shelf.object(key);
        let lines = if key.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
        for line in String::from_utf8(lines).unwrap().lines() {
            *found.entry(line.to_owned()).or_default() += 1;
        }
    }
    found
}

/// Each once.
#[must_use]
pub fn once(events: &[String]) -> BTreeMap<String, u64> {
    events.iter().map(|event| (event.clone(), 1)).collect()
}
