//! `/test` of a trail, for every kind of sink: what would go wrong is said with what mends it, what is well is said to be, and nothing is left that a reader
//! would take for an event.
//!
//! On the other side stand real servers (NATS with users, Kafka's mock cluster, moto) and the receivers that the other tests deliver to.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::client::Client;
use trail_tests::delivery::{send, tested};
use trail_tests::kafka::{self, Peer, TOPIC};
use trail_tests::moto::{Moto, free_address};
use trail_tests::nats::{self, NatsServer, SUBJECT};
use trail_tests::putlogs::Signature;
use trail_tests::python;
use trail_tests::receiver::{Receiver, Speech, Turn};
use trail_tests::server::Server;
use trail_tests::syslogd::Syslogd;
use trail_tests::table::wait_for;

/// What `/test` says of a trail to one sink, which is made for it and removed again.
fn said(client: &mut Client, sink: &Value) -> Option<String> {
    send(client, "POST", "/v1/trails", &json!({"name": "probed", "sinks": [sink]}));
    let told = tested(client, "probed").remove(0);
    send(client, "DELETE", "/v1/trails/probed", &Value::Null);
    told
}

fn says(client: &mut Client, sink: &Value, words: &str) {
    let told = said(client, sink).unwrap_or_default();
    assert!(told.contains(words), "{}: {told:?} has not: {words}", sink["type"]);
}

fn server(directory: &std::path::Path) -> Server {
    Server::start(&directory.join("data"), &[])
}

#[test]
fn log_services_get_no_event_of_a_test() {
    let directory = tempdir().unwrap();
    let server = server(directory.path());
    let mut client = server.client();
    for speech in [Speech::Webhook, Speech::Elasticsearch, Speech::Sls(Signature::V1), Speech::Sls(Signature::V4), Speech::Otlp] {
        let receiver = Receiver::start(speech, &[]);
        assert_eq!(said(&mut client, &receiver.sink()), None, "{speech:?}");
        receiver.look(|taken| {
            assert!(!taken.arrivals.is_empty() && taken.events.is_empty(), "{speech:?}");
            assert_eq!(taken.problems, Vec::<String>::new(), "{speech:?}");
            assert!(taken.probes.1.is_empty() && (speech != Speech::Elasticsearch || taken.probes.0 == 1), "{:?}", taken.probes);
        });
        receiver.play(&[Turn::Status(403, None)]);
        says(&mut client, &receiver.sink(), "may not write there");
    }
    // A document that may not be removed, as in a data stream, is no reason to say that nothing may be created.
    let search = Receiver::start(Speech::Elasticsearch, &[Turn::Good, Turn::Status(403, None)]);
    assert_eq!(said(&mut client, &search.sink()), None);
    let page = Receiver::start(Speech::Otlp, &[Turn::Garbage]);
    says(&mut client, &page.sink(), "answers with a page for people");
    server.stop();
}

#[test]
fn syslog_gets_a_message_that_says_what_it_is() {
    let directory = tempdir().unwrap();
    let server = server(directory.path());
    let mut client = server.client();
    let receiver = Syslogd::start();
    let sink = |address: String| json!({"type": "syslog", "address": address, "hostname": "h1"});
    assert_eq!(said(&mut client, &sink(receiver.address.to_string())), None);
    wait_for("the message", || !receiver.messages().is_empty());
    let messages = receiver.messages();
    assert!(messages.len() == 1 && messages[0].contains(" h1 traild - probe - written by traild"), "{messages:?}");
    says(&mut client, &sink(free_address().to_string()), "cannot connect");
    server.stop();
}

