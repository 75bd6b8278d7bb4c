//! What arrives in a bucket is what was sent, or is sent again: with stores that check the sums of what comes, with those that say what they hold, and with those that do neither;
//! large objects too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trail_tests::client::Client;
use trail_tests::flaky::{Came, Fate, Flaky, Plan};
use trail_tests::server::Server;
use trail_tests::shelf::{BUCKET, Shelf};
use trail_tests::stores::{delivered, events, make_trail, once, post, wait_for_words, wait_until_delivered};

/// What is altered of an event.
const ALTER: Fate = Fate::Alter("\"Put\"", "\"Pvt\"");

/// Whether a request brings an object or a part of one: by PUT, or with Google in a body beside the metadata.
fn brings(first: &str) -> bool {
    first.contains(".ndjson") && (first.starts_with("PUT ") || first.contains("uploadType=multipart"))
}

/// Alters two of what is brought for the small objects, and two for the large.
fn altering() -> Arc<Plan> {
    let (small, large) = (AtomicU64::new(0), AtomicU64::new(0));
    Arc::new(move |_, first: &str| {
        let (seen, altered) = if first.contains("large") { (&large, [0, 6]) } else { (&small, [1, 4]) };
        if brings(first) && altered.contains(&seen.fetch_add(1, Ordering::SeqCst)) { ALTER } else { Fate::Pass }
    })
}

/// Small objects and one large, of which some come altered to a place behind a proxy; what came.
fn brought(shelf: &Shelf, behind: SocketAddr, large: u64, words: &str) -> Vec<Came> {
    let flaky = Flaky::before(behind, altering());
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let mut sink = shelf.sink(flaky.address);
    (sink["compression"], sink["batch"]) = ("none".into(), serde_json::json!({"events": 100, "bytes": 100_000_000, "seconds": 1}));
    let mut sent = events(0..600, 20);
    post(&mut client, &sent);
    make_trail(&mut client, "small", &sink);
    wait_until_delivered(&mut client, "small");
    assert_eq!(delivered(shelf, "small"), once(&sent));
    wait_for_words(&mut client, "small", words);
    assert_eq!(client.send("POST", "/v1/trails/small/stop", &[], b"").unwrap().status, 200);
    let parts = events(2_000..2_000 + large, 900_000);
    post(&mut client, &parts);
    sent.extend(parts);
    (sink["batch"]["events"], sink["batch"]["seconds"]) = (10_000.into(), 3.into());
    make_trail(&mut client, "large", &sink);
    wait_until_delivered(&mut client, "large");
    assert_eq!(delivered(shelf, "large"), once(&sent));
    wait_for_words(&mut client, "large", words);
    server.stop();
    println!("{} altered of {} requests", flaky.injected(), flaky.requests());
    flaky.came()
}

/// How many times an object was read.
fn reads(came: &[Came]) -> usize {
    came.iter().filter(|came| came.head.starts_with("GET ") && came.head.contains(".ndjson")).count()
}

#[test]
fn a_store_that_refuses_other_bytes_is_believed() {
    let Some(shelf) = Shelf::oss(false) else { return };
    let came =
        brought(&shelf, shelf.address(), 20, "BadDigest: The Content-MD5 did not match what came.; the bytes were altered on their way");
    assert_eq!(reads(&came), 0, "objects were read back");
    let parts: Vec<&Came> = came.iter().filter(|came| came.head.contains("partNumber=")).collect();
    assert!(parts.len() >= 3 && parts.iter().all(|part| part.head.contains("\ncontent-md5: ")), "{} parts", parts.len());
}

#[test]
fn a_store_that_checks_nothing_is_read_back() {
    let Some(shelf) = Shelf::oss(false) else { return };
    let Shelf::Oss(_, _, moto) = &shelf else { unreachable!("it is one") };
    // moto itself takes any sum.
    let came = brought(&shelf, moto.address, 20, "other than it was sent");
    assert!(reads(&came) > 6, "{} reads", reads(&came));
}

#[test]
fn azurite_says_what_it_holds() {
    let Some(shelf) = Shelf::azure() else { return };
    let came = brought(&shelf, shelf.address(), 20, "other than it was sent");
    // Of an object in parts it says nothing.
    let small = |came: &&Came| came.head.starts_with("GET ") && came.head.contains(".ndjson") && came.head.contains("small");
    assert_eq!(came.iter().filter(small).count(), 0, "small objects were read back");
    assert!(reads(&came) >= 3, "{} reads", reads(&came));
}

#[test]
fn fake_gcs_server_says_what_it_holds() {
    let Some(shelf) = Shelf::google() else { return };
    let came = brought(&shelf, shelf.address(), 12, "other than it was sent");
    let read = came.iter().filter(|came| came.head.starts_with("GET ") && came.head.contains("alt=media") && came.head.contains(".ndjson"));
    assert_eq!(read.count(), 0, "objects were read back");
}

/// Google holds the condition of an upload session against what is there; fake-gcs-server forgets it: so the proxy does.
fn holding_conditions(server: SocketAddr) -> Arc<Plan> {
    let seen = AtomicU64::new(0);
    Arc::new(move |_, first: &str| {
        let name = first.split_once("&name=").map(|(_, rest)| rest.split(['&', ' ']).next().unwrap_or_default());
        if first.starts_with("POST ") && first.contains("uploadType=resumable") && first.contains("ifGenerationMatch=0") {
            let path = format!("/storage/v1/b/{BUCKET}/o/{}", name.expect("an upload without a name"));
            if Client::new(server).send("GET", &path, &[], b"").unwrap().status == 200 {
                let body = r#"{"error":{"code":412,"message":"At least one of the pre-conditions you specified did not hold."}}"#;
                let head = "HTTP/1.1 412 Precondition Failed\r\nconnection: close\r\ncontent-type: application/json\r\n";
                return Fate::Refuse(format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
            }
        }
        // The answer to a piece of what is brought.
        if brings(first) && seen.fetch_add(1, Ordering::SeqCst) % 5 == 3 { Fate::LoseAnswer } else { Fate::Pass }
    })
}

#[test]
fn large_objects_go_to_google_in_sessions() {
    let Some(shelf) = Shelf::google() else { return };
    let flaky = Flaky::before(shelf.address(), holding_conditions(shelf.address()));
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let mut sink = shelf.sink(flaky.address);
    (sink["compression"], sink["batch"]) = ("none".into(), serde_json::json!({"events": 20, "bytes": 100_000_000, "seconds": 3}));
    let sent = events(0..40, 900_000);
    post(&mut client, &sent);
    make_trail(&mut client, "large", &sink);
    wait_until_delivered(&mut client, "large");
    assert_eq!(delivered(&shelf, "large"), once(&sent));
    server.stop();
    let came = flaky.came();
    let large = shelf.names().iter().filter(|name| name.contains("/large/") && shelf.object(name).len() > 16 << 20).count();
    let pieces =
        came.iter().filter(|came| came.head.starts_with("PUT ") && came.head.contains("\ncontent-range: bytes 8388608-16777215/")).count();
    assert!(large > 0 && pieces >= large, "{large} large objects, {pieces} second pieces of 8 MiB");
    assert!(!came.iter().any(|came| came.head.contains("partNumber=")), "a part of the XML interface");
}
