//! [`Facts`]: what queries ask of a CloudTrail event, read with a plain JSON parser.
//!
//! Problem: an answer can only be checked against something that did not come from the code under test. So these few properties are
//! read here a second time, slowly, straight from the parsed event. Limits: as far as generated events need it, and no further.

use serde_json::Value;

use crate::text::read_seconds;

/// The properties of an event that benches ask for. Empty text: the event has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `eventTime`, in seconds since 1970-01-01T00:00:00Z.
    pub time: Option<i64>,
    /// `eventID`.
    pub id: String,
    /// `eventName`.
    pub event_name: String,
    /// `eventSource`.
    pub service: String,
    /// `awsRegion`.
    pub region: String,
    /// The name of who acted.
    pub user: String,
    /// `readOnly`, in small letters.
    pub read_only: String,
    /// `requestParameters.bucketName`.
    pub bucket: String,
}

impl Facts {
    /// Reads an event; `None` when it is no JSON object.
    #[must_use]
    pub fn read(event: &[u8]) -> Option<Facts> {
        Facts::of(&serde_json::from_slice(event).ok()?)
    }

    /// The same of an event that is parsed already.
    #[must_use]
    pub fn of(value: &Value) -> Option<Facts> {
        value.as_object()?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let insight =
            |key: &str| Some(text(&format!("/{key}"))).filter(|t| !t.is_empty()).unwrap_or_else(|| text(&format!("/insightDetails/{key}")));
        let time = text("/eventTime");
        Some(Facts {
            time: read_seconds(&time).filter(|_| time.len() == 20 && time.ends_with('Z')),
            id: text("/eventID"),
            event_name: insight("eventName"),
            service: insight("eventSource"),
            region: text("/awsRegion"),
            user: user(value),
            read_only: value.get("readOnly").map(read_only).unwrap_or_default(),
            bucket: text("/requestParameters/bucketName"),
        })
    }
}

fn read_only(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => String::new(),
    }
}

/// The user's name, else what a session is called.
fn user(event: &Value) -> String {
    let identity = |key: &str| event.get("userIdentity").and_then(|i| i.get(key)).and_then(Value::as_str).filter(|t| !t.is_empty());
    let after =
        |key: &str, mark: char| identity(key).and_then(|text| text.rsplit_once(mark)).map(|(_, rest)| rest).filter(|t| !t.is_empty());
    let name = identity("userName").or_else(|| after("principalId", ':')).or_else(|| after("arn", '/')).or_else(|| after("arn", ':'));
    name.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_event() {
        let event = br#"{"eventTime":"2026-11-22T08:00:00Z","eventID":"e1","eventName":"PutObject","eventSource":"s3.amazonaws.com","awsRegion":"us-east-1",
            "userIdentity":{"principalId":"AIDA:role/ann.li"},"readOnly":"False","requestParameters":{"bucketName":"logs"}}"#;
        let facts = Facts::read(event).unwrap();
        assert_eq!((facts.time, facts.id.as_str(), facts.event_name.as_str()), (Some(1_795_334_400), "e1", "PutObject"));
        assert_eq!((facts.user.as_str(), facts.read_only.as_str(), facts.bucket.as_str()), ("role/ann.li", "false", "logs"));
        assert_eq!((facts.service.as_str(), facts.region.as_str()), ("s3.amazonaws.com", "us-east-1"));
        assert!(Facts::read(b"[]").is_none() && Facts::read(b"{").is_none());
    }

    #[test]
    fn the_name_comes_before_the_session() {
        let facts =
            Facts::read(br#"{"userIdentity":{"userName":"bob","principalId":"A:s"},"insightDetails":{"eventName":"RunInstances"}}"#)
                .unwrap();
        assert_eq!((facts.user.as_str(), facts.event_name.as_str(), facts.time), ("bob", "RunInstances", None));
        assert_eq!(Facts::read(br#"{"userIdentity":{"arn":"arn:aws:iam::1:root"}}"#).unwrap().user, "root");
    }
}