#[test]
fn stores_are_written_read_and_left_as_they_were() {
    let directory = tempdir().unwrap();
    let server = server(directory.path());
    let mut client = server.client();
    let folder = directory.path().join("out");
    for format in ["ndjson", "cloudtrail", "actiontrail", "parquet", "segments"] {
        assert_eq!(said(&mut client, &json!({"type": "file", "path": folder, "format": format})), None, "{format}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{format} left something");
    }
    if let Some(moto) = Moto::start() {
        moto.make_bucket("audit");
        let sink = |bucket: &str| json!({"type": "s3", "bucket": bucket, "endpoint": moto.url(), "region": "us-east-1", "access_key_id": "ak", "secret_access_key": "sk"});
        assert_eq!(said(&mut client, &sink("audit")), None);
        assert_eq!(moto.names("audit"), Vec::<String>::new());
        says(&mut client, &sink("other"), "create it, or mend `bucket`");
        moto.check_keys(true);
        says(&mut client, &sink("audit"), "mend `access_key_id` and `secret_access_key`");
    }
    server.stop();
}

#[test]
fn nats_is_asked_by_a_message_that_no_stream_keeps() {
    if let Some(why) = nats::obstacle() {
        return python::skip(&why);
    }
    let (directory, store) = (tempdir().unwrap(), tempdir().unwrap());
    let server = server(directory.path());
    let mut client = server.client();
    let nats = NatsServer::guarded(store.path());
    let url = format!("nats://{}", nats.address);
    let anybody = json!({"type": "nats", "url": url, "subject": SUBJECT, "timeout_seconds": 20});
    let user = |name: &str| {
        let mut sink = anybody.clone();
        (sink["user"], sink["password"]) = (name.into(), name.into());
        sink
    };
    says(&mut client, &anybody, "no stream of");
    nats.make_stream();
    assert_eq!(said(&mut client, &anybody), None);
    let mut slow = anybody.clone();
    slow["timeout_seconds"] = 61.into();
    says(&mut client, &slow, "the stream AUDIT of");
    nats.know_repeats_for(Duration::from_secs(39));
    says(&mut client, &anybody, "knows repeats for 39 s only: set its `duplicate_window` to 40 s at least");
    // Who may publish and nothing else is told of no window; who may ask and not publish is told so.
    assert_eq!(said(&mut client, &user("writer")), None);
    says(&mut client, &user("reader"), "may not publish there");
    says(&mut client, &user("nobody"), "is wrong");
    assert_eq!(nats.messages(), Vec::<Vec<u8>>::new(), "a test left a message");
    server.stop();
}

#[test]
fn kafka_is_asked_for_the_topic_and_its_leaders() {
    if let Some(why) = kafka::obstacle() {
        return python::skip(&why);
    }
    let directory = tempdir().unwrap();
    let server = server(directory.path());
    let mut client = server.client();
    let mut cluster = Peer::mock(2);
    let sink = json!({"type": "kafka", "brokers": cluster.address, "topic": TOPIC, "timeout_seconds": 5});
    const INIT_PRODUCER_ID: i16 = 22;
    cluster.make_topic(4);
    assert_eq!(said(&mut client, &sink), None);
    let mut elsewhere = sink.clone();
    elsewhere["partition"] = 7.into();
    says(&mut client, &elsewhere, "the topic has no partition 7: mend `partition`");
    cluster.fail(INIT_PRODUCER_ID, &[31; 9]);
    says(&mut client, &sink, "allow the user IdempotentWrite on the cluster");
    cluster.ask(&json!({"do": "left", "api": INIT_PRODUCER_ID}));
    (0..4).for_each(|partition| {
        drop(cluster.ask(&json!({"do": "leader", "topic": TOPIC, "partition": partition, "broker": 1 + partition % 2})))
    });
    cluster.ask(&json!({"do": "down", "broker": 2}));
    assert!(said(&mut client, &sink).is_some(), "a broker that leads is away");
    cluster.ask(&json!({"do": "up", "broker": 2}));
    assert_eq!(said(&mut client, &sink), None);
    assert!(cluster.records().iter().all(Vec::is_empty), "a test left a record");
    server.stop();
}
