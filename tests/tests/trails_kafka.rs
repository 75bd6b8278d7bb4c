//! Trails to Kafka: the real binary, librdkafka's mock cluster of three brokers that fails as it is told, and a real broker behind a network that breaks;
//! read back by librdkafka's consumer. What a trail owes is what the server itself answers to its filter.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::binary::root;
use trail_tests::client::Client;
use trail_tests::cut::{Cut, Fate};
use trail_tests::delivery::{Bench, FILTER, Held, SETTINGS, create, dead, owed, send, status, tested, wait_until_done};
use trail_tests::kafka::{Broker, Front, Peer, Record, TOPIC, obstacle};
use trail_tests::load::{Book, Sent, Source};
use trail_tests::moto::free_address;
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, skip, wait_for};
use trail_tests::wrong::Wrong;

const PRODUCE: i16 = 0;
const PARTITIONS: usize = 6;

fn sink(brokers: &str) -> Value {
    json!({
        "type": "kafka", "brokers": brokers, "topic": TOPIC, "timeout_seconds": 5, "batch": {"events": 25, "seconds": 0.05},
    })
}

fn wait_for_error(client: &mut Client, trail: &str, words: &str) -> Value {
    let mut last = Value::Null;
    wait_for(words, || {
        last = status(client, trail)[0].clone();
        last["last_error"].as_str().is_some_and(|error| error.contains(words))
    });
    last
}

/// Each event once, and in order within its partition; or in the dead letters.
fn judge(client: &mut Client, trail: &str, partitions: &[Vec<Record>], dead: &[Vec<u8>]) -> (Held, Result<(), Wrong>) {
    let mut all: Vec<&Record> = Vec::new();
    for (number, partition) in partitions.iter().enumerate() {
        assert!(partition.is_sorted_by_key(|record| record.sequence), "partition {number} is not in order");
        all.extend(partition.iter().filter(|record| record.trail == trail));
    }
    all.sort_by_key(|record| record.sequence);
    assert!(all.iter().all(|record| record.key.starts_with(&format!("{trail}-{}-", record.sequence))), "a key");
    let all: Vec<Vec<u8>> = all.iter().map(|record| record.event.clone()).collect();
    let mut held = Held::of(&owed(client), &[&all, dead].concat());
    held.ordered |= !dead.is_empty();
    (held, held.exactly_once())
}

fn tell(row: &Row, what: &str, injected: u64, held: (Held, Result<(), Wrong>)) {
    println!("14 | Kafka: {what} | {injected} injected | {} events | {} lost | {} duplicated", held.0.owed, held.0.lost, held.0.duplicated);
    row.judge(held.1, what);
}

#[test]
fn a_cluster_that_fails_has_every_event_once() {
    const NAME: &str = "a Kafka cluster that fails";
    if let Some(why) = obstacle() {
        return skip(14, NAME, &why);
    }
    let mut random = Random::of_test("trails_kafka", "a_cluster_that_fails");
    let (mut bench, mut cluster) = (Bench::start("kafka", &mut random), Peer::mock(3));
    // What a broker says, and the words in the status, with whether an operator is needed.
    let cases: [(i16, &str, bool); 11] = [
        (6, "NOT_LEADER_OR_FOLLOWER", false),
        (5, "NOT_LEADER_OR_FOLLOWER", false),
        (7, "REQUEST_TIMED_OUT", false),
        (19, "too few replicas", false),
        (20, "too few replicas", false),
        (56, "KAFKA_STORAGE_ERROR", false),
        (29, "allow the user to write to the topic audit", true),
        (44, "mend the topic's rules", true),
        (-195, "broke", false),
        (74, "an error (74)", false),
        (3, "there is no topic audit", true),
    ];
    let row = Row::begin(14, NAME, cases.len() as u64 + 4);
    let mut client = bench.client();
    bench.send(3);
    cluster.make_topic(PARTITIONS);
    create(&mut client, "kafka", &[sink(&cluster.address)]);
    wait_until_done(&mut client, "kafka");
    for (code, words, is_operators) in cases {
        // The first two answers are for a connection that is kept, and for the fresh one after it.
        cluster.fail(PRODUCE, &[code; 9]);
        bench.send(3);
        let told = wait_for_error(&mut client, "kafka", words);
        assert_eq!(told["needs_operator"], is_operators, "{told}");
        cluster.ask(&json!({"do": "left", "api": PRODUCE}));
        wait_until_done(&mut client, "kafka");
        row.hit();
    }
    too_large(&mut bench, &mut cluster, &row);
    leaders_move(&mut bench, &mut cluster, &row);
    let records = cluster.records();
    assert!(records.iter().all(|partition| partition.len() > 20), "all partitions are used");
    tell(
        &row,
        "errors, leaders that move, brokers that go",
        row.count(),
        judge(&mut client, "kafka", &records, &dead(&bench.data, "kafka")),
    );
    bench.stop();
    row.end();
}

/// Batches that are too large are cut, down to one event, which is refused then: this cluster says it of the next requests, whatever they hold.
fn too_large(bench: &mut Bench, cluster: &mut Peer, row: &Row) {
    let mut client = bench.client();
    cluster.fail(PRODUCE, &[10, 10, 0, 10]);
    bench.send(3);
    wait_until_done(&mut client, "kafka");
    row.hit();
    cluster.ask(&json!({"do": "left", "api": PRODUCE}));
}

