//! Trails to Azure's, Google's and Alibaba's stores, as others wrote them: Azurite, fake-gcs-server, and moto behind a guard that signs every request
//! again. Through a network that loses answers, and with the server killed; the oracle is the list of events that were sent.

use std::sync::Arc;

use serde_json::json;
use trail_tests::binary::root;
use trail_tests::delivery::tested;
use trail_tests::flaky::{Fate, Flaky};
use trail_tests::server::Server;
use trail_tests::shelf::{BUCKET, Shelf};
use trail_tests::stores::{delivered, events, make_trail, once, post, wait_for_words, wait_until_delivered};
use trail_tests::table::wait_for;

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
    // what is there already: there it stays below, and `trails_proof` has the large ones.
    let large = events(2_000..if matches!(shelf, Shelf::Google(..)) { 2_015 } else { 2_020 }, 900_000);
    post(&mut client, &large);
    let mut whole = shelf.sink(shelf.address());
    (whole["compression"], whole["batch"]) = ("none".into(), json!({"events": 10_000, "bytes": 100_000_000, "seconds": 1}));
    make_trail(&mut client, "large", &whole);
    wait_until_delivered(&mut client, "large");
    let all: Vec<String> = small.into_iter().chain(large).collect();
    assert_eq!(delivered(shelf, "large"), once(&all));
    assert_eq!(tested(&mut client, "large"), [None]);
    assert!(!shelf.names().iter().any(|name| name.contains("probe")), "a probe was left");

    let mut sink = shelf.sink(shelf.address());
    sink[member] = value.into();
    make_trail(&mut client, "wrong", &sink);
    let last = wait_for_words(&mut client, "wrong", words);
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
    let last = wait_for_words(&mut client, "public", "come from a known authority (`ca_file`)");
    assert_eq!(last["needs_operator"], true, "{last}");
    sink["ca_file"] = root().join("tests/fixtures/tls/ca.pem").to_str().unwrap().into();
    make_trail(&mut client, "private", &sink);
    wait_until_delivered(&mut client, "private");
    assert_eq!(delivered(&shelf, "private"), once(&sent));
    server.stop();
}
