//! What comes in: good, bad and mixed bodies, in every frame and encoding.

use std::io::Write;

use serde_json::json;

use crate::client::{Running, event};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_is_stored_in_order_and_retries_are_free() {
    let server = Running::start(|_| {}).await;
    let (a, b, c) = (event("a", "alice"), event("b", "bob"), event("c", "carol"));
    let first = server.post("/v1/events", NDJSON, format!("{a}\r\n\n  {b}  \n")).await;
    assert_eq!((first.status, first.json()["accepted"].as_u64()), (200, Some(2)), "{}", first.text());
    assert_eq!((first.json()["first_sequence"].as_u64(), first.json()["last_sequence"].as_u64()), (Some(1), Some(2)));
    let again = server.post("/v1/events", JSON, format!("[{a},\n{b} , {c}]")).await;
    assert_eq!((again.json()["accepted"].as_u64(), again.json()["duplicates"].as_u64()), (Some(1), Some(2)), "{}", again.text());
    let records = server.post("/v1/events", JSON, format!("{{\"Records\":[{}]}}", event("d", "dave"))).await;
    assert_eq!(records.json()["first_sequence"], 4);
    let single = server.send("POST", "/v1/events", &[("content-type", JSON)], event("e", "eve").as_bytes()).await;
    assert_eq!(single.json()["last_sequence"], 5);
    let one = server.get("/v1/sequences/2").await;
    assert!(one.text().contains(&b), "{}", one.text());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_events_of_a_bad_batch_are_kept() {
    let server = Running::start(|_| {}).await;
    let bad: String = (0..150).map(|i| format!("{{\"a\":{i}\n")).collect();
    let body = format!("{}\n{bad}[1]\n{}\n", event("a", "alice"), event("b", "bob"));
    let answer = server.post("/v1/events", NDJSON, body).await;
    let json = answer.json();
    assert_eq!((answer.status, &json["accepted"], &json["rejected_count"]), (200, &json!(2), &json!(151)), "{json}");
    assert_eq!(json["rejected"].as_array().unwrap().len(), 100);
    assert_eq!((&json["rejected"][0]["index"], &json["rejected"][0]["code"]), (&json!(1), &json!("invalid_json")));
    // The byte of the body at which the event begins, and in the message the byte of the event.
    let array = format!("[{},  [1], {{\"b\":x}}]", event("c", "carol"));
    let json = server.post("/v1/events", JSON, &array).await.json();
    assert_eq!(json["rejected"][0]["position"].as_u64(), array.find("[1]").map(|at| at as u64), "{json}");
    assert_eq!(json["rejected"][0]["message"], "an event must be a JSON object, and this is none");
    assert_eq!(json["rejected"][1]["position"].as_u64(), array.find("{\"b\"").map(|at| at as u64), "{json}");
    assert!(json["rejected"][1]["message"].as_str().unwrap().ends_with("at byte 5"), "{json}");
    let nothing = server.post("/v1/events", NDJSON, "nonsense\n").await;
    assert_eq!((nothing.status, nothing.code().as_str(), &nothing.json()["accepted"]), (400, "all_rejected", &json!(0)));
    assert_eq!(nothing.json()["rejected"][0]["index"], 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_frame_is_refused_as_a_whole_with_its_byte() {
    let server = Running::start(|_| {}).await;
    let a = event("a", "alice");
    let answer = server.post("/v1/events", JSON, format!("[{a},]")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_json"));
    assert_eq!(answer.json()["error"]["position"], a.len() + 2);
    assert_eq!(server.post("/v1/events", JSON, format!("[{a}")).await.status, 400);
    for empty in ["", "\n\n", "[]"] {
        let kind = if empty == "[]" { JSON } else { NDJSON };
        let answer = server.post("/v1/events", kind, empty).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "empty_body"), "{empty:?}");
    }
    assert_eq!(server.get("/v1/count").await.json()["count"], 0);
    let deep = server.post("/v1/events", JSON, format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000))).await;
    assert_eq!((deep.status, deep.code().as_str()), (400, "all_rejected"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encodings_and_lies_about_them() {
    let server = Running::start(|_| {}).await;
    let body = format!("{}\n", event("a", "alice"));
    let packed = server.send("POST", "/v1/events", &[("content-encoding", "gzip")], &gzip(body.as_bytes())).await;
    assert_eq!((packed.status, packed.json()["accepted"].as_u64()), (200, Some(1)), "{}", packed.text());
    let zstd = zstd::stream::encode_all(body.as_bytes(), 3).unwrap();
    let packed = server.send("POST", "/v1/events", &[("content-encoding", "zstd")], &zstd).await;
    assert_eq!(packed.json()["duplicates"], 1, "{}", packed.text());
    for encoding in ["gzip", "zstd"] {
        let lie = server.send("POST", "/v1/events", &[("content-encoding", encoding)], body.as_bytes()).await;
        assert_eq!((lie.status, lie.code().as_str()), (400, "invalid_encoding"));
        assert!(lie.json()["error"]["position"].is_u64());
    }
    let silent = server.post("/v1/events", NDJSON, gzip(body.as_bytes())).await;
    assert_eq!((silent.status, silent.code().as_str()), (400, "all_rejected"));
    let unknown = server.send("POST", "/v1/events", &[("content-encoding", "br")], body.as_bytes()).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (415, "unsupported_encoding"));
    let unknown = server.post("/v1/events", "text/plain", &body).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (415, "unsupported_media_type"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let server = Running::start(|_| {}).await;
    let lines: String = (0..500).map(|i| event(&format!("e{i}"), "alice") + "\n").collect();
    server.store(&lines).await;
    let server = server.restart().await;
    assert_eq!(server.get("/v1/count?q=user:alice").await.json()["count"], 500);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_events_than_a_batch_holds_keep_their_order_and_numbers() {
    let server = Running::start(|_| {}).await;
    let count = trail_engine::limits::BATCH_EVENTS_MAX + 1;
    let lines: String =
        (0..count).map(|i| if i == count - 1 { "bad\n{\"n\":\"last\"}\n".to_owned() } else { format!("{{\"n\":{i}}}\n") }).collect();
    let json = server.post("/v1/events", NDJSON, lines).await.json();
    assert_eq!((&json["accepted"], &json["rejected"][0]["index"]), (&json!(count), &json!(count - 1)), "{json}");
    assert_eq!((&json["first_sequence"], &json["last_sequence"]), (&json!(1), &json!(count)));
    assert!(server.get(&format!("/v1/sequences/{count}")).await.text().contains("last"));
    server.stop().await;
}
