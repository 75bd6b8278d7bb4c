//! Trails to log services as others wrote them: Debian's rsyslog over TCP and TLS, and the vendors' own Python classes for SLS and OTLP, which
//! decode, and for SLS sign again, what the real binary sent. What a trail owes is what the server itself answers to its filter.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::binary::root;
use trail_tests::client::Client;
use trail_tests::delivery::{Bench, Held, create, owed, status, wait_until_done};
use trail_tests::moto::free_address;
use trail_tests::python::{self, program};
use trail_tests::rsyslog::{self, Rsyslog};
use trail_tests::seed::Random;
use trail_tests::shelf::Process;
use trail_tests::table::{Row, skip, wait_for};

#[test]
fn rsyslog_has_every_event_over_tcp_and_tls() {
    const NAME: &str = "rsyslog restarted";
    if let Some(why) = rsyslog::obstacle() {
        return skip(14, NAME, &why);
    }
    let mut random = Random::of_test("trails_logs", "rsyslog");
    let row = Row::begin(14, NAME, 2);
    let mut bench = Bench::start("rsyslog", &mut random);
    for tls in [false, true] {
        let (folder, name) = (tempdir().unwrap(), if tls { "tls" } else { "tcp" });
        let mut server = Rsyslog::start(folder.path(), tls);
        bench.send(3);
        let mut client = bench.client();
        let place = format!("localhost:{}", server.address.port());
        let mut sink = json!({"type": "syslog", "address": place, "tls": tls, "hostname": "h1", "batch": {"events": 10, "seconds": 0.05}});
        if tls {
            sink["ca_file"] = root().join("tests/fixtures/tls/ca.pem").to_str().unwrap().into();
        }
        create(&mut client, name, &[sink]);
        wait_until_done(&mut client, name);
        // What was written is read, before it stops.
        let so_far = owed(&mut client).len();
        wait_for("what was sent", || server.lines().len() >= so_far);
        server.stop();
        bench.send(2);
        wait_for("a failed attempt", || {
            status(&mut client, name)[0]["last_error"].as_str().is_some_and(|error| error.contains("cannot connect"))
        });
        server.start_again();
        wait_until_done(&mut client, name);
        row.hit();
        let owed = owed(&mut client);
        wait_for("the last line", || server.lines().len() >= owed.len());
        let held = Held::of(&owed, &messages(name, &server.lines()));
        println!(
            "14 | rsyslog {name}: restarted | 1 injected | {} events | {} lost | {} duplicated",
            held.owed, held.lost, held.duplicated
        );
        row.judge(held.at_least_once(), name);
    }
    bench.stop();
    row.end();
}

/// The events of the lines that rsyslog wrote, whose parts must be those of the trail.
fn messages(trail: &str, lines: &[String]) -> Vec<Vec<u8>> {
    let start = format!("h1 traild 110 [traild@32473 trail=\"{trail}\" sequence=\"");
    let message = |line: &String| {
        let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line}"));
        rest.split_once("\"]").unwrap().1.trim_start().as_bytes().to_vec()
    };
    lines.iter().map(message).collect()
}

/// What came, as the vendors' classes read it: trail, sequence, nanoseconds, event.
fn taken(collector: &mut Client, trail: &str) -> Vec<(u64, u64, Vec<u8>)> {
    let taken = collector.json("/taken");
    let of_trail = taken.as_array().unwrap().iter().filter(|record| record[0] == trail);
    let one = |record: &Value| (record[1].as_u64().unwrap(), record[2].as_u64().unwrap(), record[3].as_str().unwrap().as_bytes().to_vec());
    of_trail.map(one).collect()
}

#[test]
fn the_vendors_own_classes_read_what_is_sent() {
    let mut python = program("python3");
    let there = python.as_mut().is_some_and(|python| {
        let imports = "import aliyun.log.log_logs_pb2, lz4.block, opentelemetry.proto.logs.v1.logs_pb2";
        python.args(["-c", imports]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    if !there {
        return python::skip("aliyun-log-python-sdk or opentelemetry-proto");
    }
    let address = free_address();
    let mut command = program("python3").unwrap();
    command.arg(root().join("tests/peers/collector.py")).arg(address.port().to_string());
    let _collector = Process::start("the collector", &mut command, address);
    let mut random = Random::of_test("trails_logs", "the_vendors");
    let mut bench = Bench::start("vendors", &mut random);
    bench.send(6);
    let mut client = bench.client();
    let place = format!("http://{address}");
    let sls = |signature: &str| {
        json!({
            "type": "sls", "endpoint": place, "project": "audit-project", "logstore": "audit-store", "region": "cn-hangzhou", "access_key_id": "AKID",
            "access_key_secret": "the secret of the tests", "signature": signature, "compression": "lz4", "batch": {"events": 10, "seconds": 0.05},
        })
    };
    let otlp = json!({"type": "otlp", "url": place, "batch": {"events": 10, "seconds": 0.05}});
    let mut collector = Client::new(address);
    for (name, sink) in [("sls-v1", sls("v1")), ("sls-v4", sls("v4")), ("otlp", otlp)] {
        create(&mut client, name, &[sink]);
        wait_until_done(&mut client, name);
        assert_eq!(status(&mut client, name)[0]["dead_letters"], 0, "{name}: {:?}", status(&mut client, name));
        let taken = taken(&mut collector, name);
        let owed = owed(&mut client);
        let held = Held::of(&owed, &taken.iter().map(|(_, _, event)| event.clone()).collect::<Vec<_>>());
        println!("{name}: {} events read by the vendor's classes", held.owed);
        assert_eq!(held.exactly_once(), Ok(()), "{name}");
        assert!(taken.is_sorted_by_key(|(sequence, ..)| *sequence), "{name}");
        let times: BTreeMap<u64, u64> = taken.iter().map(|(sequence, nanos, _)| (*sequence, *nanos)).collect();
        assert!(times.len() == owed.len() && times.values().all(|nanos| *nanos > 1_500_000_000_000_000_000), "{name}: {times:?}");
    }
    bench.stop();
}
