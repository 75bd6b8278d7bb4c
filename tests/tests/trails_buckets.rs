//! Trails to Azure's, Google's and Alibaba's stores, as others wrote them: Azurite, fake-gcs-server, and moto behind a guard that signs every request
//! again. Through a network that loses answers, and with the server killed; the oracle is the list of events that were sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use trail_tests::binary::root;
use trail_tests::client::{Client, JSON, NDJSON};
use trail_tests::delivery::status;
use trail_tests::flaky::{Fate, Flaky};
use trail_tests::server::Server;
use trail_tests::shelf::{BUCKET, Shelf};
use trail_tests::table::wait_for;

/// Events that differ, one a line.
fn events(numbers: std::ops::Range<u64>, padding: usize) -> Vec<String> {
    let event = |n: u64| {
        let time = format!("2026-11-{:02}T10:00:00Z", 1 + n % 20);
        json!({"eventID": format!("e-{n}"), "eventTime": time, "eventName": "Put", "n": n, "padding": "x".repeat(padding)}).to_string()
    };
    numbers.map(event).collect()
}

fn post(client: &mut Client, events: &[String]) {
    for part in events.chunks(20) {
        let answer = client.post(NDJSON, part.join("\n").as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn make_trail(client: &mut Client, name: &str, sink: &Value) {
    let trail = json!({"name": name, "start": "oldest", "sinks": [sink], "start_now": true});
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn wait_until_delivered(client: &mut Client, name: &str) {
    let mut last = Value::Null;
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("the delivery", || {
            last = status(client, name)[0].clone();
            last["lag_events"] == 0 && last["next_retry_at"].is_null()
        });
    }));
    assert!(done.is_ok(), "{name}: {last}");
}

/// The events in the objects of a trail, and how often each is there; the names are numbered without holes.
fn delivered(shelf: &Shelf, name: &str) -> BTreeMap<String, u64> {
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

fn once(events: &[String]) -> BTreeMap<String, u64> {
    events.iter().map(|event| (event.clone(), 1)).collect()
}

/// Small objects through lost answers and kills, a large one in parts, a wrong key; each event once.
fn tried(shelf: &Shelf, (member, value, words): (&str, &str, &str)) {
    let plan = |n: u64, _: &str| if n % 13 == 6 { Fate::LoseAnswer } else { Fate::Pass };
    let flaky = Flaky::before(shelf.address(), Arc::new(plan));
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    make_trail(&mut server.client(), "small", &shelf.sink(flaky.address));
    let small = events(0..900, 20);
    for part in small.chunks(300) {
        let seen = flaky.requests();
        post(&mut server.client(), part);
        wait_for("some requests", || flaky.requests() > seen + 3);
        server.kill();
        server = Server::start(&data, &[]);
    }
    let mut client = server.client();
    wait_until_delivered(&mut client, "small");
    assert_eq!(delivered(shelf, "small"), once(&small));

    // From 16 MiB on an object goes in parts. fake-gcs-server does not know those of Google's XML interface, which are taken where it does not refuse
    // what is there already: there it stays below.
    let large = events(2_000..if matches!(shelf, Shelf::Google(..)) { 2_015 } else { 2_020 }, 900_000);
    large.chunks(5).for_each(|part| post(&mut client, part));
    let mut whole = shelf.sink(shelf.address());
    (whole["compression"], whole["batch"]) = ("none".into(), json!({"events": 10_000, "bytes": 100_000_000, "seconds": 1}));
    make_trail(&mut client, "large", &whole);
    wait_until_delivered(&mut client, "large");
    let all: Vec<String> = small.into_iter().chain(large).collect();
    assert_eq!(delivered(shelf, "large"), once(&all));
    let answer = client.send("POST", "/v1/trails/large/test", &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!shelf.names().iter().any(|name| name.contains("probe")), "a probe was left");

    let mut sink = shelf.sink(shelf.address());
    sink[member] = value.into();
    make_trail(&mut client, "wrong", &sink);
    let mut last = Value::Null;
    wait_for(words, || {
        last = status(&mut client, "wrong")[0].clone();
        last["last_error"].as_str().is_some_and(|error| error.contains(words))
    });
    assert_eq!(last["needs_operator"], true, "{last}");
    println!("{BUCKET}: {} events once, {} requests", all.len(), flaky.requests());
    server.stop();
}

#[test]
fn azurite_has_every_event_once() {
    let Some(shelf) = Shelf::azure() else { return };
    tried(&shelf, ("account_key", "ZmFsc2No", "mend `account_key`"));
}

#[test]
fn fake_gcs_server_has_every_event_once() {
    let Some(shelf) = Shelf::google() else { return };
    tried(&shelf, ("bucket", "elsewhere", "mend `bucket`"));
}

#[test]
fn oss_gets_signatures_of_version_4() {
    let Some(shelf) = Shelf::oss(false) else { return };
    tried(&shelf, ("secret_access_key", "falsch", "mend `access_key_id` and `secret_access_key`"));
}

#[test]
fn a_private_authority_is_believed_where_it_is_named() {
    let Some(shelf) = Shelf::oss(true) else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let sent = events(0..100, 20);
    post(&mut client, &sent);
    let mut sink = shelf.sink(shelf.address());
    sink["endpoint"] = format!("https://localhost:{}", shelf.address().port()).into();
    make_trail(&mut client, "public", &sink);
    let mut last = Value::Null;
    wait_for("an error", || {
        last = status(&mut client, "public")[0].clone();
        last["last_error"].as_str().is_some_and(|error| error.contains("come from a known authority (`ca_file`)"))
    });
    assert_eq!(last["needs_operator"], true, "{last}");
    sink["ca_file"] = root().join("tests/fixtures/tls/ca.pem").to_str().unwrap().into();
    make_trail(&mut client, "private", &sink);
    wait_until_delivered(&mut client, "private");
    assert_eq!(delivered(&shelf, "private"), once(&sent));
    server.stop();
}