/// Others lead, and then a broker is gone for a while.
fn leaders_move(bench: &mut Bench, cluster: &mut Peer, row: &Row) {
    let mut client = bench.client();
    for round in 0..2 {
        for partition in 0..PARTITIONS {
            cluster.ask(&json!({"do": "leader", "topic": TOPIC, "partition": partition, "broker": 1 + (partition + round) % 3}));
        }
        bench.send(2);
        wait_until_done(&mut client, "kafka");
        row.hit();
    }
    cluster.ask(&json!({"do": "down", "broker": 2}));
    let mut looks = 0;
    wait_for("a failed attempt", || {
        // Which partitions events go to follows from their keys: now and then some go to what the broker leads.
        if looks % 200 == 0 {
            bench.send(2);
        }
        looks += 1;
        let told = status(&mut client, "kafka")[0]["last_error"].as_str().unwrap_or_default().to_owned();
        told.contains("does not say where broker 2 is") || told.contains("broker 2 of the cluster: ")
    });
    cluster.ask(&json!({"do": "up", "broker": 2}));
    wait_until_done(&mut client, "kafka");
    row.hit();
}

#[test]
fn lost_answers_and_kills_double_nothing() {
    const NAME: &str = "Kafka: lost answers, kill -9";
    if let Some(why) = obstacle() {
        return skip(14, NAME, &why);
    }
    let mut random = Random::of_test("trails_kafka", "lost_answers_and_kills");
    let row = Row::begin(14, NAME, 8);
    let address = free_address();
    let plan = |n: u64| match n % 5 {
        1 => Fate::After,
        3 => Fate::Before,
        _ => Fate::Pass,
    };
    let cut = Cut::before(address, Arc::new(plan));
    let _broker = Broker::start(address, &cut.address.to_string());
    let mut peer = Peer::at(cut.address);
    peer.make_topic(PARTITIONS);
    let (folder, mut book) = (tempdir().unwrap(), Book::new(Source::new("kafka", random.fork())));
    let data = folder.path().join("log");
    let mut server = Server::start(&data, &SETTINGS);
    let mut small = sink(&cut.address.to_string());
    small["batch"]["events"] = json!(6);
    create(&mut server.client(), "kafka", &[small]);
    for _ in 0..row.target() {
        let mut client = server.client();
        (0..6).for_each(|_| assert!(matches!(book.send(&mut client), Sent::Kept)));
        thread::sleep(Duration::from_millis(20 + random.below(300)));
        server.kill();
        server = Server::start(&data, &SETTINGS);
        row.hit();
    }
    let mut client = server.client();
    wait_until_done(&mut client, "kafka");
    let held = judge(&mut client, "kafka", &peer.records(), &[]);
    assert!(cut.cuts() >= 8, "only {} of {} requests went wrong", cut.cuts(), cut.requests());
    tell(&row, "lost answers, kill -9", cut.cuts() + row.count(), held);
    row.no_panic(&data.with_extension("log"));
    server.stop();
    row.end();
}

#[test]
fn tls_a_login_and_one_partition() {
    if let Some(why) = obstacle() {
        return skip(14, "Kafka: TLS and logins", &why);
    }
    let mut random = Random::of_test("trails_kafka", "tls_a_login");
    let mut bench = Bench::start("secure", &mut random);
    bench.send(2);
    for (word, mechanism) in [("plain", "PLAIN"), ("scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-512", "SCRAM-SHA-512")] {
        log_in(&bench, word, mechanism);
    }
    bench.stop();
}

/// A broker behind TLS and a login, before which every member is missing or wrong in turn.
fn log_in(bench: &Bench, word: &str, mechanism: &str) {
    let (address, port) = (free_address(), free_address().port());
    let place = format!("localhost:{port}");
    let _broker = Broker::start(address, &place);
    let _front = Front::start(address, port, [mechanism, "traild", "geheim"]);
    let mut client = bench.client();
    let mut definition = sink(&place);
    definition["partition"] = json!(1);
    let ca = root().join("tests/fixtures/tls/ca.pem");
    let mut change = |client: &mut Client, members: Value| {
        members.as_object().unwrap().iter().for_each(|(name, value)| definition[name] = value.clone());
        let trail = json!({"name": word, "filter": FILTER, "start": "oldest", "sinks": [definition], "start_now": true});
        match client.get(&format!("/v1/trails/{word}")).status {
            404 => send(client, "POST", "/v1/trails", &trail),
            _ => send(client, "PUT", &format!("/v1/trails/{word}"), &trail),
        };
    };
    change(&mut client, json!({}));
    wait_for_error(&mut client, word, "does it want `tls`");
    change(&mut client, json!({"tls": true}));
    assert_eq!(wait_for_error(&mut client, word, "its certificate must name it")["needs_operator"], true);
    change(
        &mut client,
        json!({"ca_file": ca, "sasl": if word == "plain" { "scram-sha-256" } else { "plain" }, "user": "traild", "password": "falsch"}),
    );
    assert_eq!(wait_for_error(&mut client, word, &format!("mend `sasl`; it knows {mechanism}"))["needs_operator"], true);
    change(&mut client, json!({"sasl": word}));
    let told = wait_for_error(&mut client, word, "or `password`");
    assert!(told["needs_operator"] == true && !told.to_string().contains("falsch"), "{told}");
    change(&mut client, json!({"password": "geheim"}));
    wait_for_error(&mut client, word, "there is no topic audit");
    let mut reader = Peer::behind(&place, [mechanism, "traild", "geheim"]);
    reader.make_topic(2);
    wait_until_done(&mut client, word);
    let records = reader.records();
    assert!(records[0].is_empty(), "all events belong into partition 1");
    let (held, whole) = judge(&mut client, word, &records, &[]);
    assert!(whole.is_ok() && held.owed > 0, "{word}: {whole:?}");
    assert_eq!(tested(&mut client, word), [None]);
    send(&mut client, "DELETE", &format!("/v1/trails/{word}"), &json!({}));
}
