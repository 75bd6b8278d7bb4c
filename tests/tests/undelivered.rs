//! What a trail could not deliver: events that retention dropped before they were delivered are said to be lost (class 13 of the fault matrix), and what
//! a trail holds waits for it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::client::Client;
use trail_tests::delivery::{Held, send, status, wait_until_done};
use trail_tests::load::{Sent, everything};
use trail_tests::receiver::{Receiver, Speech};
use trail_tests::scene::{Round, Scene, Template};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, wait_for};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn what_is_dropped_before_it_was_delivered_is_said() {
    let mut random = Random::of_test("undelivered", "what_is_dropped");
    let row = Row::begin(13, "dropped before delivered", 1);
    let folder = tempdir().unwrap();
    let was_played = (0..10).any(|attempt| {
        let template = Template::make(folder.path(), Scene::Expire, attempt, &mut random);
        drop_undelivered(&template, &folder.path().join("round"), &row)
    });
    assert!(was_played, "everything that was old had expired before a trail could be made, ten times");
    row.end();
}

/// All events, in the order of their sequences.
fn all(server: &Server) -> Vec<Vec<u8>> {
    let mut found = everything(server);
    found.sort();
    found.into_iter().map(|(_, event)| event).collect()
}

/// A trail that is stopped before it delivers anything, and started when a part of what it owes has expired. False when it expired before
/// the trail was made, which is a matter of a second.
fn drop_undelivered(template: &Template, folder: &Path, row: &Row) -> bool {
    let receiver = Receiver::start(Speech::Webhook, &[]);
    let mut away = receiver.sink();
    away["url"] = "http://127.0.0.1:9/in?x=1".into();
    let mut round = template.round(folder);
    let server = round.start_again();
    let mut client = server.client();
    // Without a filter: the old events were indexed without the vendors' dimensions.
    let trail = |sink| json!({"name": "late", "start": "oldest", "sinks": [sink]});
    send(&mut client, "POST", "/v1/trails", &trail(away));
    send(&mut client, "POST", "/v1/trails/late/start", &json!({}));
    send(&mut client, "POST", "/v1/trails/late/stop", &json!({}));
    let before = all(&server);
    if client.get("/v1/sequences/1").status != 200 {
        return false;
    }
    // Events are sent until then: a log drops nothing while nothing happens.
    wait_for("an expiry", || {
        assert!(!matches!(round.book.send(&mut client), Sent::Gone(_)));
        client.get("/v1/sequences/1").status != 200
    });
    // The segments of a day go together, but not in one step: until two looks a second apart see the same.
    let mut after = all(&server);
    loop {
        thread::sleep(millis(1_000));
        let later = all(&server);
        if later.len() == after.len() {
            break;
        }
        after = later;
    }
    let gone = before.iter().filter(|event| !after.contains(event)).count();
    // What a trail had read before it was stopped may still be in memory, and is then delivered although it has expired.
    server.stop();
    let server = round.start_again();
    let mut client = server.client();
    send(&mut client, "PUT", "/v1/trails/late", &trail(receiver.sink()));
    send(&mut client, "POST", "/v1/trails/late/start", &json!({}));
    wait_until_done(&mut client, "late");
    row.hit();
    let held = receiver.look(|taken| Held::of(&after, &taken.events));
    row.judge(held.exactly_once(), "what is left");
    let told = &status(&mut client, "late")[0];
    let lost = told["lost_events"].as_u64().unwrap();
    println!("13 | dropped before delivered | {gone} of those owed | {lost} sequences said to be lost");
    assert!(gone > 0 && lost == gone as u64 && told["needs_operator"] == true, "{told}");
    assert!(told["last_error"].as_str().unwrap().contains("were dropped or damaged before they could be delivered"), "{told}");
    let metrics = client.get("/metrics").text_whole();
    assert!(metrics.contains(&format!("traild_trail_lost_events_total{{trail=\"late\",sink=\"webhook-0\"}} {lost}")), "{metrics}");
    assert!(server.said().contains("events were dropped or damaged before they were delivered"), "{}", server.said());
    server.stop();
    true
}

/// Sends until something is so: a log drops nothing while nothing happens. What stands in `/v1/stats` is looked at.
fn send_until(what: &str, round: &mut Round<'_>, client: &mut Client, is_so: impl Fn(&Value, bool) -> bool) {
    wait_for(what, || {
        assert!(!matches!(round.book.send(client), Sent::Gone(_)));
        let is_there = client.get("/v1/sequences/1").status == 200;
        is_so(&client.json("/v1/stats"), is_there)
    });
}

