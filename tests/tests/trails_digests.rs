//! Signed digests: the vendor's own verifier, from its command line, accepts an intact chain, signed by one key or by two, and finds what was altered or deleted.

use std::io::{Read as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trail_tests::binary::{run, traild};
use trail_tests::client::{JSON, NDJSON};
use trail_tests::moto::Moto;
use trail_tests::python::{program, skip};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

const BUCKET: &str = "audit";
const ROUNDS: usize = 4;

fn trail(moto: &Moto, bucket: &str) -> String {
    let sink = json!({
        "type": "s3", "bucket": bucket, "prefix": "pre/fix", "endpoint": moto.url(), "region": "us-east-1", "access_key_id": "ak",
        "secret_access_key": "sk", "format": "cloudtrail", "account": "123456789012", "digests": true, "digest_seconds": 1,
        "batch": {"events": 10, "seconds": 0.1},
    });
    json!({"name": "t", "start": "oldest", "sinks": [sink], "start_now": true}).to_string()
}

/// What the verifier says, and whether it found all well.
fn validate(moto: &Moto, server: &Server) -> (bool, String) {
    let mut aws = program("aws").unwrap();
    aws.args(["cloudtrail", "validate-logs", "--trail-arn", "arn:aws:cloudtrail:us-east-1:123456789012:trail/t"]);
    aws.args(["--start-time", "2020-01-01T00:00:00Z", "--region", "us-east-1", "--verbose", "--endpoint-url", &server.url()]);
    let settings = [("AWS_ACCESS_KEY_ID", "ak"), ("AWS_SECRET_ACCESS_KEY", "sk"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let output = aws.envs(settings).env("AWS_ENDPOINT_URL_S3", moto.url()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// All four, of which one may be listed twice: the digest that ends around a stop or a restart is made again when nobody knows that it arrived.
fn all_logs_are_valid(said: &str) -> bool {
    (4..=5).any(|count| said.contains(&format!("{count}/{count} log files valid")))
}

/// A digest as it lies there.
fn digest(moto: &Moto, name: &str) -> Value {
    let mut text = String::new();
    GzDecoder::new(&moto.object(BUCKET, name).body[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The first log that the digests of a key list.
fn log_under<'d>(digests: &'d [Value], fingerprint: &str) -> &'d str {
    let of_key = digests.iter().filter(|digest| digest["digestPublicKeyFingerprint"] == fingerprint);
    let mut logs = of_key.flat_map(|digest| digest["logFiles"].as_array().unwrap());
    logs.next().expect("a log under each key")["s3Object"].as_str().unwrap()
}

/// Signs with another key from now on, by the command; the fingerprints of the one before and the new one.
fn rotate(server: &Server) -> [String; 2] {
    let (code, said, errors) = run(traild().args(["trail", "rotate-key", "--json", "--url", &server.url()]));
    assert_eq!(code, 0, "{said}{errors}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let [old, new] = &said["keys"].as_array().unwrap()[..] else { panic!("{said}") };
    assert!(old["retired_at"].is_string() && new["retired_at"].is_null(), "{said}");
    assert!(
        old["valid_from"].as_str() < old["valid_until"].as_str() && old["valid_until"].as_str() < new["valid_until"].as_str(),
        "{said}"
    );
    [old, new].map(|key| key["fingerprint"].as_str().unwrap().to_owned())
}

/// What the server tells the verifier of its keys: fingerprints, and from and until when they count.
fn public_keys(server: &Server) -> Vec<(String, u64, u64)> {
    let headers = [("x-amz-target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys")];
    let told = server.client().send("POST", "/", &headers, b"{}").unwrap().json();
    let time = |key: &Value, name: &str| key[name].as_u64().unwrap();
    let one = |key: &Value| (key["Fingerprint"].as_str().unwrap().to_owned(), time(key, "ValidityStartTime"), time(key, "ValidityEndTime"));
    told["PublicKeyList"].as_array().unwrap().iter().map(one).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn send(server: &Server, round: usize) {
    let event = |i: usize| json!({"eventID": format!("{round}-{i}"), "eventTime": "2026-11-20T10:00:00Z", "eventName": "Put"}).to_string();
    let lines: Vec<String> = (0..10).map(event).collect();
    assert_eq!(server.client().post(NDJSON, lines.join("\n").as_bytes()).status, 200);
}

fn named(moto: &Moto, part: &str) -> Vec<String> {
    named_in(moto, BUCKET, part)
}

fn named_in(moto: &Moto, bucket: &str, part: &str) -> Vec<String> {
    moto.names(bucket).into_iter().filter(|name| name.contains(part)).collect()
}

#[test]
fn the_vendors_verifier_accepts_a_chain_of_two_keys_and_finds_what_is_wrong() {
    let Some(moto) = Moto::start() else { return };
    if program("aws").is_none() {
        return skip("aws");
    }
    moto.make_bucket(BUCKET);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    let answer = server.client().send("POST", "/v1/trails", &[("content-type", JSON)], trail(&moto, BUCKET).as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mut keys = None;
    for round in 0..ROUNDS {
        send(&server, round);
        wait_for("a log", || named(&moto, "/CloudTrail/").len() > round);
        if round == 2 {
            wait_for("a digest of the first key", || !named(&moto, "/CloudTrail-Digest/").is_empty());
            keys = Some(rotate(&server));
        }
        // The chain and the keys go on over a restart.
        if round == 1 {
            server.stop();
            server = Server::start(&data, &[]);
        }
        sleep(Duration::from_millis(1_200));
    }
    // The last file is in the digest of the next round, or of the next upkeep.
    let last = named(&moto, "/CloudTrail/").pop().unwrap();
    let lists = |name: &String| digest(&moto, name).to_string().contains(&last);
    wait_for("the last digest", || named(&moto, "/CloudTrail-Digest/").iter().any(lists));
    let answer = server.client().send("POST", "/v1/trails/t/stop", &[], b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());

    let digests = named(&moto, "/CloudTrail-Digest/");
    let logs = named(&moto, "/CloudTrail/");
    assert!(logs.len() == ROUNDS && digests.len() >= ROUNDS, "{logs:?} {digests:?}");
    let all_well = format!("{0}/{0} digest files valid", digests.len());
    let (good, said) = validate(&moto, &server);
    assert!(good && said.contains(&all_well) && all_logs_are_valid(&said), "{said}");

    // In the order of their names, which is that of time: those of the first key, then those of the second.
    let read: Vec<Value> = digests.iter().map(|name| digest(&moto, name)).collect();
    let keys = keys.unwrap();
    let mut signed: Vec<&str> = read.iter().map(|digest| digest["digestPublicKeyFingerprint"].as_str().unwrap()).collect();
    signed.dedup();
    assert_eq!(signed, keys.each_ref());
    let told = public_keys(&server);
    assert_eq!(told.iter().map(|(fingerprint, ..)| fingerprint).collect::<Vec<_>>(), keys.each_ref());
    assert!(told.iter().all(|(_, from, until)| from < until) && told[0].2 < told[1].2, "{told:?}");
    for log in keys.each_ref().map(|key| log_under(&read, key)) {
        let original = moto.object(BUCKET, log).body;
        moto.put(BUCKET, log, &packed("{\"Records\":[]}"));
        let (good, said) = validate(&moto, &server);
        assert!(!good && said.contains(log) && said.contains(" log files INVALID") && said.contains("hash value doesn't match"), "{said}");
        moto.put(BUCKET, log, &original);
    }

    let original = moto.object(BUCKET, &logs[1]).body;
    moto.remove(BUCKET, &logs[1]);
    let (good, said) = validate(&moto, &server);
    assert!(!good && said.contains(" log files INVALID") && said.contains("not found"), "{said}");

    moto.put(BUCKET, &logs[1], &original);
    assert!(validate(&moto, &server).0);
    // One that another names as the one before: what ended just before the restart may have been made anew.
    let deleted = &digests[digests.len() - 2];
    moto.remove(BUCKET, deleted);
    let (good, said) = validate(&moto, &server);
    assert!(!good && said.contains(deleted) && said.contains("INVALID: not found"), "{said}");
    server.stop();
}

#[test]
fn the_chain_goes_on_in_another_bucket() {
    let Some(moto) = Moto::start() else { return };
    if program("aws").is_none() {
        return skip("aws");
    }
    moto.make_bucket(BUCKET);
    moto.make_bucket("moved");
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail(&moto, BUCKET).as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    send(&server, 0);
    wait_for("a log", || named(&moto, "/CloudTrail/").len() == 1);
    sleep(Duration::from_millis(1_200));
    send(&server, 1);
    wait_for("a digest", || named(&moto, "/CloudTrail/").len() == 2 && !named(&moto, "/CloudTrail-Digest/").is_empty());
    // What is not kept yet would be delivered again, to the other bucket. The second log is in no digest yet.
    wait_for("both logs to be kept", || client.json("/v1/trails/t/status")["sinks"][0]["lag_events"] == 0);
    let answer = client.send("PUT", "/v1/trails/t", &[("content-type", JSON)], trail(&moto, "moved").as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let old = named(&moto, "/CloudTrail-Digest/").len();
    for round in 2..4 {
        send(&server, round);
        wait_for("a log", || named_in(&moto, "moved", "/CloudTrail/").len() == round - 1);
        sleep(Duration::from_millis(1_200));
    }
    // One more, so that the last log is in a digest.
    send(&server, 4);
    wait_for("a log", || named_in(&moto, "moved", "/CloudTrail/").len() == 3);
    assert_eq!(client.send("POST", "/v1/trails/t/stop", &[], b"").unwrap().status, 200);
    assert_eq!(named(&moto, "/CloudTrail-Digest/").len(), old);
    let digests = old + named_in(&moto, "moved", "/CloudTrail-Digest/").len();
    let (good, said) = validate(&moto, &server);
    assert!(good && said.contains(&format!("{digests}/{digests} digest files valid")) && all_logs_are_valid(&said), "{said}");
    server.stop();
}
