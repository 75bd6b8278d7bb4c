//! Bodies, headers and connections at and over their limits.

use std::io::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Running, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_long_bodies_are_refused_whatever_they_announce() {
    let server = Running::start(|c| c.body_bytes_max = 100_000).await;
    let long = vec![b' '; 100_001];
    let answer = server.post("/v1/events", "application/x-ndjson", &long).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        server.address,
        long.len()
    );
    let answer = server.raw(&[head.as_bytes(), &long, b"\r\n0\r\n\r\n"].concat()).await;
    assert_eq!(answer.status, 413);
    server.store(event("a", "alice")).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused() {
    let server = Running::start(|_| {}).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..200).for_each(|_| encoder.write_all(&vec![b' '; 1 << 20]).unwrap());
    let bomb = encoder.finish().unwrap();
    let answer = server.send("POST", "/v1/events", &[("content-encoding", "gzip")], &bomb).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"), "{}", answer.text());
    server.store(event("a", "alice")).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_of_bodies_tells_clients_to_wait() {
    let adjust = |c: &mut traild::config::Config| {
        c.body_bytes_max = 1 << 20;
        c.body_decoded_bytes_max = 1 << 20;
        c.inflight_bytes_max = 2 << 20;
    };
    let server = Running::start(adjust).await;
    let mut holders = Vec::new();
    for _ in 0..2 {
        let mut held = server.connect().await;
        let head = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{{", server.address, 1 << 20);
        held.write_all(head.as_bytes()).await.unwrap();
        holders.push(held);
    }
    let refused = async {
        loop {
            let answer = server.post("/v1/events", "application/x-ndjson", event("a", "alice")).await;
            if answer.status == 429 {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = timeout(Duration::from_secs(10), refused).await.unwrap();
    assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("busy", Some("1")));
    drop(holders);
    let free = async {
        while server.post("/v1/events", "application/x-ndjson", event("a", "alice")).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), free).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_headers_are_refused() {
    let server = Running::start(|_| {}).await;
    let answer = server.get(&format!("/v1/count?q={}", "a".repeat(20_000))).await;
    assert_eq!((answer.status, answer.code().as_str()), (431, "headers_too_large"));
    let huge = format!("GET / HTTP/1.1\r\nhost: {}\r\nx: {}\r\n\r\n", server.address, "y".repeat(1 << 20));
    assert_eq!(server.raw(huge.as_bytes()).await.status, 431);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_end() {
    let adjust = |c: &mut traild::config::Config| {
        c.header_timeout = Duration::from_millis(300);
        c.body_timeout = Duration::from_millis(300);
    };
    let server = Running::start(adjust).await;
    let start = Instant::now();
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /healthz HT").await.unwrap();
    let mut answer = Vec::new();
    drop(timeout(Duration::from_secs(10), stuck.read_to_end(&mut answer)).await.expect("the headers have no deadline"));
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    let told = String::from_utf8(answer).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    let error: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{told}");
    assert_eq!(error["error"]["code"], "headers_too_slow");
    assert!(head.contains(&format!("x-request-id: {}", error["error"]["request_id"].as_str().unwrap())), "{told}");
    let half = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-length: 100\r\n\r\n{{", server.address);
    let answer = server.raw(half.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_too_slow"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_ends_early_stores_nothing() {
    let server = Running::start(|_| {}).await;
    let mut half = server.connect().await;
    let body = event("half", "alice");
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}\n", server.address, body.len() + 100);
    half.write_all(head.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let mut answer = Vec::new();
    drop(timeout(Duration::from_secs(10), half.read_to_end(&mut answer)).await.unwrap());
    assert_eq!(server.get("/v1/count").await.json()["count"], 0);
    server.stop().await;
}
