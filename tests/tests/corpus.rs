//! Every line of the corpus goes in over HTTP and comes back byte for byte: from the head, from segments, by sequence and by search.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;
use trail_tests::client::{Client, NDJSON};
use trail_tests::fixtures::{ALWAYS, GOOD, bytes, lines};
use trail_tests::seed::Random;
use trail_tests::server::Server;

/// What a file must leave in a log: sequence and bytes.
type Stored = BTreeMap<u64, Vec<u8>>;

/// The lines of a file that are stored when it is sent once: a line that is there already, and has an id, is a copy.
fn expected(name: &str) -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let fresh = |line: &Vec<u8>| seen.insert(line.clone()) || id_of(line).is_none();
    lines(name).into_iter().filter(fresh).collect()
}

/// The id of an event, by the members that its vendor calls so: a text that is not empty, or a number.
fn id_of(line: &[u8]) -> Option<String> {
    const NAMES: [&str; 6] = ["eventID", "eventId", "EventId", "auditID", "insertId", "insertid"];
    let Ok(event) = serde_json::from_slice::<Value>(line) else {
        // A valid text that serde_json cannot hold: a lone surrogate, or a number beyond a double.
        let text = String::from_utf8_lossy(line).into_owned();
        return text.split_once("\"eventId\":\"")?.1.split_once('"').map(|(id, _)| id.to_owned());
    };
    let named = NAMES.iter().filter_map(|name| event.get(name));
    named.filter_map(|id| id.as_str().map(str::to_owned).or_else(|| id.is_number().then(|| id.to_string()))).find(|id| !id.is_empty())
}

fn send(client: &mut Client, body: &[u8]) -> (u64, u64) {
    let answer = client.post(NDJSON, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["rejected_count"], 0, "{json}");
    (json["accepted"].as_u64().unwrap(), json["duplicates"].as_u64().unwrap())
}

fn check_everything(client: &mut Client, stored: &Stored, random: &mut Random) {
    for (sequence, event) in stored {
        let (found, bytes) = client.get(&format!("/v1/sequences/{sequence}")).event();
        assert_eq!(found, *sequence);
        assert!(bytes == *event, "sequence {sequence}:\n{}\n{}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(event));
    }
    let limit = usize::try_from(1 + random.below(100)).unwrap();
    let newest = client.pages(&format!("{ALWAYS}&order=desc"), limit);
    let oldest = client.pages(&format!("{ALWAYS}&order=asc"), 10_000);
    assert_eq!(newest.iter().rev().collect::<Vec<_>>(), oldest.iter().collect::<Vec<_>>(), "the orders differ, pages of {limit}");
    assert_eq!(oldest.len(), stored.len(), "events of all pages");
    assert_eq!(&oldest.into_iter().collect::<Stored>(), stored, "search");
    assert_eq!(client.json(&format!("/v1/count?{ALWAYS}"))["count"], stored.len());
}

/// Waits until segments hold every event.
fn wait_for_segments(client: &mut Client, events: usize) {
    let start = Instant::now();
    loop {
        let segments = client.json("/v1/segments");
        let held: u64 = segments["segments"].as_array().unwrap().iter().map(|s| s["events"].as_u64().unwrap()).sum();
        if held == events as u64 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "segments hold {held} of {events} events");
        sleep(Duration::from_millis(50));
    }
}

fn restart(server: Server, data: &Path, settings: &[(&str, &str)]) -> Server {
    server.stop();
    Server::start(data, settings)
}

#[test]
fn every_line_comes_back_from_head_journal_and_segments() {
    let mut random = Random::of_test("corpus", "every_line");
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    let mut server = Server::start(&data, &[]);
    let mut client = server.client();
    let mut stored = Stored::new();
    for name in GOOD {
        let fresh = expected(name);
        let (accepted, duplicates) = send(&mut client, &bytes(name));
        assert_eq!((accepted as usize, duplicates as usize), (fresh.len(), lines(name).len() - fresh.len()), "{name}");
        let first = stored.len() as u64 + 1;
        stored.extend((first..).zip(fresh));
    }
    assert!(stored.len() > 500, "the corpus has only {} events", stored.len());
    check_everything(&mut client, &stored, &mut random);

    server = restart(server, &data, &[]);
    check_everything(&mut server.client(), &stored, &mut random);

    server = restart(server, &data, &[("TRAILD_HEAD_AGE_MAX", "1s")]);
    let mut client = server.client();
    wait_for_segments(&mut client, stored.len());
    check_everything(&mut client, &stored, &mut random);

    server = restart(server, &data, &[("TRAILD_READ_ONLY", "true")]);
    check_everything(&mut server.client(), &stored, &mut random);
    server.stop();
}

