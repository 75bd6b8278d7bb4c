//! Segment files: the list, whole files, ranges.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::client::{Running, event};

/// A server whose head is flushed to a segment at once.
async fn with_a_segment() -> (Running, Value) {
    let server = Running::start(|c| c.engine.head_age_max = Duration::from_millis(50)).await;
    let lines: String = (0..200).map(|i| event(&format!("e{i}"), "alice") + "\n").collect();
    server.store(&lines).await;
    let flushed = async {
        loop {
            if let Some(first) = server.get("/v1/segments").await.json()["segments"].as_array().unwrap().first() {
                return first.clone();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let segment = timeout(Duration::from_secs(60), flushed).await.expect("no segment was flushed");
    (server, segment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_is_served_whole_and_in_parts() {
    let (server, segment) = with_a_segment().await;
    assert_eq!((segment["events"].as_u64(), segment["first_sequence"].as_u64()), (Some(200), Some(1)), "{segment}");
    let path = format!("/v1/segments/{}", segment["id"].as_str().unwrap());
    let whole = server.get(&path).await;
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    assert_eq!(whole.body.len() as u64, segment["file_bytes"].as_u64().unwrap());
    let tag = whole.header("etag").unwrap().to_owned();
    let length = whole.body.len();
    let range = async |range: &str| server.send("GET", &path, &[("range", range)], b"").await;
    let part = range("bytes=10-19").await;
    assert_eq!((part.status, part.header("content-range")), (206, Some(format!("bytes 10-19/{length}").as_str())));
    assert_eq!(part.body, &whole.body[10..20]);
    assert_eq!(range("bytes=-7").await.body, &whole.body[length - 7..]);
    assert_eq!(range(&format!("bytes={}-", length - 3)).await.body, &whole.body[length - 3..]);
    let nothing = range(&format!("bytes={length}-")).await;
    assert_eq!((nothing.status, nothing.header("content-range")), (416, Some(format!("bytes */{length}").as_str())));
    assert_eq!(server.send("GET", &path, &[("if-none-match", &tag)], b"").await.status, 304);
    assert_eq!(server.get("/v1/segments/ffffffffffffffff").await.status, 404);
    for wrong in ["1", "abc", "00000000000000FG", "..%2F..%2Fetc%2Fpasswd"] {
        let answer = server.get(&format!("/v1/segments/{wrong}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{wrong}: {}", answer.text());
        assert!(answer.text().contains("16 hex digits"), "{}", answer.text());
    }
    server.stop().await;
}
