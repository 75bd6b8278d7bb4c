//! Real answers of every route against what the OpenAPI document says of them: status, type and schema.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client::{Answer, Running, event};
use crate::schema::check;

const JSON: &str = "application/json";

/// Holds one answer against the operation of the document. Errors may have members beside `error`.
fn judge(document: &Value, route: (&str, &str), answer: &Answer) {
    let (method, path) = route;
    let place = format!("{method} {path} {}", answer.status);
    let operation = &document["paths"][path][method.to_lowercase()];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{place} is not described: {}", answer.text());
    let Some(content) = response["content"].as_object() else { return };
    let kind = answer.header("content-type").unwrap_or_default();
    let schema = &content.get(kind).unwrap_or_else(|| panic!("{place}: the type `{kind}` is not described"))["schema"];
    if kind != JSON {
        return;
    }
    let mut value = answer.json();
    if answer.status >= 400 {
        value.as_object_mut().unwrap().retain(|name, _| name == "error");
    }
    check(document, schema, &value, &place).unwrap_or_else(|e| panic!("{e}\n{}", answer.text()));
}

/// The first segment, once there is one.
async fn segment(server: &Running) -> String {
    let flushed = async {
        loop {
            if let Some(id) = server.get("/v1/segments").await.json()["segments"][0]["id"].as_str() {
                return id.to_owned();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), flushed).await.expect("no segment was flushed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_described() {
    let server = Running::start(|c| c.engine.head_age_max = Duration::from_millis(50)).await;
    let document = server.get("/openapi.json").await.json();
    let lines: String = (0..20).map(|i| event(&format!("e{i}"), &format!("user-{}", i % 3)) + "\n").collect();
    let mut seen = BTreeSet::new();
    let mut hold = |method: &'static str, route: &'static str, answer: Answer, status: u16| {
        assert_eq!(answer.status, status, "{method} {route}: {}", answer.text());
        judge(&document, (method, route), &answer);
        seen.insert((method.to_lowercase(), route.to_owned(), status));
    };
    for (body, status) in [(lines.as_str(), 200), ("nonsense\n", 400), ("{}\nnonsense\n", 200)] {
        hold("POST", "/v1/events", server.post("/v1/events", "application/x-ndjson", body).await, status);
    }
    hold("POST", "/v1/events", server.post("/v1/events", "text/plain", "{}").await, 415);
    hold("POST", "/v1/events", server.post("/v1/events", JSON, format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20))).await, 413);
    hold("POST", "/v1/search", server.post("/v1/search", JSON, r#"{"limit":3,"explain":true}"#).await, 200);
    hold("POST", "/v1/search", server.post("/v1/search", JSON, "[]").await, 400);
    let id = segment(&server).await;
    let file = format!("/v1/segments/{id}");
    for (route, path, status) in [
        ("/v1/events", "/v1/events?limit=2&explain=true&q=user:user-1", 200),
        ("/v1/events", "/v1/events?q=usr:x", 400),
        ("/v1/events/{event_id}", "/v1/events/e1", 200),
        ("/v1/events/{event_id}", "/v1/events/none", 404),
        ("/v1/sequences/{sequence}", "/v1/sequences/1", 200),
        ("/v1/sequences/{sequence}", "/v1/sequences/99999", 404),
        ("/v1/tail", "/v1/tail?q=usr:x", 400),
        ("/v1/count", "/v1/count", 200),
        ("/v1/terms", "/v1/terms?dimension=user", 200),
        ("/v1/terms", "/v1/terms?path=userIdentity.userName", 200),
        ("/v1/terms", "/v1/terms", 400),
        ("/v1/histogram", "/v1/histogram?interval=1d", 200),
        ("/v1/histogram", "/v1/histogram?interval=1d&dimension=user", 200),
        ("/v1/dimensions", "/v1/dimensions", 200),
        ("/v1/segments", "/v1/segments", 200),
        ("/v1/segments/{segment_id}", file.as_str(), 200),
        ("/v1/segments/{segment_id}", "/v1/segments/ffffffffffffffff", 404),
        ("/v1/stats", "/v1/stats", 200),
        ("/metrics", "/metrics", 200),
        ("/healthz", "/healthz", 200),
        ("/readyz", "/readyz", 200),
        ("/openapi.json", "/openapi.json", 200),
        ("/", "/", 200),
    ] {
        hold("GET", route, server.get(path).await, status);
    }
    for (name, value, status) in [("range", "bytes=0-3", 206), ("range", "bytes=99999999999-", 416), ("if-none-match", "*", 304)] {
        hold("GET", "/v1/segments/{segment_id}", server.send("GET", &file, &[(name, value)], b"").await, status);
    }
    let lines = [("accept", "application/x-ndjson")];
    hold("GET", "/v1/events", server.send("GET", "/v1/events?limit=2", &lines, b"").await, 200);
    hold("GET", "/v1/count", server.raw(b"GET /v1/count HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await, 403);
    let folder = tempfile::tempdir().unwrap();
    let trail = json!({"name": "t", "start": "oldest", "start_now": true, "sinks": [{"type": "file", "path": folder.path()}]}).to_string();
    let range = r#"{"from":"2026-01-01T00:00:00Z","to":"2126-01-01T00:00:00Z"}"#;
    for (method, route, path, body, status) in [
        ("POST", "/v1/trails", "/v1/trails", trail.as_str(), 201),
        ("POST", "/v1/trails", "/v1/trails", trail.as_str(), 409),
        ("POST", "/v1/trails", "/v1/trails", r#"{"name":"x"}"#, 400),
        ("GET", "/v1/trails", "/v1/trails", "", 200),
        ("GET", "/v1/trails/{trail}", "/v1/trails/t", "", 200),
        ("GET", "/v1/trails/{trail}", "/v1/trails/none", "", 404),
        ("PUT", "/v1/trails/{trail}", "/v1/trails/t", trail.as_str(), 200),
        ("POST", "/v1/trails/{trail}/start", "/v1/trails/t/start", "", 200),
        ("POST", "/v1/trails/{trail}/test", "/v1/trails/t/test", "", 200),
        ("POST", "/v1/trails/{trail}/backfill", "/v1/trails/t/backfill", range, 202),
        ("POST", "/v1/trails/{trail}/backfill", "/v1/trails/t/backfill", "{}", 400),
        ("POST", "/v1/trails/{trail}/backfill/{job}/cancel", "/v1/trails/t/backfill/1/cancel", "", 200),
        ("POST", "/v1/trails/{trail}/backfill/{job}/resume", "/v1/trails/t/backfill/1/resume", "", 200),
        ("POST", "/v1/trails/{trail}/backfill/{job}/resume", "/v1/trails/t/backfill/7/resume", "", 404),
        ("GET", "/v1/trails/{trail}/status", "/v1/trails/t/status", "", 200),
        ("POST", "/v1/trails/{trail}/stop", "/v1/trails/t/stop", "", 200),
        ("DELETE", "/v1/trails/{trail}", "/v1/trails/t", "", 200),
        ("POST", "/v1/digest-keys/rotate", "/v1/digest-keys/rotate", "", 200),
        ("POST", "/v1/digest-keys/rotate", "/v1/digest-keys/rotate", "", 200),
        ("GET", "/v1/digest-keys", "/v1/digest-keys", "", 200),
    ] {
        hold(method, route, server.send(method, path, &[("content-type", JSON)], body.as_bytes()).await, status);
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|_| path != "/v1/tail") {
            let good = (200..300).any(|status| seen.contains(&(method.clone(), path.clone(), status)));
            assert!(good, "no good answer of {method} {path} was held against its schema");
        }
    }
    server.stop().await;
}