#[test]
fn a_file_that_is_sent_again_adds_only_what_has_no_id() {
    let folder = tempdir().unwrap();
    for (place, settings) in [("head", &[][..]), ("segments", &[("TRAILD_HEAD_AGE_MAX", "1s")])] {
        let data = folder.path().join(place);
        let server = Server::start(&data, settings);
        let mut client = server.client();
        for name in GOOD {
            let (accepted, _) = send(&mut client, &bytes(name));
            if place == "segments" {
                let all = client.json("/v1/stats")["events"].as_u64().unwrap();
                wait_for_segments(&mut client, usize::try_from(all).unwrap());
            }
            let without: u64 = lines(name).iter().filter(|line| id_of(line).is_none()).count() as u64;
            let (again, duplicates) = send(&mut client, &bytes(name));
            assert_eq!(again, without, "{name} in {place}: {accepted} events came first");
            assert_eq!(duplicates, lines(name).len() as u64 - without, "{name} in {place}");
        }
        server.stop();
    }
}

#[test]
fn the_same_id_with_other_bytes_is_another_event() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let mut client = server.client();
    let edge = lines("edge");
    send(&mut client, &bytes("edge"));
    let by_id = |client: &mut Client, id: &str| -> Vec<Vec<u8>> {
        let answer = client.get(&format!("/v1/events/{id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut events: Vec<_> = answer.events();
        events.sort_by_key(|(sequence, _)| *sequence);
        events.into_iter().map(|(_, event)| event).collect()
    };
    assert_eq!(by_id(&mut client, "edge-pair-0001"), edge[56..58]);
    assert_eq!(by_id(&mut client, "edge-twin-0001"), edge[58..59]);
    assert_eq!(client.get("/v1/events/no-such-id").status, 404);
    server.stop();
}

#[test]
fn every_bad_line_is_refused_with_a_reason_and_good_ones_beside_it_are_kept() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let mut client = server.client();
    let bad = lines("bad");
    assert_eq!(bad.len(), 46);
    for (i, line) in bad.iter().enumerate() {
        let answer = client.post(NDJSON, line);
        let json = answer.json();
        assert_eq!(answer.status, 400, "line {}: {json}", i + 1);
        if line.is_empty() {
            assert_eq!(json["error"]["code"], "empty_body", "line {}", i + 1);
            continue;
        }
        assert_eq!(json["error"]["code"], "all_rejected", "line {}", i + 1);
        let rejected = &json["rejected"][0];
        assert_eq!(rejected["index"], 0, "line {}: {json}", i + 1);
        assert!(rejected["code"].as_str().is_some_and(|code| !code.is_empty()), "line {}: {json}", i + 1);
        assert!(rejected["message"].as_str().is_some_and(|message| message.len() > 5), "line {}: {json}", i + 1);
    }
    assert_eq!(client.json("/v1/stats")["events"], 0);

    let good = &lines("cloudtrail")[..10];
    let mut body = Vec::new();
    for (i, line) in bad.iter().enumerate() {
        body.extend_from_slice(line);
        body.push(b'\n');
        if i % 5 == 0 {
            body.extend_from_slice(&good[i / 5]);
            body.push(b'\n');
        }
    }
    let json = client.post(NDJSON, &body).json();
    assert_eq!((&json["accepted"], &json["rejected_count"]), (&Value::from(10), &Value::from(44)), "{json}");
    let blank = |i: usize| bad[i].is_empty();
    let mut index = 0;
    let mut indexes = Vec::new();
    for i in (0..bad.len()).filter(|i| !blank(*i) || i % 5 == 0) {
        if !blank(i) {
            indexes.push(index);
            index += 1;
        }
        index += u64::from(i % 5 == 0);
    }
    let told: Vec<u64> = json["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(told, indexes);
    let stored: Vec<Vec<u8>> = (1..=10).map(|s| client.get(&format!("/v1/sequences/{s}")).event().1).collect();
    assert_eq!(stored, good);
    server.stop();
}
