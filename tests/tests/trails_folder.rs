//! What a trail to a folder costs and holds: ten trails with ten filters read the log once, and files as ActionTrail lays them and of lines in gzip are what others
//! expect, all by the real binary.
//!
//! The oracle is the list of events that were sent, and what the server counts.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use md5::{Digest as _, Md5};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::client::Client;
use trail_tests::delivery::{in_folder, post, puts, send, status, wait_until_done};
use trail_tests::server::Server;

const TRAILS: usize = 10;
const EVENTS: usize = 4_000;

/// A trail to a folder with these members, from the oldest event on.
fn trail(client: &mut Client, name: &str, filter: &str, members: &Value) {
    let mut sink = json!({"type": "file", "batch": {"events": 500, "seconds": 0.05}});
    sink.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    send(client, "POST", "/v1/trails", &json!({"name": name, "filter": filter, "start": "oldest", "sinks": [sink], "start_now": true}));
}

fn metric(client: &mut Client, name: &str) -> u64 {
    let text = client.get("/metrics").text_whole();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Each filter leaves out another tenth: every event is for nine trails.
#[test]
fn ten_trails_with_ten_filters_read_the_log_once() {
    let directory = tempdir().unwrap();
    let (data, folder) = (directory.path().join("data"), directory.path().join("out"));
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    for i in 0..TRAILS {
        trail(&mut client, &format!("t{i}"), &format!("-event_name:Put{i}"), &json!({ "path": folder }));
    }
    let all = puts("e", EVENTS, TRAILS);
    // In two pieces, each small enough for one reading: the first finds workers that have asked for nothing yet, the second those that wait.
    for part in all.chunks(EVENTS / 2) {
        post(&mut client, part);
        (0..TRAILS).for_each(|i| wait_until_done(&mut client, &format!("t{i}")));
    }
    let mut delivered = 0;
    for i in 0..TRAILS {
        let name = format!("t{i}");
        let left_out = format!("\"Put{i}\"");
        let wanted: Vec<Vec<u8>> = all.iter().filter(|event| !String::from_utf8_lossy(event).contains(&left_out)).cloned().collect();
        assert!(in_folder(&folder.join(&name)) == wanted, "{name} has not what it owes");
        delivered += status(&mut client, &name)[0]["delivered_events"].as_u64().unwrap();
    }
    let (readings, read) = (metric(&mut client, "traild_trails_readings_total"), metric(&mut client, "traild_trails_read_events_total"));
    println!("{EVENTS} events, {delivered} delivered by {TRAILS} trails, {read} read in {readings} readings");
    assert_eq!(delivered as usize, EVENTS * (TRAILS - 1));
    // Nine times as many if each read for itself.
    assert!(read >= EVENTS as u64 && read < 2 * EVENTS as u64, "{read} events were read to deliver {delivered}");
    server.stop();
}

/// The files under a folder, sorted, but for those that say whose it is.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with("traild-owner-"));
    found.sort();
    found
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

#[test]
fn files_are_as_actiontrail_lays_them() {
    let directory = tempdir().unwrap();
    let folder = directory.path().join("out");
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let sent = puts("a", 1_200, TRAILS);
    post(&mut client, &sent);
    trail(&mut client, "t", "", &json!({"path": folder, "format": "actiontrail", "layout_region": "cn-hangzhou"}));
    wait_until_done(&mut client, "t");
    let day = client.json("/v1/sequences/1")["received_at"].as_str().unwrap()[..10].to_owned();
    let mut held = Vec::new();
    let found = files(&folder);
    for path in &found {
        let (bytes, name) = (fs::read(path).unwrap(), path.strip_prefix(&folder).unwrap().to_str().unwrap());
        let (place, file) = name.rsplit_once('/').unwrap();
        assert_eq!(place, format!("AliyunLogs/Actiontrail/cn-hangzhou/{}", day.replace('-', "/")));
        let events: Vec<Box<RawValue>> = serde_json::from_slice(&unpacked(&bytes)).unwrap();
        let sum: String = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let (time, rest) = file.strip_prefix("Actiontrail_cn-hangzhou_").unwrap().split_once('_').unwrap();
        assert!(time.len() == 14 && time.starts_with(&day.replace('-', "")), "{file}");
        assert_eq!(rest, format!("1002_{}_{}_{sum}.gz", events.len(), bytes.len()));
        held.extend(events.iter().map(|event| event.get().as_bytes().to_vec()));
    }
    assert_eq!(found.len(), 3, "{found:?}");
    // Names have no numbers: files of one second are in no order.
    let mut wanted = sent;
    wanted.sort();
    held.sort();
    assert!(held == wanted, "{} events in place of {}", held.len(), wanted.len());
    server.stop();
}

#[test]
fn lines_in_gzip_are_the_events_in_their_order() {
    let directory = tempdir().unwrap();
    let folder = directory.path().join("out");
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let sent = puts("g", 1_200, TRAILS);
    post(&mut client, &sent);
    trail(&mut client, "t", "", &json!({"path": folder, "compression": "gzip"}));
    wait_until_done(&mut client, "t");
    let mut held = Vec::new();
    for (number, path) in (1..).zip(files(&folder)) {
        let (first, last) = (500 * (number - 1) + 1, 1_200.min(500 * number));
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{number:012}-{first:020}-{last:020}.ndjson.gz"));
        let lines = unpacked(&fs::read(path).unwrap());
        held.extend(lines.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    assert!(held == sent, "{} lines in place of {}", held.len(), sent.len());
    server.stop();
}