/// A trail whose sink is away and that holds the retention. False when its events had expired before it was made.
fn make_holding(client: &mut Client, receiver: &Receiver) -> bool {
    let mut away = receiver.sink();
    away["url"] = "http://127.0.0.1:9/in?x=1".into();
    let trail = json!({"name": "late", "start": "oldest", "hold_retention": true, "sinks": [away], "start_now": true});
    send(client, "POST", "/v1/trails", &trail);
    client.get("/v1/sequences/1").status == 200
}

#[test]
fn what_a_trail_holds_waits_for_it_and_goes_when_it_was_delivered() {
    let mut random = Random::of_test("undelivered", "what_a_trail_holds");
    let row = Row::begin(13, "held for a trail", 1);
    let folder = tempdir().unwrap();
    let was_played = (0..10).any(|attempt| {
        let template = Template::make(folder.path(), Scene::Expire, attempt, &mut random);
        hold(&template, &folder.path().join("round"), &row)
    });
    assert!(was_played, "everything that was old had expired before a trail could be made, ten times");
    row.end();
}

fn hold(template: &Template, folder: &Path, row: &Row) -> bool {
    let receiver = Receiver::start(Speech::Webhook, &[]);
    let mut round = template.round(folder);
    let server = round.start_again();
    let mut client = server.client();
    if !make_holding(&mut client, &receiver) {
        return false;
    }
    send_until("something held", &mut round, &mut client, |stats, is_there| {
        assert!(is_there, "{stats}");
        stats["held_bytes"].as_u64() > Some(0)
    });
    row.hit();
    let told = client.json("/v1/trails/late/status");
    assert!(
        told["hold"]["held_bytes"].as_u64() > Some(0) && told["hold"]["let_go_events"] == 0 && told["sinks"][0]["gone_events"] == 0,
        "{told}"
    );
    wait_for("a line in the log", || server.said().contains("wait for what was not delivered of them"));
    assert!(!client.get("/metrics").text_whole().contains("traild_log_held_bytes 0"));
    // Stopped, and after a restart, it holds all the same.
    send(&mut client, "POST", "/v1/trails/late/stop", &json!({}));
    server.stop();
    let server = round.start_again();
    let mut client = server.client();
    (0..30).for_each(|_| {
        send_until("a batch", &mut round, &mut client, |_, is_there| is_there);
        thread::sleep(millis(100));
    });
    let owed = all(&server);
    let trail = json!({"start": "oldest", "hold_retention": true, "sinks": [receiver.sink()]});
    send(&mut client, "PUT", "/v1/trails/late", &trail);
    send(&mut client, "POST", "/v1/trails/late/start", &json!({}));
    wait_until_done(&mut client, "late");
    let held = receiver.look(|taken| Held::of(&owed, &taken.events));
    row.judge(held.exactly_once(), "what was held");
    assert_eq!(status(&mut client, "late")[0]["lost_events"], 0);
    send_until("the expiry of what was delivered", &mut round, &mut client, |stats, is_there| !is_there && stats["held_bytes"] == 0);
    server.stop();
    true
}

#[test]
fn more_than_may_wait_is_dropped_and_said() {
    let mut random = Random::of_test("undelivered", "more_than_may_wait");
    let row = Row::begin(13, "more held than may be", 1);
    let folder = tempdir().unwrap();
    let was_played = (0..10).any(|attempt| {
        let template = Template::make(folder.path(), Scene::Expire, attempt, &mut random);
        let receiver = Receiver::start(Speech::Webhook, &[]);
        let mut round = template.round(&folder.path().join("round"));
        let server = round.start_with(&[("TRAILD_HOLD_BYTES_MAX", "1B")]);
        let mut client = server.client();
        if !make_holding(&mut client, &receiver) {
            return false;
        }
        send_until("an expiry", &mut round, &mut client, |stats, is_there| {
            !is_there && stats["since_start"]["let_go_events"].as_u64() > Some(0)
        });
        row.hit();
        let told = client.json("/v1/trails/late/status");
        assert!(told["hold"]["let_go_events"].as_u64() > Some(0) && told["hold"]["bytes_max"] == 1, "{told}");
        assert!(told["sinks"][0]["gone_events"].as_u64() > Some(0), "{told}");
        wait_for("a line in the log", || server.said().contains("`hold_bytes_max` was reached"));
        assert!(!client.get("/metrics").text_whole().contains("traild_log_let_go_events_total 0"));
        let problems = client.json("/v1/stats")["problems"].to_string();
        assert!(problems.contains("were to wait were dropped"), "{problems}");
        server.stop();
        true
    });
    assert!(was_played, "everything that was old had expired before a trail could be made, ten times");
    row.end();
}
