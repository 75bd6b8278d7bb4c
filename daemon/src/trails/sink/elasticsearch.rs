//! `elasticsearch`: documents of an index or data stream, by `_bulk` (Elasticsearch, OpenSearch, and what speaks like them).
//!
//! Every event is created under an id of its own: trail, sequence and time of receipt. The sequence alone would do within one log; the time
//! keeps two servers with a trail of the same name, and a log that was begun anew, from taking each other's documents for repeats. The
//! event's own id is not used: not every event has one. So a document that is there already (409) was delivered before, and a whole batch can be
//! sent again without harm. A document is `{"@timestamp":..,"traild":{"trail":..,"sequence":..,"received_at":..},"event":..}`
//! with the event verbatim under one member, so that an index can map it as `flattened` and never runs out of fields.
//!
//! Items are judged one by one: the whole batch is sent again later when one of them was not taken for want of time or room; items that can never be
//! taken are refused with the reason. Limits: a probe leaves its document where nothing can be deleted by its id, as in a data stream.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::Method;
use hyper::http::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use trail_engine::clock::{Clock as _, SystemClock};

use crate::backend::Hands;
use crate::mutants;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::caller::{Answer, Call, Caller, put};
use crate::trails::sink::http::members::{CA_FILE, HEADERS, TIMEOUT, basic, caller};
use crate::trails::sink::http::verdict::{clip, judge, kind};
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::seam::{Delivered, Refusal, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "elasticsearch",
    doc: "documents of an Elasticsearch or OpenSearch index",
    members: &[
        Member::new("url", Form::Text, "the cluster, http:// or https://").required(),
        Member::new("index", Form::Text, "the index, alias or data stream").required(),
        Member::new("user", Form::Text, "the user, with `password`"),
        Member::new("password", Form::Secret, "of the user"),
        Member::new("api_key", Form::Secret, "an encoded API key, in place of user and password"),
        HEADERS,
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: 5_000, bytes: 8 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

/// What of the answer is needed: it would repeat every id otherwise.
const QUERY: &str = "filter_path=errors,error,items.*.status,items.*.error.type,items.*.error.reason";
const NAME_BYTES_MAX: usize = 255;

#[derive(Debug)]
struct Elasticsearch {
    caller: Caller,
    path: String,
    trail: String,
    hands: Hands,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let caller = caller(members, authorization(members)?.as_deref())?;
    if caller.address().query.is_some() {
        return Err("`url` is the cluster alone, without a query".into());
    }
    let path = format!("{}/{}/_bulk?{QUERY}", caller.address().path, index(members)?);
    Ok(Box::new(Elasticsearch { caller, path, trail: order.trail.to_owned(), hands: order.hands.clone() }))
}

fn index<'a>(members: &Members<'a>) -> Result<&'a str, String> {
    let index = members.text("index").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b'+');
    let fits =
        index.len() <= NAME_BYTES_MAX && index.bytes().all(plain) && !index.starts_with(['-', '_', '+']) && !matches!(index, "." | "..");
    if fits { Ok(index) } else { Err("`index` must be of a-z, 0-9, ., -, _ and +, and begin with none of -, _ and +".into()) }
}

fn authorization(members: &Members<'_>) -> Result<Option<String>, String> {
    match (members.text("user"), members.secret("password")?, members.secret("api_key")?) {
        (None, None, None) => Ok(None),
        (Some(user), Some(password), None) => Ok(Some(basic(user, &password))),
        (None, None, Some(key)) => Ok(Some(format!("ApiKey {key}"))),
        _ => Err("either `user` and `password`, or `api_key` alone".into()),
    }
}

/// What `_bulk` answers.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    items: Vec<Item>,
}

/// One item, under the name of what was asked for.
#[derive(Debug, Deserialize)]
struct Item {
    #[serde(alias = "delete")]
    create: Outcome,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    status: u16,
    error: Option<Cause>,
}

