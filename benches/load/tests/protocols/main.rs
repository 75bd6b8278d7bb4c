//! `load` as it is started by people, on few events: what it sends, what it counts, how it ends. Nothing is said about speed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "the server that is loaded here has threads of its own")]

mod refusals;
mod stub;

use std::collections::HashSet;
use std::process::Command;

use serde_json::Value;
use trail_tests::binary::{binary, clean};
use trail_tests::server::Server;

use crate::stub::{Received, Stub};

/// Runs `load`; its exit code, and its line of JSON when it printed one.
fn load(arguments: &[&str]) -> (i32, Value) {
    let mut command = clean(Command::new(env!("CARGO_BIN_EXE_load")));
    let output = command.args(arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| Value::String(said.into_owned()));
    (output.status.code().unwrap(), report)
}

/// The same on a stub.
fn load_stub(stub: &Stub, path: &str, arguments: &str) -> (i32, Value) {
    let url = format!("http://{}{path}", stub.address);
    let words: Vec<&str> = ["--url", &url, "--memory", "1"].into_iter().chain(arguments.split_whitespace()).collect();
    load(&words)
}

fn ids<'e>(events: impl IntoIterator<Item = &'e str>) -> HashSet<String> {
    let mut ids = HashSet::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap();
        let id = event["eventID"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "{id} came twice");
    }
    ids
}

fn connections(received: &[Received]) -> usize {
    received.iter().map(|request| request.connection).collect::<HashSet<_>>().len()
}

#[test]
fn a_real_server_has_every_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("log");
    let start = ["--serve", binary().to_str().unwrap(), "--data", data.to_str().unwrap(), "--end", "2026-11-22T00:00:00Z"];
    for (run, more) in [
        "--events 2345 --batch 1000 --warm-up 70 --memory 4",
        "--events 700 --batch 10 --connections 3 --memory 1",
        "--events 400 --batch 1 --connections 64 --memory 1 --rate 4000",
        "--seconds 0.3 --batch 20 --memory 1 --set head_age_max=10s",
    ]
    .into_iter()
    .enumerate()
    {
        let seed = run.to_string();
        let words: Vec<&str> = start.into_iter().chain(more.split_whitespace()).chain(["--seed", &seed]).collect();
        let (code, report) = load(&words);
        assert_eq!((code, &report["not_accepted"]), (0, &Value::from(0)), "{more}: {report}");
        let accepted = report["events"].as_u64().unwrap() + report["warm_up_events"].as_u64().unwrap();
        let server = Server::start(&data, &[]);
        let mut client = server.client();
        let stored: u64 = client.json("/v1/count?from=0&to=4102444800000")["count"].as_u64().unwrap();
        let before = std::fs::read_to_string(folder.path().join("stored")).map_or(0, |text| text.parse().unwrap());
        assert_eq!(stored - before, accepted, "{more}");
        std::fs::write(folder.path().join("stored"), stored.to_string()).unwrap();
        if run == 3 {
            let events = client.pages("from=0&to=4102444800000", 1_000);
            let texts: Vec<&str> = events.iter().map(|(_, event)| std::str::from_utf8(event).unwrap()).collect();
            assert_eq!(ids(texts).len() as u64, stored);
        }
        server.stop();
        for known in [
            "own_cpu_seconds",
            "own_memory_peak",
            "server_cpu_seconds",
            "server_cpu_seconds_until_ended",
            "server_memory",
            "server_memory_peak",
        ] {
            assert!(report[known].is_number(), "{known}: {report}");
        }
    }
}

#[test]
fn a_server_that_runs_already_and_does_not_speak_bulk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let (url, pid) = (server.url(), server.pid().to_string());
    let words = ["--url", &url, "--pid", &pid, "--events", "50", "--batch", "10", "--connections", "1", "--memory", "1"];
    let (code, report) = load(&words);
    assert_eq!((code, report["events"].as_u64(), report["server_memory"].is_number()), (0, Some(50), true), "{report}");
    let count = server.client().json("/v1/count?from=0&to=4102444800000")["count"].as_u64();
    assert_eq!(count, Some(50));
    let wrong = [&words[..], &["--protocol", "bulk"]].concat();
    let (code, report) = load(&wrong);
    assert_eq!((code, report["events"].as_u64(), report["not_accepted"].as_u64()), (1, Some(0), Some(50)), "{report}");
    server.stop();
}

#[test]
fn json_lines_go_to_any_path() {
    let stub = Stub::start(|_, _| Some(("200 OK".to_owned(), String::new())));
    let path = "/insert/jsonline?_time_field=eventTime&_stream_fields=a";
    let (code, report) = load_stub(&stub, path, "--protocol lines --events 95 --batch 10 --connections 2 --header X-Scope:9");
    assert_eq!((code, report["events"].as_u64(), report["requests"].as_u64()), (0, Some(95), Some(10)), "{report}");
    let received = stub.received();
    assert_eq!((received.len(), connections(&received)), (10, 2));
    for request in &received {
        assert_eq!(request.line, format!("POST {path} HTTP/1.1"));
        assert_eq!((request.header("x-scope"), request.header("host")), (Some("9"), Some(stub.address.to_string().as_str())));
        assert!(request.body.ends_with('\n'));
    }
    assert_eq!(ids(received.iter().flat_map(|request| request.body.lines())).len(), 95);
    let bytes: usize = received.iter().map(|request| request.body.len()).sum();
    assert_eq!(report["bytes"].as_u64(), Some(bytes as u64));
}

#[test]
fn bulk_has_a_line_before_each_event_and_counts_the_items_that_failed() {
    let stub = Stub::start(|number, request| {
        let item = |at: usize| if number == 1 && at < 3 { r#"{"create":{"status":409}}"# } else { r#"{"create":{"status":201}}"# };
        let items: Vec<&str> = (0..request.body.lines().count() / 2).map(item).collect();
        Some(("200 OK".to_owned(), format!(r#"{{"took":1,"errors":{},"items":[{}]}}"#, number == 1, items.join(","))))
    });
    let (code, report) = load_stub(&stub, "/logs/_bulk", "--protocol bulk --events 40 --batch 10 --connections 1 --token secret");
    assert_eq!((code, report["events"].as_u64(), report["not_accepted"].as_u64()), (1, Some(37), Some(3)), "{report}");
    assert_eq!(report["refusals"][0]["reason"], "item with status 409");
    let received = stub.received();
    for request in &received {
        assert_eq!((request.line.as_str(), request.header("authorization")), ("POST /logs/_bulk HTTP/1.1", Some("Bearer secret")));
        let actions: Vec<&str> = request.body.lines().step_by(2).collect();
        assert!(actions.len() == 10 && actions.iter().all(|action| *action == r#"{"create":{}}"#), "{actions:?}");
    }
    assert_eq!(ids(received.iter().flat_map(|request| request.body.lines().skip(1).step_by(2))).len(), 40);
}
