//! The server itself: health, metrics, its description, ids of requests, stopping.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use traild::api::native::routes;

use crate::client::{Running, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_of_the_document_answers_and_every_answer_has_an_id() {
    let server = Running::start(|_| {}).await;
    let document = server.get("/openapi.json").await.json();
    let mut described = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described += 1;
            if path == "/v1/tail" {
                continue;
            }
            let answer = server.send(&method.to_uppercase(), &path.replace(['{', '}'], ""), &[], b"").await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            let known = answer.status != 404 || path.contains('{');
            assert!(known, "{method} {path} is described and not there");
            assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{method} {path}");
            if answer.status >= 400 {
                assert_eq!(answer.json()["error"]["request_id"].as_str(), answer.header("x-request-id"));
            }
        }
    }
    assert_eq!(described, routes().len());
    let given = server.send("GET", "/nothing", &[("x-request-id", "mine-1")], b"").await;
    assert_eq!((given.status, given.header("x-request-id"), given.code().as_str()), (404, Some("mine-1"), "not_found"));
    assert_eq!(server.send("DELETE", "/v1/events", &[], b"").await.code(), "method_not_allowed");
    server.stop().await;
}

/// A parameter that is ignored would answer another question than the one asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_ignores_a_parameter() {
    let server = Running::start(|_| {}).await;
    server.store(event("a", "alice")).await;
    for route in routes().iter().filter(|route| route.path.starts_with("/v1/")) {
        let path = route.path.replace("{event_id}", "a").replace("{sequence}", "1").replace("{segment_id}", "0000000000000001");
        let answer = server.send(route.method.as_str(), &format!("{path}?nonsense=1"), &[], b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{} {path}: {}", route.method, answer.text());
        assert!(answer.text().contains("unknown parameter `nonsense`"), "{}", answer.text());
    }
    assert_eq!(server.get("/healthz?at=1").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_stats_and_metrics() {
    let server = Running::start(|_| {}).await;
    server.store([event("a", "alice"), event("b", "bob")].join("\n")).await;
    assert_eq!(server.get("/healthz").await.json()["status"], "ok");
    assert_eq!(server.get("/readyz").await.json()["ready"], true);
    let stats = server.get("/v1/stats").await.json();
    assert_eq!((&stats["events"], &stats["last_sequence"], &stats["since_start"]["appended_events"]), (&json!(2), &json!(2), &json!(2)));
    let metrics = server.get("/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.text().contains("traild_ingest_accepted_events_total 2"), "{}", metrics.text());
    assert!(metrics.text().contains("route=\"/v1/events\",method=\"POST\",status=\"200\"} 1"), "{}", metrics.text());
    assert!(server.get("/").await.text().contains("traild"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_reserve_is_not_ready_and_still_takes_events() {
    let server = Running::start(|c| c.disk_reserve = 1 << 60).await;
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_ready"));
    assert!(answer.json()["reasons"][0].as_str().unwrap().contains("reserve"), "{}", answer.text());
    server.store(event("a", "alice")).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_the_middle_ends_well_when_the_server_stops() {
    let server = Running::start(|_| {}).await;
    let body = event("last", "alice");
    let mut open = server.connect().await;
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", server.address, body.len());
    open.write_all(head.as_bytes()).await.unwrap();
    // The server must have the headers before it stops.
    sleep(Duration::from_millis(300)).await;
    let stopping = tokio::spawn(server.restart());
    sleep(Duration::from_millis(300)).await;
    open.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), open.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let server = stopping.await.unwrap();
    assert_eq!(server.get("/v1/count?q=event_id:last").await.json()["count"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_and_pipelined() {
    let server = Running::start(|_| {}).await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    let last = request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut stream = server.connect().await;
    stream.write_all(format!("{request}{request}{last}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    server.stop().await;
}
