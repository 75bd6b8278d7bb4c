//! The dialects over real events: every line's kind, chosen lines' dimensions, and how much is covered.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use trail_engine::event::schema::DimensionSchema;

use crate::dialect::evaluate::{event_id, event_time, kind_of, terms};
use crate::dialect::load::default_schema;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn events(file: &str) -> Vec<Value> {
    let path = fixture(&format!("corpus/{file}.ndjson"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn described(schema: &DimensionSchema, event: &Value) -> Value {
    let kind = kind_of(schema, event).unwrap();
    let mut dimensions = Map::new();
    for dimension in &schema.dimensions {
        let found = terms(kind, event, &dimension.name);
        if !found.is_empty() {
            dimensions.insert(dimension.name.clone(), json!(found));
        }
    }
    let time = event_time(kind, event).map(|t| t.to_string());
    json!({"kind": kind.name, "event_id": event_id(kind, event), "event_time": time, "dimensions": dimensions})
}

#[test]
fn every_line_is_of_its_files_kind() {
    let schema = default_schema().unwrap();
    for (file, expected) in
        [("cloudtrail", "cloudtrail"), ("actiontrail", "actiontrail"), ("k8s_audit", "kubernetes"), ("gcp_audit", "gcp")]
    {
        let events = events(file);
        assert!(events.len() > 40, "{file} has only {} lines", events.len());
        for (i, event) in events.iter().enumerate() {
            assert_eq!(kind_of(&schema, event).unwrap().name, expected, "{file} line {}", i + 1);
        }
    }
}

#[test]
fn no_event_fits_two_vendors() {
    let schema = default_schema().unwrap();
    for file in ["cloudtrail", "actiontrail", "k8s_audit", "gcp_audit"] {
        for (i, event) in events(file).iter().enumerate() {
            let mut names = Vec::new();
            for kind in schema.kinds.iter().filter(|kind| !kind.recognise.is_empty()) {
                let alone = DimensionSchema { dimensions: Vec::new(), kinds: vec![kind.clone()] };
                if kind_of(&alone, event).is_some() && !names.contains(&kind.name) {
                    names.push(kind.name.clone());
                }
            }
            // ActionTrail has CloudTrail's `eventSource`, `eventName` and `userIdentity` too; it is tried first.
            names.retain(|name| !(file == "actiontrail" && name == "cloudtrail"));
            assert_eq!(names.len(), 1, "{file} line {}: {names:?}", i + 1);
        }
    }
}

/// `TRAILD_BLESS=1` writes the file anew, for review.
#[test]
fn chosen_events_have_the_dimensions_that_were_reviewed() {
    let schema = default_schema().unwrap();
    let path = fixture("dialect/golden.ndjson");
    let golden = fs::read_to_string(&path).unwrap();
    let mut found = String::new();
    for line in golden.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let (file, number) = (expected["file"].as_str().unwrap(), expected["line"].as_u64().unwrap());
        let described = described(&schema, &events(file)[number as usize - 1]);
        let mut whole = Map::from_iter([("file".to_owned(), json!(file)), ("line".to_owned(), json!(number))]);
        whole.extend(described.as_object().unwrap().clone());
        if std::env::var_os("TRAILD_BLESS").is_none() {
            assert_eq!(Value::Object(whole.clone()), expected, "{file} line {number}");
        }
        found.push_str(&serde_json::to_string(&whole).unwrap());
        found.push('\n');
    }
    assert!(golden.lines().count() >= 48);
    if std::env::var_os("TRAILD_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
}

/// The least share of events, in percent, with at least one term of any of the dimensions.
const COVERAGE: [(&str, &[&str], usize); 22] = [
    ("cloudtrail", &["user", "user_type"], 99),
    ("cloudtrail", &["event_name"], 99),
    ("cloudtrail", &["service"], 99),
    ("cloudtrail", &["source_ip"], 95),
    ("cloudtrail", &["account_id"], 95),
    ("cloudtrail", &["region"], 100),
    ("cloudtrail", &["resource_name"], 45),
    ("cloudtrail", &["read_only"], 75),
    ("actiontrail", &["user"], 100),
    ("actiontrail", &["user_type"], 100),
    ("actiontrail", &["event_name"], 100),
    ("actiontrail", &["region"], 100),
    ("actiontrail", &["request_id"], 100),
    ("actiontrail", &["resource_name"], 65),
    ("k8s_audit", &["user"], 100),
    ("k8s_audit", &["user_type"], 100),
    ("k8s_audit", &["source_ip"], 100),
    ("k8s_audit", &["event_name"], 95),
    ("gcp_audit", &["user"], 90),
    ("gcp_audit", &["account_id"], 100),
    ("gcp_audit", &["event_name"], 95),
    ("gcp_audit", &["resource_name"], 95),
];

#[test]
fn dimensions_cover_the_corpus() {
    let schema = default_schema().unwrap();
    for (file, dimensions, least) in COVERAGE {
        let events = events(file);
        let has = |event: &&Value| dimensions.iter().any(|d| !terms(kind_of(&schema, event).unwrap(), event, d).is_empty());
        let covered = events.iter().filter(has).count();
        println!("{file}: {} of {} events have {}", covered, events.len(), dimensions.join(" or "));
        assert!(covered * 100 >= least * events.len(), "{file}: only {covered} of {} events have {dimensions:?}", events.len());
    }
}

#[test]
fn read_only_is_true_or_false() {
    let schema = default_schema().unwrap();
    for file in ["cloudtrail", "actiontrail", "k8s_audit", "gcp_audit"] {
        for (i, event) in events(file).iter().enumerate() {
            for term in terms(kind_of(&schema, event).unwrap(), event, "read_only") {
                assert!(term == "true" || term == "false", "{file} line {}: {term}", i + 1);
            }
        }
    }
}

#[test]
fn odd_events_have_a_kind_and_only_text_as_terms() {
    let schema = default_schema().unwrap();
    let path = fixture("corpus/edge.ndjson");
    let bytes = fs::read(path).unwrap();
    let mut read = 0;
    // Line 6 (lone surrogates) and line 21 (1e999) are beyond what `serde_json` reads.
    for line in bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        let kind = kind_of(&schema, &line).unwrap();
        for dimension in &schema.dimensions {
            assert!(terms(kind, &line, &dimension.name).iter().all(|term| !term.is_empty()), "{}", dimension.name);
        }
        read += 1;
    }
    assert!(read >= 57, "{read}");
}

#[test]
fn events_of_no_known_kind_are_read_by_common_names() {
    let schema = default_schema().unwrap();
    for (event, expected) in [
        (
            json!({"@timestamp": "2026-11-22T08:00:00Z", "event": {"action": "login", "id": "e1"}, "user": {"name": "ann"}, "source": {"ip": "10.0.0.1"}}),
            json!({"kind": "generic", "event_id": "e1", "event_time": "2026-11-22T08:00:00Z",
                   "dimensions": {"event_name": ["login"], "user": ["ann"], "source_ip": ["10.0.0.1"]}}),
        ),
        (
            json!({"time": 1795334400, "id": 17, "action": "drop", "user": "bob", "read_only": false, "error_code": ""}),
            json!({"kind": "generic", "event_id": "17", "event_time": "2026-11-22T08:00:00Z",
                   "dimensions": {"event_name": ["drop"], "user": ["bob"], "read_only": ["false"]}}),
        ),
        (json!({"message": "hello"}), json!({"kind": "generic", "event_id": null, "event_time": null, "dimensions": {}})),
    ] {
        let mut found = described(&schema, &event);
        // The id is compared once, as the event's id.
        found["dimensions"].as_object_mut().unwrap().remove("event_id");
        assert_eq!(found, expected);
    }
}
