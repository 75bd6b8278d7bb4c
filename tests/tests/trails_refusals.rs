//! Sinks that answer for a request and not for its events, and refuse some or all of it; and trails that cannot begin at the start of the server.
//!
//! The oracle is what the server itself answers: what a sink took and the dead letters together are what was owed, each once, and dead is what is bad.

use std::fs;

use serde_json::{Value, json};
use trail_tests::delivery::{Bench, FILTER, Held, create, dead, owed, send, status, wait_until_done};
use trail_tests::putlogs::Signature;
use trail_tests::receiver::{Receiver, SECRET, Speech};
use trail_tests::seed::Random;
use trail_tests::table::{Row, wait_for};

/// About a fifth of the events that are owed have this in them.
const BAD: &str = "\"Put3\"";
/// As many events may be given up before it is clear that it is the sink.
const GIVEN_UP_MAX: usize = 8;

fn has(event: &[u8], text: &str) -> bool {
    event.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn only_bad_events_are_dead_where_a_sink_refuses_whole_requests() {
    let mut random = Random::of_test("trails_refusals", "only_bad_events");
    let row = Row::begin(14, "bad events in refused requests", 3);
    let mut bench = Bench::start("bad", &mut random);
    bench.send(8);
    let mut client = bench.client();
    for speech in [Speech::Webhook, Speech::Otlp, Speech::Sls(Signature::V4)] {
        let receiver = Receiver::start(speech, &[]);
        receiver.refuse(Some(BAD));
        let trail = format!("{speech:?}").split('(').next().unwrap().to_lowercase();
        create(&mut client, &trail, &[receiver.sink()]);
        bench.send(4);
        wait_until_done(&mut client, &trail);
        row.hit();
        let (bad, good): (Vec<_>, Vec<_>) = owed(&mut client).into_iter().partition(|event| has(event, BAD));
        assert!(bad.len() > 5 && good.len() > 20, "{} bad, {} good", bad.len(), good.len());
        let mut buried = dead(&bench.data, &trail);
        let mut wanted = bad.clone();
        buried.sort();
        wanted.sort();
        assert_eq!(buried, wanted, "{trail}: the dead letters are not the bad events");
        receiver.look(|taken| {
            let held = Held::of(&good, &taken.events);
            let held = Held { ordered: true, ..held };
            row.judge(held.exactly_once(), &trail);
        });
        let told = &status(&mut client, &trail)[0];
        assert!(told["dead_letters"] == bad.len() && told["last_error"].as_str().unwrap().contains("in the dead letters"), "{told}");
    }
    bench.stop();
    row.end();
}

#[test]
fn a_place_that_refuses_everything_gets_nothing_buried_and_everything_later() {
    let mut random = Random::of_test("trails_refusals", "a_place_that_refuses");
    let row = Row::begin(14, "everything refused", 3);
    let mut bench = Bench::start("wrong", &mut random);
    bench.send(12);
    let mut client = bench.client();
    for speech in [Speech::Webhook, Speech::Otlp, Speech::Sls(Signature::V4)] {
        let receiver = Receiver::start(speech, &[]);
        receiver.refuse(Some("Put"));
        let trail = format!("{speech:?}").split('(').next().unwrap().to_lowercase();
        create(&mut client, &trail, &[receiver.sink()]);
        wait_for("two rounds", || status(&mut client, &trail)[0]["failed_attempts"].as_u64() >= Some(2));
        row.hit();
        let told = status(&mut client, &trail)[0].clone();
        let error = told["last_error"].as_str().unwrap();
        assert!(told["needs_operator"] == true && error.contains("none was taken") && error.contains("answered 400"), "{told}");
        let buried = dead(&bench.data, &trail);
        assert!(buried.len() <= GIVEN_UP_MAX && told["lag_events"].as_u64() > Some(20), "{} are dead: {told}", buried.len());
        receiver.refuse(None);
        wait_until_done(&mut client, &trail);
        let owed = owed(&mut client);
        receiver.look(|taken| {
            let held = Held::of(&owed, &[&taken.events[..], &dead(&bench.data, &trail)[..]].concat());
            row.judge(Held { ordered: true, ..held }.exactly_once(), &trail);
        });
    }
    bench.stop();
    row.end();
}

#[test]
fn a_trail_that_cannot_begin_says_so_and_begins_when_it_can() {
    let mut random = Random::of_test("trails_refusals", "a_trail_that_cannot_begin");
    let row = Row::begin(14, "cannot begin at the start", 1);
    let mut bench = Bench::start("begin", &mut random);
    let key = bench.data.with_extension("key");
    fs::write(&key, SECRET).unwrap();
    let receiver = Receiver::start(Speech::Webhook, &[]);
    let mut sink = receiver.sink();
    sink["secret"] = json!({"file": key});
    create(&mut bench.client(), "late", &[sink]);
    bench.send(2);
    wait_until_done(&mut bench.client(), "late");
    bench.restart(|| fs::remove_file(&key).unwrap());
    bench.send(2);
    let mut client = bench.client();
    let mut told = Value::Null;
    wait_for("two attempts", || {
        told = client.json("/v1/trails/late/status");
        told["sinks"][0]["failed_attempts"].as_u64() >= Some(2)
    });
    row.hit();
    let sink = &told["sinks"][0];
    assert!(told["state"] == "enabled" && told["begin_error"].as_str().unwrap().contains("the trail cannot begin"), "{told}");
    assert!(sink["needs_operator"] == true && sink["next_retry_at"].is_string() && sink["lag_events"].as_u64() > Some(0), "{told}");
    // Who changes it meanwhile is told at once.
    let wrong = json!({"filter": FILTER, "sinks": [{"type": "webhook", "url": "http://127.0.0.1:9/", "secret": {"file": key}}]});
    assert_eq!(
        client.send("PUT", "/v1/trails/late", &[("content-type", "application/json")], wrong.to_string().as_bytes()).unwrap().status,
        400
    );
    fs::write(&key, SECRET).unwrap();
    wait_for("the beginning", || client.json("/v1/trails/late/status")["begin_error"].is_null());
    let (held, verdict) = bench.judge("late", &receiver, true);
    row.judge(verdict, &format!("{held:?}"));
    // A filter that selects nothing new for long: what is behind has an age.
    send(&mut client, "POST", "/v1/trails/late/stop", &json!({}));
    assert!(client.json("/v1/trails/late/status")["begin_error"].is_null());
    bench.stop();
    row.end();
}
