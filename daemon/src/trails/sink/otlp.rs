//! `otlp`: log records for an OpenTelemetry collector, or whatever takes OTLP over HTTP (protobuf, gzip).
//!
//! The body of a record is the event as it is; its times are that of the event and that of receipt; `event.id`, `traild.sequence` and
//! `traild.trail` are attributes. A collector may take a part of a request and say only how many records it did not take, not which, and the
//! protocol forbids sending the request again: then all of the batch goes to the dead letters with what the collector said, so that nothing is
//! missing in both places; some will be in both. Limits: no way to tell a repeat: an answer that was lost means the same records twice. After 500 the
//! batch is sent again, although the protocol would have it dropped: a record twice is better than none.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::Method;
use hyper::http::header::HeaderMap;
use trail_engine::index::StoredEvent;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::event_id::event_id;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::caller::{Answer, Call, Caller, put};
use crate::trails::sink::http::members::{CA_FILE, HEADERS, TIMEOUT, caller};
use crate::trails::sink::http::verdict::{clip, judge};
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::object::ndjson::gzip;
use crate::trails::sink::protobuf::{Message, Value, fields};
use crate::trails::sink::seam::{Delivered, Refusal, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "otlp",
    doc: "log records of OpenTelemetry, over HTTP",
    members: &[
        Member::new("url", Form::Text, "the collector, such as http://collector:4318; `/v1/logs` is added where there is no path")
            .required(),
        Member::new("service_name", Form::Text, "`service.name` of the resource; default `traild`"),
        Member::new("compression", Form::Choice(&["gzip", "none"]), "of requests; default `gzip`"),
        HEADERS,
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: 2_000, bytes: 2 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

/// Where logs are posted when the URL does not say.
const PATH: &str = "/v1/logs";
/// `SEVERITY_NUMBER_INFO`.
const INFO: u64 = 9;

#[derive(Debug)]
struct Otlp {
    caller: Caller,
    path: String,
    service: String,
    packed: bool,
    hands: Hands,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let caller = caller(members, None)?;
    let address = caller.address();
    let query = address.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", if address.path.is_empty() { PATH } else { &address.path });
    let service = members.text("service_name").unwrap_or("traild").to_owned();
    let packed = members.text("compression") != Some("none");
    Ok(Box::new(Otlp { caller, path, service, packed, hands: order.hands.clone() }))
}

/// A `KeyValue` with a text.
fn text(key: &str, value: &str) -> Message {
    let mut any = Message::default();
    any.bytes(1, value.as_bytes());
    attribute(key, &any)
}

fn attribute(key: &str, any: &Message) -> Message {
    let mut pair = Message::default();
    pair.bytes(1, key.as_bytes());
    pair.message(2, any);
    pair
}

fn record(trail: &str, event: &StoredEvent) -> Message {
    let nanos = |time: trail_engine::id::Timestamp| u64::try_from(time.0).unwrap_or(0);
    let mut record = Message::with_capacity(event.text.len() + 160);
    record.fixed64(1, nanos(event.event_time));
    record.varint(2, INFO);
    let mut body = Message::with_capacity(event.text.len() + 8);
    body.bytes(1, String::from_utf8_lossy(&event.text).as_bytes());
    record.message(5, &body);
    if let Some(id) = event_id(&event.text) {
        record.message(6, &text("event.id", &id));
    }
    let mut sequence = Message::default();
    sequence.varint(3, event.sequence.0);
    record.message(6, &attribute("traild.sequence", &sequence));
    record.message(6, &text("traild.trail", trail));
    record.fixed64(11, nanos(event.received_at));
    record
}

/// An `ExportLogsServiceRequest`.
fn request(service: &str, batch: &Batch) -> Vec<u8> {
    let mut name = Message::default();
    name.bytes(1, b"traild");
    let mut scope = Message::with_capacity(usize::try_from(batch.bytes).unwrap_or(0) + 160 * batch.events.len());
    scope.message(1, &name);
    for event in &batch.events {
        scope.message(2, &record(&batch.trail, event));
    }
    let mut resource = Message::default();
    resource.message(1, &text("service.name", service));
    let mut logs = Message::with_capacity(scope.len() + 64);
    logs.message(1, &resource);
    logs.message(2, &scope);
    let mut request = Message::with_capacity(logs.len() + 8);
    request.message(1, &logs);
    request.into_bytes()
}

/// What an `ExportLogsServiceResponse` says of records that were not taken: how many, and why.
fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial = fields(answer)?.into_iter().find_map(|field| match field {
        (1, Value::Bytes(partial)) => fields(partial),
        _ => None,
    })?;
    let count = partial.iter().find_map(|field| if let (1, Value::Number(count)) = field { Some(*count) } else { None });
    Some((count.filter(|count| *count > 0)?, told(&partial)))
}

/// The text in the second field: `error_message` of a partial success, `message` of a `Status`.
fn told(fields: &[(u64, Value<'_>)]) -> String {
    let text = fields.iter().find_map(|field| if let (2, Value::Bytes(text)) = field { Some(*text) } else { None });
    clip(&String::from_utf8_lossy(text.unwrap_or_default()))
}

/// Whether an answer is HTML, which whatever takes log records never says.
fn is_page(answer: &Answer) -> bool {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || answer.body.trim_ascii_start().starts_with(b"<")
}

impl Otlp {
    /// Sends what a batch holds; why all of it goes to the dead letters, when it does.
    async fn export(&self, batch: &Batch) -> Result<(u64, Option<String>), Fault> {
        let (copy, service, packed) = (batch.clone(), self.service.clone(), self.packed);
        let written = self.hands.compute.run(move || {
            let raw = request(&service, &copy);
            Ok(if packed { gzip(&raw) } else { Ok(raw) })
        });
        let unwritten = |e: &dyn std::fmt::Display| Fault::later(format!("a batch cannot be written now: {e}"));
        let body = written.await.map_err(|e| unwritten(&e))?.map_err(|e| unwritten(&e))?;
        let mut headers = HeaderMap::new();
        let mut add = |name, value| put(&mut headers, name, value, false).map_err(Fault::setup);
        add("content-type", "application/x-protobuf")?;
        if self.packed {
            add("content-encoding", "gzip")?;
        }
        let bytes = body.len() as u64;
        let call = Call { method: Method::POST, path: self.path.clone(), headers, body: Bytes::from(body) };
        let answer = self.caller.call(&call).await?;
        let is_message = answer.headers.get("content-type").is_some_and(|kind| kind == "application/x-protobuf");
        let status = fields(&answer.body).filter(|_| is_message && !answer.status.is_success()).map(|status| told(&status));
        judge(self.caller.address(), &answer, status.as_deref())?;
        if is_page(&answer) {
            return Err(Fault::setup(format!(
                "{} answers with a page for people, not as a collector does: mend `url`",
                self.caller.address()
            )));
        }
        let reason = rejected(&answer.body).map(|(count, told)| {
            format!("{} did not take {count} of {} records and does not say which: {told}", self.caller.address(), batch.events.len())
        });
        Ok((bytes, reason))
    }
}

impl Sink for Otlp {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let (bytes, reason) = self.export(batch).await?;
            let refusal = |reason: String| (0..batch.events.len()).map(move |index| Refusal { index, reason: reason.clone() });
            Ok(Delivered { objects: 1, bytes, refused: reason.into_iter().flat_map(refusal).collect(), state: None })
        })
    }

    /// Sends a request without records, which the protocol allows.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async move {
            let nothing = Batch {
                trail: "probe".into(),
                number: 0,
                first: trail_engine::id::Sequence(0),
                last: trail_engine::id::Sequence(0),
                day: trail_engine::id::Day(0),
                events: Vec::new(),
                bytes: 0,
            };
            match self.export(&nothing).await? {
                (_, None) => Ok(()),
                (_, Some(reason)) => Err(Fault::setup(reason)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trail_engine::id::{Day, Sequence, Timestamp};

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_schema() {
        let text = br#"{"eventID":"e-1","a":1}"#.to_vec();
        let (received_at, event_time) = (Timestamp(1_795_334_400_000_000_000), Timestamp(1_795_330_800_000_000_005));
        let event = Arc::new(StoredEvent { sequence: Sequence(300), received_at, event_time, time_is_received: false, text });
        let batch =
            Batch { trail: "all".into(), number: 1, first: Sequence(1), last: Sequence(9), day: Day(0), events: vec![event], bytes: 1 };
        let raw: String = request("svc", &batch).iter().map(|byte| format!("{byte:02x}")).collect();
        // The same request, written with the classes of opentelemetry-proto 1.45 (Python), as hexadecimal numbers.
        assert_eq!(
            raw,
            "0a98010a170a150a0c736572766963652e6e616d6512050a03737663127d0a080a06747261696c64127109056051bcd94bea1810092a190a177b226576656e744944223a22652d31222c2261223a317d32110a086576656e742e696412050a03652d3132160a0f747261696c642e73657175656e6365120318ac0232150a0c747261696c642e747261696c12050a03616c6c5900000aed1f4fea18"
        );
    }

    #[test]
    fn a_page_for_people_is_told_from_an_answer() {
        let answer = |kind: &str, body: &'static [u8]| {
            let mut headers = HeaderMap::new();
            put(&mut headers, "content-type", kind, false).unwrap();
            is_page(&Answer { status: hyper::StatusCode::OK, headers, body: Bytes::from_static(body), cut: false })
        };
        assert!(answer("text/html; charset=utf-8", b"") && answer("x/y", b"\n <!doctype html>"));
        assert!(!answer("application/x-protobuf", b"") && !answer("application/json", b"{}") && !answer("x/y", b"\x0a\x00"));
    }

    #[test]
    fn ids_are_found_where_they_usually_are() {
        for (text, id) in [
            (r#"{"eventID":"a"}"#, Some("a")),
            (r#"{"x":{"id":"no"},"auditID":"b\n"}"#, Some("b\n")),
            (r#"{"id":"c","insertId":"d"}"#, Some("d")),
            (r#"{"id":7}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(event_id(text.as_bytes()).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn a_part_that_was_not_taken_is_read() {
        let (mut partial, mut answer) = (Message::default(), Message::default());
        partial.varint(1, 3);
        partial.bytes(2, b"too\nold");
        answer.message(1, &partial);
        assert_eq!(rejected(&answer.into_bytes()), Some((3, "too old".into())));
        // A warning alone, nothing, and what is no message at all.
        for nothing in [&b"\x0a\x05\x12\x03hey"[..], b"", b"\x0a\x00", b"<html>"] {
            assert_eq!(rejected(nothing), None);
        }
    }
}
