//! What an operator does with trails: a past range is delivered again, stopped, and gone on with; a trail whose file is damaged is seen, and made again.
//!
//! The oracle is the list of events that were sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::event::read_time;
use trail_tests::client::{Client, NDJSON};
use trail_tests::delivery::send;
use trail_tests::server::Server;
use trail_tests::table::wait_for;

fn events(name: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers
        .map(|n| json!({"eventID": format!("{name}-{n}"), "eventName": "Put", "eventTime": "2026-11-20T10:00:00Z"}).to_string())
        .collect()
}

fn post(client: &mut Client, events: &[String]) {
    for part in events.chunks(200) {
        assert_eq!(client.post(NDJSON, part.join("\n").as_bytes()).status, 200);
    }
}

/// The millisecond of receipt of the last event.
fn last_received(client: &mut Client) -> String {
    let answer = client.json("/v1/events?from=0&to=4102444800000&limit=10000");
    let times = answer["events"].as_array().unwrap().iter().map(|event| event["received_at"].as_str().unwrap());
    // As a text `.45Z` is behind `.458Z`.
    times.max_by_key(|time| read_time(time).unwrap()).unwrap().to_owned()
}

/// The events in the files of a folder, and how often each is there.
fn delivered(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for day in fs::read_dir(folder).into_iter().flatten().flatten() {
        for file in fs::read_dir(day.path()).unwrap().flatten().filter(|file| !file.file_name().to_string_lossy().starts_with('.')) {
            for line in fs::read_to_string(file.path()).unwrap().lines() {
                *found.entry(line.to_owned()).or_default() += 1;
            }
        }
    }
    found
}

fn job(client: &mut Client) -> Value {
    client.json("/v1/trails/t/status")["backfills"][0].clone()
}

#[test]
fn a_backfill_is_cancelled_resumed_and_outlives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (data, folder) = (directory.path().join("data"), directory.path().join("out"));
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    let (wanted, later) = (events("wanted", 0..3_000), events("later", 0..500));
    post(&mut client, &wanted);
    let end = last_received(&mut client);
    wait_for("another millisecond", || SystemClock::new().now().as_millis() > after(&end));
    post(&mut client, &later);
    // A file stands where the folder is to be: the job begins, and gets nowhere.
    fs::write(&folder, "in the way").unwrap();
    let sink = json!({"type": "file", "path": folder, "compression": "none", "batch": {"events": 100, "seconds": 0.01}});
    send(&mut client, "POST", "/v1/trails", &json!({"name": "t", "start": "now", "sinks": [sink], "start_now": true}));
    let range = json!({"from": "2020-01-01T00:00:00Z", "to": after(&end)});
    send(&mut client, "POST", "/v1/trails/t/backfill", &range);
    wait_for("an error", || job(&mut client)["sinks"][0]["needs_operator"] == true);
    let stuck = job(&mut client);
    assert!(stuck["state"] == "running" && stuck["sinks"][0]["progress"] == 0.0, "{stuck}");
    assert_eq!(send(&mut client, "POST", "/v1/trails/t/backfill/1/cancel", &Value::Null)["state"], "cancelled");
    fs::remove_file(&folder).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(job(&mut client)["state"] == "cancelled" && !folder.join("t.backfill-1").exists());
    assert_eq!(send(&mut client, "POST", "/v1/trails/t/backfill/1/resume", &Value::Null)["state"], "running");
    wait_for("some objects", || !delivered(&folder.join("t.backfill-1")).is_empty());
    server.kill();
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    wait_for("the end of the job", || job(&mut client)["state"] == "done");
    let done = job(&mut client);
    assert_eq!(done["sinks"][0]["progress"], 1.0, "{done}");
    let once: BTreeMap<String, u64> = wanted.into_iter().map(|event| (event, 1)).collect();
    assert_eq!(delivered(&folder.join("t.backfill-1")), once);
    server.stop();
}

/// The next millisecond.
fn after(time: &str) -> i64 {
    read_time(time).unwrap().as_millis() + 1
}

#[test]
fn a_damaged_trail_is_seen_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let sink = json!({"type": "file", "path": directory.path().join("out"), "compression": "none", "batch": {"seconds": 0.05}});
    let trail = json!({"name": "t", "start": "oldest", "sinks": [sink], "start_now": true});
    let server = Server::start(&data, &[]);
    let sent = events("e", 0..100);
    post(&mut server.client(), &sent);
    send(&mut server.client(), "POST", "/v1/trails", &trail);
    server.stop();
    let file = data.join("trails/t.trail");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    for _ in 0..2 {
        let server = Server::start(&data, &[]);
        let mut client = server.client();
        let shown = client.json("/v1/trails")["trails"][0].clone();
        assert!(shown["name"] == "t" && shown["state"] == "damaged", "{shown}");
        assert!(shown["problem"].as_str().unwrap().contains("trails/t.damaged"), "{shown}");
        let refused = client.send("POST", "/v1/trails/t/start", &[], b"").unwrap();
        assert!(refused.status == 400 && refused.text().contains("damaged"), "{}", refused.text());
        server.stop();
    }
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    send(&mut client, "POST", "/v1/trails", &trail);
    wait_for("the delivery", || delivered(&directory.path().join("out/t")).len() == sent.len());
    assert!(client.json("/v1/trails")["trails"][0]["state"] == "enabled" && !data.join("trails/t.damaged").exists());
    server.stop();
}
