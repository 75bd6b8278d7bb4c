//! The server target against a scripted server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;
use crate::cli::import::batch::Origin;
use crate::cli::import::piece::Place;

type Bodies = Arc<Mutex<Vec<String>>>;

/// A server that answers POSTs by a function of the body and the number of the request; keeps the bodies.
fn server(answer: impl Fn(&str, usize) -> String + Send + 'static) -> (String, Bodies) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bodies = Bodies::default();
    let kept = bodies.clone();
    let serve = move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let n = if body.is_empty() { 0 } else { kept.lock().unwrap().len() };
            let answer = if body.is_empty() { ok("{\"status\":\"ok\"}") } else { answer(&body, n) };
            if !body.is_empty() {
                kept.lock().unwrap().push(body);
            }
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    };
    trail_engine::threads::spawn("scripted", serve).unwrap();
    (url, bodies)
}

fn respond(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    respond("200 OK", "", body)
}

fn accepted(body: &str) -> String {
    ok(&format!("{{\"accepted\":{},\"duplicates\":0,\"rejected\":[]}}", body.lines().count()))
}

fn batch(events: &[&str]) -> Batch {
    let mut batch = Batch::default();
    events.iter().for_each(|event| batch.push(event.as_bytes(), Origin { input: "f".into(), place: Place { line: 1, byte: 0 } }));
    batch
}

fn store(url: &str, events: &[&str]) -> Result<Stored, Failure> {
    let target = ServerTarget::new(Client::new(url, Some("traild_k_x"), None).unwrap())?;
    target.store(&batch(events), &Progress::new(None))
}

#[test]
fn waits_when_told_and_sends_the_same_again() {
    let (url, bodies) = server(|body, n| match n {
        0 => respond("429 Too Many Requests", "Retry-After: 0\r\n", "{\"error\":{\"code\":\"busy\",\"message\":\"wait\"}}"),
        1 => respond("503 Service Unavailable", "", "{}"),
        _ => accepted(body),
    });
    assert_eq!(store(&url, &["{\"a\":1}", "{\"b\":2}"]).unwrap().accepted, 2);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| body == "{\"a\":1}\n{\"b\":2}"));
}

#[test]
fn finds_the_one_event_that_is_to_blame() {
    let (url, _) = server(|body, _| match body.contains("bad") {
        true => respond("413 Payload Too Large", "", "{\"error\":{\"code\":\"too_large\",\"message\":\"too large\"}}"),
        false => accepted(body),
    });
    let stored = store(&url, &["{\"a\":1}", "{}", "{\"bad\":1}", "{\"d\":4}", "{\"e\":5}"]).unwrap();
    assert_eq!(stored.accepted, 4);
    assert_eq!(stored.rejected, [Rejected { index: 2, code: "too_large".into(), message: "too large".into() }]);
}

#[test]
fn believes_the_receipt_only_when_it_adds_up() {
    let rejected = r#"{"accepted":1,"duplicates":1,"rejected":[{"index":2,"code":"too_deep","message":"m"}],"rejected_count":1}"#;
    let (url, _) = server(move |_, _| ok(rejected));
    let stored = store(&url, &["{}", "{}", "{}"]).unwrap();
    assert_eq!((stored.accepted, stored.duplicates, stored.rejected[0].index), (1, 1, 2));
    assert_eq!(store(&url, &["{}", "{}"]).unwrap_err().exit, Exit::Refused);
    let all =
        r#"{"accepted":0,"rejected":[{"index":0,"message":"x"},{"index":1,"message":"y"}],"rejected_count":2,"error":{"message":"none"}}"#;
    let (url, bodies) = server(move |_, _| respond("400 Bad Request", "", all));
    assert_eq!(store(&url, &["{}", "{}"]).unwrap().rejected.len(), 2);
    assert_eq!(bodies.lock().unwrap().len(), 1);
}

#[test]
fn refusals_end_the_import() {
    for status in ["401 Unauthorized", "507 Insufficient Storage", "500 Internal Server Error"] {
        let (url, _) = server(move |_, _| respond(status, "", "{\"error\":{\"message\":\"no\"}}"));
        assert_eq!(store(&url, &["{}"]).unwrap_err().exit, Exit::Refused, "{status}");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(store(&format!("http://127.0.0.1:{port}"), &["{}"]).unwrap_err().exit, Exit::Unreachable);
}