#[derive(Debug, Default, Deserialize)]
struct Cause {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

impl Cause {
    fn told(&self) -> String {
        clip(&format!("{}: {}", self.kind, self.reason))
    }
}

/// Appends the lines of all events.
fn write_documents(trail: &str, batch: &Batch, out: &mut Vec<u8>) {
    for event in &batch.events {
        let id = format!("{trail}-{}-{}", event.sequence, event.received_at.as_millis());
        let about = json!({
            "@timestamp": event.event_time.to_string(),
            "traild": {"trail": batch.trail.as_ref(), "sequence": event.sequence.0, "received_at": event.received_at.to_string()},
        });
        out.extend_from_slice(json!({"create": {"_id": id}}).to_string().as_bytes());
        out.push(b'\n');
        let about = about.to_string();
        out.extend_from_slice(about.strip_suffix('}').unwrap_or(&about).as_bytes());
        out.extend_from_slice(b",\"event\":");
        // A line break between members is white space to JSON, and would end the line here.
        out.extend(event.text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        out.extend_from_slice(b"}\n");
    }
}

/// What became of each event; an error when the whole batch must be sent again.
fn judge_items(place: &str, events: usize, report: &Report) -> Result<Vec<Refusal>, Fault> {
    if report.items.len() != events {
        return Err(Fault::later(format!("{place} answered for {} of {events} events", report.items.len())));
    }
    if mutants::is("items_of_bulk_unread") {
        return Ok(Vec::new());
    }
    let mut refused = Vec::new();
    let mut again: Option<(FaultKind, u16, String)> = None;
    for (index, Item { create }) in report.items.iter().enumerate() {
        let told = create.error.as_ref().map(Cause::told).unwrap_or_default();
        match (create.status, kind(create.status)) {
            // There already: a batch that was sent before.
            (409, _) | (_, None) => {}
            (status, Some(FaultKind::Later)) if !matches!(again, Some((FaultKind::Later, ..))) => {
                again = Some((FaultKind::Later, status, told));
            }
            (_, Some(FaultKind::Later)) => {}
            (status, Some(FaultKind::Setup)) => again = again.or(Some((FaultKind::Setup, status, told))),
            (status, Some(_)) => refused.push(Refusal { index, reason: format!("{place} answered {status}: {told}") }),
        }
    }
    match again {
        Some((kind, status, told)) => Err(Fault::new(kind, format!("{place} did not take all events: {status}: {told}"))),
        None => Ok(refused),
    }
}

impl Elasticsearch {
    async fn bulk(&self, body: Bytes, items: usize) -> Result<Vec<Refusal>, Fault> {
        let mut headers = HeaderMap::new();
        put(&mut headers, "content-type", "application/x-ndjson", false).map_err(Fault::setup)?;
        let answer = self.caller.call(&Call { method: Method::POST, path: self.path.clone(), headers, body }).await?;
        judge(self.caller.address(), &answer, told(&answer).as_deref())?;
        let place = self.caller.address().to_string();
        if answer.cut {
            return Err(Fault::new(FaultKind::TooLarge, format!("the answer of {place} for {items} events was too long")));
        }
        let report: Report = serde_json::from_slice(&answer.body)
            .map_err(|_| Fault::setup(format!("{place} does not answer as Elasticsearch does: is `url` the cluster itself")))?;
        judge_items(&place, items, &report)
    }

    async fn probed(&self) -> Result<(), Fault> {
        let now = SystemClock::new().now();
        let id = format!("{}-probe-{}", self.trail, now.as_millis());
        let about = json!({"@timestamp": now.to_string(), "traild": {"trail": self.trail, "probe": true}});
        let created = format!("{}\n{about}\n", json!({"create": {"_id": id}}));
        if let Some(refusal) = self.bulk(Bytes::from(created), 1).await?.first() {
            return Err(Fault::setup(refusal.reason.clone()));
        }
        // What may not be removed stays, as in a data stream, or with a key that may only create: it says of itself that it is a probe.
        match self.bulk(Bytes::from(format!("{}\n", json!({"delete": {"_id": id}}))), 1).await {
            Err(fault) if fault.kind == FaultKind::Later => Err(fault),
            _ => Ok(()),
        }
    }
}

/// What an answer that is no report says.
fn told(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Wrong {
        error: Cause,
    }
    serde_json::from_slice::<Wrong>(&answer.body).ok().map(|wrong| wrong.error.told())
}

impl Sink for Elasticsearch {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let (copy, trail) = (batch.clone(), self.trail.clone());
            let documents = self.hands.compute.run(move || {
                let mut documents = Vec::with_capacity(usize::try_from(copy.bytes).unwrap_or(0) + 200 * copy.events.len());
                write_documents(&trail, &copy, &mut documents);
                Ok(Bytes::from(documents))
            });
            let body = documents.await.map_err(|e| Fault::later(format!("a batch cannot be written now: {e}")))?;
            let bytes = body.len() as u64;
            let refused = self.bulk(body, batch.events.len()).await?;
            // Nothing was taken: it may be the index that takes nothing, which the worker finds out.
            if let Some(first) = refused.first().filter(|_| refused.len() == batch.events.len() && refused.len() > 1) {
                return Err(Fault::refused(first.reason.clone()));
            }
            Ok(Delivered { objects: 1, bytes, refused, state: None })
        })
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(self.probed())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use trail_engine::id::{Day, Sequence, Timestamp};
    use trail_engine::index::StoredEvent;

