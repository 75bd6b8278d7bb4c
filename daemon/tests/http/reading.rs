//! What goes out: pages, lines, ids, counts, errors, and the log as it grows.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::{Running, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_back_byte_for_byte() {
    let server = Running::start(|_| {}).await;
    let odd = "{\"eventID\" : \"odd\",\n \"n\":1.0e+00, \"eventTime\":\"2026-11-22T08:00:00Z\" ,\"u\":\"\\u0041\\/\"}";
    let answer = server.post("/v1/events", "application/json", format!(" {odd} ")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = server.get("/v1/events/odd").await;
    assert!(json.text().contains(odd), "{}", json.text());
    let lines = server.send("GET", "/v1/events/odd", &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(lines.text(), odd.replace('\n', " ") + "\n");
    assert_eq!((server.get("/v1/events/none").await.status, server.get("/v1/sequences/99").await.status), (404, 404));
    assert_eq!(server.get("/v1/sequences/x").await.code(), "invalid_parameter");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_by_cursor_and_trailer() {
    let server = Running::start(|_| {}).await;
    let lines: String = (0..25).map(|i| event(&format!("e{i}"), "alice") + "\n").collect();
    server.store(&lines).await;
    let mut seen = Vec::new();
    let mut form = json!({ "q": "user:alice", "limit": 10, "order": "asc" });
    loop {
        let page = server.post("/v1/search", "application/json", form.to_string()).await.json();
        seen.extend(page["events"].as_array().unwrap().iter().map(|e| e["sequence"].as_u64().unwrap()));
        match page.get("next_cursor") {
            Some(cursor) => form["cursor"] = cursor.clone(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    let headers = [("accept", "application/x-ndjson"), ("te", "trailers")];
    let page = server.send("GET", "/v1/events?limit=10", &headers, b"").await;
    assert_eq!(page.text().lines().count(), 10);
    let cursor = page.header("x-next-cursor").unwrap();
    assert!(page.trailers.iter().any(|(n, v)| n == "x-next-cursor" && v == cursor), "{:?}", page.trailers);
    let explained = server.get("/v1/events?explain=true&limit=1").await.json();
    assert!(explained["explanation"]["parts"].is_array(), "{explained}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_terms_and_histograms() {
    let server = Running::start(|_| {}).await;
    server.store([event("a", "alice"), event("b", "alice"), event("c", "bob")].join("\n")).await;
    assert_eq!(server.get("/v1/count?q=user%3Aalice").await.json(), json!({ "count": 2 }));
    let terms = server.get("/v1/terms?dimension=user").await.json();
    assert_eq!((&terms["total"], &terms["terms"][0]), (&json!(3), &json!({ "term": "alice", "count": 2 })));
    let terms = server.get("/v1/terms?path=userIdentity.userName&prefix=b").await.json();
    assert_eq!(terms["terms"], json!([{ "term": "bob", "count": 1 }]));
    let histogram = server.get("/v1/histogram?interval=1h&dimension=user&from=now-2h").await.json();
    let sum: u64 = histogram["buckets"].as_array().unwrap().iter().map(|b| b["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, 3, "{histogram}");
    let dimensions = server.get("/v1/dimensions").await.json();
    assert!(dimensions["dimensions"].as_array().unwrap().iter().any(|d| d["name"] == "user" && d["kind"] == "keyword"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_questions_say_what_and_where() {
    let server = Running::start(|_| {}).await;
    let answer = server.get("/v1/events?q=usr%3Aalice").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_query"), "{}", answer.text());
    assert!(answer.json()["error"]["position"].is_u64() && answer.text().contains("user"), "{}", answer.text());
    for (path, word) in [
        ("/v1/events?limit=0", "limit"),
        ("/v1/events?limti=5", "did you mean `limit`"),
        ("/v1/events?order=up", "asc, desc"),
        ("/v1/terms", "dimension"),
        ("/v1/terms?dimension=user&path=a", "either"),
        ("/v1/histogram", "interval"),
        ("/v1/tail?after=-1", "after"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{path}");
        assert!(answer.text().contains(word), "{path}: {}", answer.text());
    }
    assert_eq!(server.get("/v1/events?cursor=nonsense").await.status, 400);
    assert_eq!(server.get("/v1/tail?q=(").await.status, 400);
    assert_eq!(server.post("/v1/search", "text/plain", "{}").await.status, 415);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_tells_old_and_new_and_ends_with_the_server() {
    let server = Running::start(|_| {}).await;
    server.store([event("a", "alice"), event("b", "bob")].join("\n")).await;
    let mut following = server.connect().await;
    let head = format!("GET /v1/tail?q=user:alice&after=0 HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    following.write_all(head.as_bytes()).await.unwrap();
    let mut received = String::new();
    let mut piece = [0; 4_096];
    for (id, next) in [("\"a\"", "c"), ("\"c\"", "d"), ("\"d\"", "e")] {
        while !received.contains(id) {
            let count = timeout(Duration::from_secs(20), following.read(&mut piece)).await.expect("nothing came").unwrap();
            assert_ne!(count, 0, "{received}");
            received += std::str::from_utf8(&piece[..count]).unwrap();
        }
        server.store(event(next, "alice")).await;
    }
    assert!(!received.contains("\"b\""), "{received}");
    server.stop().await;
    let mut rest = Vec::new();
    timeout(Duration::from_secs(10), following.read_to_end(&mut rest)).await.expect("the stream outlived the server").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escapes_that_are_no_text_are_refused_on_every_route() {
    let server = Running::start(|_| {}).await;
    for (path, part) in [
        ("/v1/count?q=a%FFb", "`q` is not UTF-8"),
        ("/v1/events?cursor=%C3", "`cursor` is not UTF-8"),
        ("/v1/terms?path=%FF", "`path` is not UTF-8"),
        ("/v1/tail?q=%FF", "`q` is not UTF-8"),
        ("/v1/events/a%FFb", "`event_id` is not UTF-8"),
        ("/v1/sequences/%FF", "`sequence` is not UTF-8"),
        ("/v1/segments/%FF", "`segment_id` is not UTF-8"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{path}");
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dimensions_name_the_paths_at_which_their_terms_stand() {
    let server = Running::start(|_| {}).await;
    let answer = server.get("/v1/dimensions").await.json();
    let paths = |name: &str| -> Vec<String> {
        let found = answer["dimensions"].as_array().unwrap().iter().find(|d| d["name"] == name).unwrap();
        found["paths"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect()
    };
    assert!(paths("service").contains(&"eventSource".to_owned()), "{answer}");
    assert!(!paths("service").contains(&"auditID".to_owned()), "auditID only says that the service is k8s.io");
    assert!(!paths("user_type").contains(&"userIdentity.invokedBy".to_owned()));
    assert!(paths("user_type").contains(&"user.username".to_owned()), "its parts are terms too");
    assert!(paths("event_id").contains(&"auditID".to_owned()));
    server.stop().await;
}
