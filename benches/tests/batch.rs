//! What events are that were made new in place, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::HashSet;

use serde_json::Value;
use trail_corpus::{Batch, Corpus, Generator, Parameters, read_end};

const END: i64 = 1_795_305_600;
const BEFORE: &[u8] = b"{\"create\":{}}\n";

/// The events of a batch; what stands before each is checked.
fn events(batch: &Batch, count: usize) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(batch.text(count)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.chunks(2).all(|pair| pair[0].as_bytes() == BEFORE.trim_ascii()));
    lines.chunks(2).map(|pair| (pair[1].to_owned(), serde_json::from_str(pair[1]).unwrap())).collect()
}

fn time_of(event: &Value) -> i64 {
    read_end(event["eventTime"].as_str().unwrap()).unwrap()
}

#[test]
fn events_are_new_every_time_and_keep_their_shape() {
    let corpus = Corpus::real().unwrap();
    let parameters = Parameters { events: 500, seed: 3, ..Parameters::default() };
    let mut generator = Generator::new(&corpus, &parameters).unwrap();
    let mut renewer = generator.renewer(1);
    let mut batch = Batch::make(&mut generator, 500, BEFORE);
    assert_eq!(batch.events(), 500);
    let old = events(&batch, 500);
    let length = batch.text(500).len();
    let mut ids: HashSet<String> = old.iter().map(|(_, event)| event["eventID"].as_str().unwrap().to_owned()).collect();
    for round in 1..=20 {
        let from = END - 1_000 * (21 - round);
        batch.renew(&mut renewer, from, from + 1_000);
        assert_eq!(batch.text(500).len(), length);
        for ((number, (line, event)), (old_line, old_event)) in events(&batch, 500).iter().enumerate().zip(&old) {
            assert_eq!((line.len(), &event["userIdentity"]["arn"]), (old_line.len(), &old_event["userIdentity"]["arn"]));
            assert_eq!(event["eventName"], old_event["eventName"]);
            assert_ne!(line, old_line);
            assert!(ids.insert(event["eventID"].as_str().unwrap().to_owned()), "round {round}, event {number}");
            let late = from + 2 * number as i64 - time_of(event);
            assert!((0..300).contains(&late), "round {round}, event {number}: {late} s late");
        }
    }
}

/// A value that stands in an event twice is the same in both places, as it was before.
#[test]
fn what_was_equal_in_an_event_stays_equal() {
    let line = br#"{"eventID":"2b5d4b1e-1111-4222-8333-444455556666","eventTime":"2026-11-22T08:00:00Z","userIdentity":{"type":"IAMUser","userName":"pedro"},
        "requestParameters":{"bucketName":"logs-prod","keyId":"9b5d4b1e-1111-4222-8333-444455556666"},
        "resources":[{"ARN":"arn:aws:s3:::logs-prod"},{"ARN":"arn:aws:kms:x:1:key/9b5d4b1e-1111-4222-8333-444455556666"}]}"#;
    let line: Vec<u8> = line.split(|b| *b == b'\n').collect::<Vec<_>>().concat();
    let corpus = Corpus::from_ndjson(&line).unwrap();
    let mut generator = Generator::new(&corpus, &Parameters { events: 3, ..Parameters::default() }).unwrap();
    let mut renewer = generator.renewer(9);
    let mut batch = Batch::make(&mut generator, 10, BEFORE);
    assert_eq!(batch.events(), 3, "the generator has no more");
    let mut buckets = HashSet::new();
    for _ in 0..20 {
        batch.renew(&mut renewer, END, END + 1);
        for (_, event) in events(&batch, 3) {
            let bucket = event["requestParameters"]["bucketName"].as_str().unwrap().to_owned();
            let key = event["requestParameters"]["keyId"].as_str().unwrap();
            assert_eq!(event["resources"][0]["ARN"], format!("arn:aws:s3:::{bucket}"));
            assert_eq!(event["resources"][1]["ARN"], format!("arn:aws:kms:x:1:key/{key}"));
            assert!(bucket.starts_with("logs-prod-"), "{bucket}");
            buckets.insert(bucket);
        }
    }
    assert!(buckets.len() > 20, "{buckets:?}");
}

#[test]
fn a_part_is_the_first_events_and_streams_differ() {
    let corpus = Corpus::small().unwrap();
    let mut generator = Generator::new(&corpus, &Parameters { events: 20, ..Parameters::default() }).unwrap();
    let (mut one, mut other) = (generator.renewer(1), generator.renewer(2));
    let mut batch = Batch::make(&mut generator, 20, BEFORE);
    let mut twin = batch.clone();
    assert!(batch.text(0).is_empty() && batch.memory() >= batch.text(20).len());
    assert_eq!(batch.text(21), batch.text(20));
    assert_eq!(events(&batch, 7), events(&batch, 20)[..7]);
    batch.renew(&mut one.clone(), END, END);
    twin.renew(&mut one, END, END);
    assert_eq!(batch.text(20), twin.text(20));
    twin.renew(&mut other, END, END);
    assert_ne!(batch.text(20), twin.text(20));
}