    use super::*;

    fn items(statuses: &[u16]) -> Report {
        let item = |status: &u16| match status {
            200..=299 => json!({"create": {"status": status}}),
            _ => json!({"create": {"status": status, "error": {"type": "kind", "reason": "because\n"}}}),
        };
        let items: Vec<Value> = statuses.iter().map(item).collect();
        serde_json::from_value(json!({"errors": true, "items": items})).unwrap()
    }

    #[test]
    fn items_are_judged_one_by_one() {
        let judged = |statuses: &[u16]| judge_items("http://h", statuses.len(), &items(statuses));
        assert_eq!(judged(&[201, 409, 200]), Ok(Vec::new()));
        let refused = judged(&[201, 400, 409, 422]).unwrap();
        assert_eq!(refused.iter().map(|refusal| refusal.index).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(refused[0].reason, "http://h answered 400: kind: because");
        for (statuses, kind) in [
            (&[201, 429, 400][..], FaultKind::Later),
            (&[503], FaultKind::Later),
            (&[403, 201], FaultKind::Setup),
            (&[404, 429, 503], FaultKind::Later),
            (&[429, 404], FaultKind::Later),
        ] {
            assert_eq!(judged(statuses).unwrap_err().kind, kind, "{statuses:?}");
        }
        assert_eq!(judge_items("http://h", 3, &items(&[201, 201])).unwrap_err().kind, FaultKind::Later);
    }

    #[test]
    fn documents_have_ids_of_their_own_and_the_event_as_it_is() {
        let at = Timestamp::from_millis(1_700_000_000_123).unwrap();
        let text = b"{\n\"a\" : [1,\r\n 2]}".to_vec();
        let event =
            Arc::new(StoredEvent { sequence: Sequence(7), received_at: at, event_time: Timestamp(0), time_is_received: false, text });
        let batch = Batch {
            trail: "all.backfill-1".into(),
            number: 1,
            first: Sequence(1),
            last: Sequence(9),
            day: Day(0),
            events: vec![event],
            bytes: 1,
        };
        let mut out = Vec::new();
        write_documents("all", &batch, &mut out);
        let lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], br#"{"create":{"_id":"all-7-1700000000123"}}"#);
        let document: Value = serde_json::from_slice(lines[1]).unwrap();
        assert_eq!(document["event"], json!({"a": [1, 2]}));
        assert_eq!(document["@timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(document["traild"], json!({"trail": "all.backfill-1", "sequence": 7, "received_at": at.to_string()}));
    }
}
