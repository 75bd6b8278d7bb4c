//! Damage as a client sees it: answers say what they lack, the list of segments and the problems name it, and events still come in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use trail_engine::budget::Cancel;
use trail_engine::{AuditLog, Options};

use crate::client::{Running, event};

const EVENTS: usize = 200;

fn lines() -> String {
    (0..EVENTS).map(|i| event(&format!("e{i}"), "alice") + "\n").collect()
}

/// The directory of a stopped server with one segment, and the segment's file.
async fn with_a_segment() -> (TempDir, PathBuf) {
    let server = Running::start(|c| c.engine.head_age_max = Duration::from_millis(50)).await;
    server.store(lines()).await;
    let flushed = async {
        while server.get("/v1/segments").await.json()["segments"].as_array().unwrap().is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), flushed).await.expect("no segment was flushed");
    let directory = server.stop().await;
    let files = std::fs::read_dir(directory.path().join("log")).unwrap().map(|f| f.unwrap().path());
    let segment = files.into_iter().find(|f| f.file_name().unwrap().to_string_lossy().starts_with("segment-")).unwrap();
    (directory, segment)
}

/// Changes a byte of the only block.
fn damage_the_block(segment: &Path) {
    let right = std::fs::read(segment).unwrap();
    for at in (0..right.len()).step_by(97) {
        let mut bytes = right.clone();
        bytes[at] ^= 8;
        std::fs::write(segment, bytes).unwrap();
        let log = AuditLog::open(segment.parent().unwrap(), Options { read_only: true, ..Options::default() }).unwrap();
        if log.verify(&Cancel::default()).unwrap().iter().any(|e| e.component() == Some("block 0")) {
            return;
        }
    }
    panic!("no byte of the block was found");
}

fn gap(segment: &Path) -> Value {
    let part = segment.file_name().unwrap().to_str().unwrap();
    json!([{ "part": part, "first_sequence": 1, "last_sequence": EVENTS, "events": EVENTS }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_a_damaged_block_say_what_they_lack() {
    let (directory, segment) = with_a_segment().await;
    damage_the_block(&segment);
    let gap = gap(&segment);
    let server = Running::start_in(directory, |_| {}).await;
    let page = server.get("/v1/events?from=2000-01-01T00:00:00Z").await;
    assert_eq!((page.status, &page.json()["events"], &page.json()["incomplete"]), (200, &json!([]), &gap));
    let header = "accept";
    let bare = server.send("GET", "/v1/events?from=2000-01-01T00:00:00Z", &[(header, "application/x-ndjson")], b"").await;
    let part = gap[0]["part"].as_str().unwrap();
    assert_eq!(bare.header("x-incomplete"), Some(format!("{part} sequences 1-{EVENTS} ({EVENTS} events)").as_str()));
    for path in ["/v1/count?q=nothing&from=2000-01-01T00:00:00Z", "/v1/terms?path=a.b&from=2000-01-01T00:00:00Z"] {
        let answer = server.get(path).await;
        // A path that no event has is in no column, so that no block is read.
        let expected = if path.contains("count") { &gap } else { &Value::Null };
        assert_eq!((answer.status, &answer.json()["incomplete"]), (200, expected), "{path}");
    }
    let missing = server.get("/v1/events/e7").await;
    assert_eq!((missing.status, &missing.json()["incomplete"]), (404, &gap), "{}", missing.text());
    assert_eq!(server.get("/v1/sequences/7").await.status, 500);
    let count = server.get("/v1/count?from=2000-01-01T00:00:00Z").await.json();
    assert_eq!(count, json!({ "count": EVENTS }), "counting needs no block");
    // The same again is stored again, and the new ones with it.
    let more = lines() + &event("new", "bob");
    let answer = server.post("/v1/events", "application/x-ndjson", more).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(EVENTS + 1)), "{}", answer.text());
    let ready = server.get("/readyz").await.json();
    assert!(ready["ready"] == true && ready["problems"][0].as_str().unwrap().contains("block 0"), "{ready}");
    assert_eq!(server.get("/v1/stats").await.json()["problems"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_gone_is_listed_as_unreadable() {
    let (directory, segment) = with_a_segment().await;
    std::fs::rename(&segment, directory.path().join("elsewhere")).unwrap();
    let server = Running::start_in(directory, |_| {}).await;
    let count = server.get("/v1/count?from=2000-01-01T00:00:00Z").await.json();
    assert_eq!(count, json!({ "count": 0, "incomplete": gap(&segment) }));
    let segments = server.get("/v1/segments").await.json();
    assert_eq!(segments["segments"][0]["state"], "unreadable");
    let histogram = server.get("/v1/histogram?interval=30d&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z").await.json();
    assert_eq!(histogram["incomplete"], gap(&segment), "{histogram}");
    server.stop().await;
}
