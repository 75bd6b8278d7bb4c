//! Trails to buckets: the real binary delivers to an S3 server that was written by others, through a network that fails.
//!
//! The oracle is the list of events that were sent: what lies in the bucket at the end must be the same multiset.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use trail_tests::client::{Client, JSON, NDJSON};
use trail_tests::flaky::{Fate, Flaky};
use trail_tests::moto::Moto;
use trail_tests::server::Server;
use trail_tests::table::wait_for;

const BUCKET: &str = "audit";

/// Events that differ, one a line.
fn events(numbers: std::ops::Range<u64>, padding: usize) -> Vec<String> {
    let event = |n: u64| {
        let time = format!("2026-11-{:02}T10:00:00Z", 1 + n % 20);
        json!({"eventID": format!("e-{n}"), "eventTime": time, "eventName": "Put", "n": n, "padding": "x".repeat(padding)}).to_string()
    };
    numbers.map(event).collect()
}

fn send(client: &mut Client, events: &[String]) {
    for part in events.chunks(200) {
        let answer = client.post(NDJSON, part.join("\n").as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn sink(endpoint: &str) -> Value {
    json!({
        "type": "s3", "bucket": BUCKET, "prefix": "logs/here", "endpoint": endpoint, "region": "us-east-1", "access_key_id": "ak",
        "secret_access_key": "sk", "batch": {"events": 100, "seconds": 0.2},
    })
}

fn make_trail(client: &mut Client, name: &str, sink: &Value) {
    let trail = json!({"name": name, "start": "oldest", "sinks": [sink], "start_now": true});
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn status(client: &mut Client, name: &str) -> Value {
    client.json(&format!("/v1/trails/{name}/status"))["sinks"][0].clone()
}

fn wait_until_delivered(client: &mut Client, name: &str, events: usize) {
    wait_for("the delivery", || {
        let status = status(client, name);
        status["lag_events"] == 0 && status["delivered_events"].as_u64().unwrap() >= events as u64
    });
}

fn wait_for_words(client: &mut Client, name: &str, words: &str) {
    let mut last = Value::Null;
    wait_for(words, || {
        last = status(client, name)["last_error"].clone();
        last.as_str().is_some_and(|error| error.contains(words))
    });
}

/// The events in the objects of a trail, and how often each is there; every object looked at for its name.
fn delivered(moto: &Moto, name: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for (i, key) in moto.names(BUCKET).iter().filter(|key| key.starts_with(&format!("logs/here/{name}/"))).enumerate() {
        let file = key.rsplit('/').next().unwrap();
        assert!(file.starts_with(&format!("{:012}-", i + 1)), "{key} is not the object {}", i + 1);
        let object = moto.object(BUCKET, key);
        let lines = if key.ends_with(".zst") { zstd::decode_all(&object.body[..]).unwrap() } else { object.body.clone() };
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(object.header("x-amz-meta-events"), Some(&*lines.lines().count().to_string()), "{key}");
        assert_eq!(object.header("x-amz-meta-sha256").map(str::len), Some(64), "{key}");
        for line in lines.lines() {
            *found.entry(line.to_owned()).or_default() += 1;
        }
    }
    found
}

fn once(events: &[String]) -> BTreeMap<String, u64> {
    events.iter().map(|event| (event.clone(), 1)).collect()
}

#[test]
fn events_are_in_the_bucket_once() {
    let Some(moto) = Moto::start() else { return };
    moto.make_bucket(BUCKET);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let small = events(0..1_050, 20);
    send(&mut client, &small);
    make_trail(&mut client, "small", &sink(&moto.url()));
    wait_until_delivered(&mut client, "small", small.len());
    assert_eq!(delivered(&moto, "small"), once(&small));
    assert!(!moto.names(BUCKET).iter().any(|name| name.contains("probe")), "a probe was left");

    // An object of more than 16 MiB goes in parts.
    let large: Vec<String> = (0..25).flat_map(|n| events(2_000 + n..2_001 + n, 900_000)).collect();
    for event in &large {
        send(&mut client, std::slice::from_ref(event));
    }
    let mut whole = sink(&moto.url());
    whole["compression"] = json!("none");
    whole["batch"] = json!({"events": 10_000, "bytes": 100_000_000, "seconds": 1});
    make_trail(&mut client, "large", &whole);
    wait_until_delivered(&mut client, "large", small.len() + large.len());
    let all: Vec<String> = small.into_iter().chain(large).collect();
    assert_eq!(delivered(&moto, "large"), once(&all));
    server.stop();
}

#[test]
fn the_status_says_what_would_mend_it() {
    let Some(moto) = Moto::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let first = events(0..100, 20);
    send(&mut client, &first);
    make_trail(&mut client, "t", &sink(&moto.url()));
    wait_for_words(&mut client, "t", "create it, or mend `bucket`, `endpoint` or `region`");
    assert_eq!(status(&mut client, "t")["needs_operator"], true);
    moto.make_bucket(BUCKET);
    wait_until_delivered(&mut client, "t", 100);

    moto.check_keys(true);
    let second = events(100..200, 20);
    send(&mut client, &second);
    wait_for_words(&mut client, "t", "mend `access_key_id` and `secret_access_key`");
    moto.check_keys(false);
    wait_until_delivered(&mut client, "t", 200);

    // Something of somebody else's where the next object belongs is not overwritten.
    let key = moto.names(BUCKET).into_iter().rfind(|name| name.ends_with(".ndjson.zst")).unwrap();
    let (folder, _) = key.rsplit_once('/').unwrap();
    let taken = format!("{folder}/{:012}-{:020}-{:020}.ndjson.zst", 3, 201, 300);
    moto.put(BUCKET, &taken, b"not ours");
    let third = events(200..300, 20);
    send(&mut client, &third);
    wait_for_words(&mut client, "t", "was not written by this trail");
    assert_eq!(moto.object(BUCKET, &taken).body, b"not ours");
    moto.remove(BUCKET, &taken);
    wait_until_delivered(&mut client, "t", 300);
    assert_eq!(delivered(&moto, "t"), once(&[first, second, third].concat()));
    let shown = client.json("/v1/trails/t");
    assert_eq!(shown["sinks"][0]["secret_access_key"], "(hidden)");
    server.stop();
}

const BUSY: &str = "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-type: application/xml\r\ncontent-length: 93\r\n\r\n\
<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>";

fn start(data: &Path) -> (Server, Client) {
    let server = Server::start(data, &[]);
    let client = server.client();
    (server, client)
}

#[test]
fn refusals_lost_answers_and_kills_lose_and_double_nothing() {
    let Some(moto) = Moto::start() else { return };
    moto.make_bucket(BUCKET);
    // Few enough that the waits between attempts, which grow with failures in a row, stay short.
    let plan = |n: u64, _: &str| match n % 19 {
        3 | 11 => Fate::Refuse(BUSY.into()),
        6 | 15 => Fate::LoseAnswer,
        _ => Fate::Pass,
    };
    let flaky = Flaky::before(moto.address, Arc::new(plan));
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (mut server, mut client) = start(&data);
    make_trail(&mut client, "t", &sink(&format!("http://{}", flaky.address)));
    let all = events(0..1_200, 20);
    for (round, part) in all.chunks(400).enumerate() {
        let seen = flaky.requests();
        send(&mut client, part);
        wait_for("some requests", || flaky.requests() > seen + 3 + round as u64 * 2);
        server.kill();
        (server, client) = start(&data);
    }
    wait_until_delivered(&mut client, "t", 1);
    assert_eq!(delivered(&moto, "t"), once(&all));
    assert_eq!(status(&mut client, "t")["lost_events"], 0);
    assert!(flaky.requests() > 38, "only {} requests: too few went wrong", flaky.requests());
    server.stop();
}
