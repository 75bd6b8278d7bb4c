//! Columns by schema and by path.

use serde_json::json;
use trail_engine::event::{Dimension, DimensionKind, Mapping};

use super::*;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn source(at: &str, take: Take) -> Source {
    Source { path: path(at), take, replace: Vec::new() }
}

fn mapping(dimension: &str, pick: Pick, sources: Vec<Source>) -> Mapping {
    Mapping { dimension: dimension.into(), pick, sources }
}

fn schema() -> DimensionSchema {
    let dimension = |name: &str| Dimension { name: name.into(), kind: DimensionKind::Keyword };
    let read_only =
        Source { replace: vec![("Read".into(), "true".into()), ("*".into(), "false".into())], ..Source::value(path("eventRW")) };
    let first = EventKind {
        name: "first".into(),
        recognise: vec![path("eventRW")],
        event_id: vec![],
        event_time: vec![path("missing"), path("eventTime")],
        mappings: vec![
            mapping("user", Pick::First, vec![Source::value(path("identity.name")), Source::value(path("identity.arn"))]),
            mapping("resource", Pick::All, vec![source("refs", Take::Keys), source("names", Take::Split(vec![';', ',']))]),
            mapping("read_only", Pick::First, vec![read_only]),
            mapping("kind", Pick::All, vec![source("arn", Take::AfterLast('/')), source("extra", Take::Constant("extra".into()))]),
        ],
    };
    let second = EventKind {
        name: "rest".into(),
        recognise: vec![],
        mappings: vec![mapping("user", Pick::First, vec![Source::value(path("who"))])],
        ..first.clone()
    };
    DimensionSchema { dimensions: ["user", "resource", "read_only", "kind"].map(dimension).to_vec(), kinds: vec![first, second] }
}

fn cells(names: &[&str], event: &Value) -> Vec<String> {
    let row = Row { sequence: 7, received_at: "2026-11-22T08:00:00Z", event_time: "", event };
    Fields::parse(names, schema()).unwrap().cells(row)
}

#[test]
fn dimensions_follow_the_kind_of_the_event() {
    let event = json!({"eventRW": "Read", "identity": {"name": "", "arn": "a/b"}, "refs": {"ACS::ECS": ["i-1"]}, "names": " x ;y,,x", "arn": "r/s/t", "extra": null});
    assert_eq!(cells(&["user", "resource", "read_only", "kind"], &event), ["a/b", "ACS::ECS, x, y", "true", "t"]);
    let event = json!({"eventRW": "Write", "extra": 1, "arn": "none"});
    assert_eq!(cells(&["user", "read_only", "kind"], &event), ["", "false", "extra"]);
    assert_eq!(cells(&["user", "read_only"], &json!({"who": 42})), ["42", ""]);
    assert_eq!(cells(&["user"], &Value::Null), [""]);
}

#[test]
fn times_come_from_the_event_or_the_envelope() {
    let event = json!({"eventRW": "Read", "eventTime": 1_700_000_000});
    assert_eq!(cells(&["event_time", "received_at", "sequence"], &event), ["2023-11-14T22:13:20Z", "2026-11-22T08:00:00Z", "7"]);
    assert_eq!(cells(&["event_time"], &json!({})), ["2026-11-22T08:00:00Z"]);
    let row = Row { sequence: 1, received_at: "r", event_time: "told", event: &event };
    assert_eq!(Fields::parse(&["event_time"], schema()).unwrap().cells(row), ["told"]);
}

#[test]
fn paths_walk_through_arrays_and_quoted_keys() {
    let event = json!({"items": [{"id": 1}, [{"id": "b"}]], "a.b": {"c": {"d": true}}, "m": {"x": 1, "y": 2}});
    assert_eq!(cells(&["items.id", "\"a.b\".c", "m.*", "items.none"], &event), ["1, b", "{\"d\":true}", "1, 2", ""]);
    assert_eq!(Fields::parse(&["a..b"], schema()).unwrap_err().exit, crate::cli::exit::Exit::Usage);
}

#[test]
fn objects_keep_values_as_they_are() {
    let event = json!({"who": "u", "n": 1.5, "l": [1, 2]});
    let row = Row { sequence: 7, received_at: "r", event_time: "", event: &event };
    let object = Fields::parse(&["user", "n", "l", "none"], schema()).unwrap().object(row);
    assert_eq!(object.to_string(), r#"{"user":"u","n":1.5,"l":[1,2],"none":null}"#);
}

#[test]
fn the_default_columns_can_be_read() {
    let fields = Fields::parse(&DEFAULT, crate::dialect::default_schema().unwrap()).unwrap();
    let unmapped: Vec<&String> = fields.fields.iter().filter(|(_, field)| matches!(field, Field::Path(_))).map(|(name, _)| name).collect();
    assert!(unmapped.is_empty(), "no dimensions: {unmapped:?}");
}

#[test]
fn a_mistyped_dimension_is_no_column() {
    for (name, meant) in [("usr", "`user`"), ("eventTime", "`event_time`"), ("recieved_at", "`received_at`"), ("Read_Only", "`read_only`")]
    {
        let failure = Fields::parse(&[name], schema()).unwrap_err();
        assert_eq!(failure.exit, crate::cli::exit::Exit::Usage);
        assert!(failure.message.contains(&format!("unknown field `{name}`; did you mean {meant}?")), "{}", failure.message);
    }
    assert!(Fields::parse(&["user", ""], schema()).is_err());
    assert_eq!(cells(&["\"usr\"", "awsRegion", "user.name"], &json!({"usr": "u", "awsRegion": "r"})), ["u", "r", ""]);
}
