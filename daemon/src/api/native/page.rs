//! Writes stored events into answers, byte for byte.
//!
//! Problem: an event must leave as it came, and a page may be larger than memory should hold twice. Mechanism: the JSON around the
//! events is written by hand, the events are copied and never parsed; a large page is written piece by piece while its events are
//! dropped. Both the events and the pieces hold what was paid for them out of the server's budget for answers, until the client has them.
//! Limits: in NDJSON a line must stay a line, so that line breaks in the white space between the tokens of an event
//! (nowhere else does JSON allow them) become spaces there; the JSON answers keep them.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, TRAILER};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use serde_json::{Value, json};
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::error::Result as EngineResult;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Explanation, Page};

use crate::api::context::Context as Server;
use crate::api::native::incomplete;
use crate::api::paid::paid_bytes;
use crate::api::refusal::Refusal;
use crate::backend::Reservation;

const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
pub(super) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Pages are written in pieces of at least this many bytes; a page of less is one piece with a length.
const PIECE_BYTES: usize = 64 << 10;
/// What stands around an event at most: its position, its times, commas.
const AROUND_BYTES: usize = 256;

/// What a client wants a page as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `{"events":[...]}`
    Json,
    /// Bare events, one a line.
    Lines,
}

impl Style {
    /// By the `Accept` header: NDJSON when it is named, else JSON.
    pub(super) fn of(headers: &HeaderMap) -> Style {
        let named = |value: &HeaderValue| {
            let mut ranges = value.to_str().unwrap_or_default().split(',');
            ranges.any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-ndjson"))
        };
        if headers.get_all(ACCEPT).iter().any(named) { Style::Lines } else { Style::Json }
    }
}

/// 200 with a JSON value.
pub(super) fn json_response(value: Value) -> Response {
    json_bytes(value.to_string().into())
}

/// 200 with what a question gave, as JSON that is made on the question's thread and paid for.
pub(super) async fn ask_json(
    context: &Server,
    question: impl Fn(&AuditLog, &Cancel) -> EngineResult<Value> + Send + Sync + 'static,
) -> Result<Response, Refusal> {
    let written = move |log: &AuditLog, cancel: &Cancel| Ok(question(log, cancel)?.to_string().into_bytes());
    let (bytes, paid) = context.backend.ask_paid(written, |bytes| bytes.capacity() as u64).await?;
    Ok(json_bytes(paid_bytes(bytes, paid)))
}

/// 200 with a JSON value that no question gave, paid for.
pub(super) fn paid_json(context: &Server, value: &Value) -> Result<Response, Refusal> {
    let bytes = value.to_string().into_bytes();
    let mut paid = context.backend.answers().reservation();
    paid.grow(bytes.capacity() as u64)?;
    Ok(json_bytes(paid_bytes(bytes, paid)))
}

/// How many bytes these events hold in memory, with what is written around them.
pub(super) fn weight(events: &[StoredEvent]) -> u64 {
    events.iter().map(|event| (size_of::<StoredEvent>() + event.text.capacity() + AROUND_BYTES) as u64).sum()
}

/// 200 with JSON that is written already.
pub(super) fn json_bytes(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An event with its position and times around it.
pub(super) fn write_stored(out: &mut Vec<u8>, event: &StoredEvent) {
    let source = if event.time_is_received { "received" } else { "event" };
    let mut head = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "{{\"sequence\":{},\"received_at\":\"{}\",\"event_time\":\"{}\",\"event_time_source\":\"{source}\",\"event\":",
        event.sequence, event.received_at, event.event_time
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&event.text);
    out.push(b'}');
}

/// An event as one line.
pub(super) fn write_line(out: &mut Vec<u8>, event: &StoredEvent) {
    let start = out.len();
    out.extend_from_slice(&event.text);
    for byte in out.iter_mut().skip(start).filter(|b| matches!(**b, b'\n' | b'\r')) {
        *byte = b' ';
    }
    out.push(b'\n');
}

/// 200 with a page, which `paid` was reserved for.
pub(super) fn page_response(page: Page, style: Style, paid: Reservation) -> Response {
    let cursor = page.next_cursor.as_deref().and_then(|c| HeaderValue::from_str(c).ok());
    let gaps = incomplete::header(&page.incomplete);
    let mut body = PageBody::new(Vec::new(), style, paid);
    let mut headers = HeaderMap::new();
    match style {
        Style::Json => {
            headers.insert(CONTENT_TYPE, JSON);
            body.end = json_end(&page);
        }
        Style::Lines => {
            headers.insert(CONTENT_TYPE, NDJSON);
            headers.extend(gaps.map(|gaps| (incomplete::HEADER, gaps)));
            if let Some(cursor) = cursor {
                // Trailers reach only clients that say `TE: trailers`; the cursor is known already, so everybody gets it.
                headers.insert(NEXT_CURSOR, cursor.clone());
                headers.insert(TRAILER, HeaderValue::from_static("x-next-cursor"));
                body.trailers = Some(HeaderMap::from_iter([(NEXT_CURSOR, cursor)]));
            }
        }
    }
    body.events = page.events.into_iter();
    let bytes: usize = body.events.as_slice().iter().map(|e| e.text.len()).sum();
    let whole = bytes < PIECE_BYTES && body.trailers.is_none();
    let mut response = Response::new(if whole { Body::from(body.piece(usize::MAX).unwrap_or_default()) } else { Body::new(body) });
    *response.headers_mut() = headers;
    response
}

fn json_end(page: &Page) -> Vec<u8> {
    let mut end = vec![b']'];
    if !page.incomplete.is_empty() {
        end.extend_from_slice(format!(",\"incomplete\":{}", incomplete::list(&page.incomplete)).as_bytes());
    }
    if let Some(cursor) = &page.next_cursor {
        end.extend_from_slice(format!(",\"next_cursor\":{}", json!(cursor)).as_bytes());
    }
    if let Some(explanation) = &page.explanation {
        end.extend_from_slice(format!(",\"explanation\":{}", explain(explanation)).as_bytes());
    }
    end.push(b'}');
    end
}

fn explain(explanation: &Explanation) -> Value {
    let parts = explanation.parts.iter().map(|part| {
        json!({
            "part": part.part, "documents": part.documents, "skipped": part.skipped, "steps": part.steps,
            "matched": part.matched, "touched": part.touched, "elapsed_us": part.elapsed.as_micros() as u64,
        })
    });
    json!({
        "filter": explanation.filter, "blocks_decoded": explanation.blocks_decoded,
        "elapsed_us": explanation.elapsed.as_micros() as u64, "parts": parts.collect::<Vec<_>>(),
    })
}

/// Events on their way into an answer.
pub(super) struct PageBody {
    style: Style,
    events: IntoIter<StoredEvent>,
    end: Vec<u8>,
    started: bool,
    ended: bool,
    trailers: Option<HeaderMap>,
    paid: Reservation,
}

impl PageBody {
    pub(super) fn new(events: Vec<StoredEvent>, style: Style, paid: Reservation) -> PageBody {
        PageBody { style, end: Vec::new(), started: false, ended: false, trailers: None, events: events.into_iter(), paid }
    }

    /// The next piece, of at least [`PIECE_BYTES`] unless it is the last; `None` at the end.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        self.piece(PIECE_BYTES)
    }

    fn piece(&mut self, bytes_min: usize) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::new();
        self.write(&mut out, bytes_min);
        let share = if self.ended { u64::MAX } else { out.capacity() as u64 };
        Some(paid_bytes(out, self.paid.split(share)))
    }

    fn write(&mut self, out: &mut Vec<u8>, bytes_min: usize) {
        while out.len() < bytes_min {
            if !self.started && self.style == Style::Json {
                out.extend_from_slice(b"{\"events\":[");
            }
            let first = !std::mem::replace(&mut self.started, true);
            let event = self.events.next();
            let length = event.as_ref().map_or(0, |event| event.text.len() + AROUND_BYTES);
            if length > PIECE_BYTES {
                // A vector that grows by itself may take twice what was paid for.
                out.reserve_exact(length);
            }
            match (event, self.style) {
                (Some(event), Style::Lines) => write_line(out, &event),
                (Some(event), Style::Json) => {
                    if !first {
                        out.push(b',');
                    }
                    write_stored(out, &event);
                }
                (None, _) => {
                    self.ended = true;
                    out.append(&mut self.end);
                    break;
                }
            }
        }
    }
}

impl http_body::Body for PageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.next_piece() {
            Some(piece) => Some(Frame::data(piece)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use trail_engine::id::{Sequence, Timestamp};

    use super::*;
    use crate::backend::ByteBudget;

    fn event(sequence: u64, text: &str) -> StoredEvent {
        let time = Timestamp::from_seconds(0).unwrap();
        let text = text.as_bytes().to_vec();
        StoredEvent { sequence: Sequence(sequence), received_at: time, event_time: time, time_is_received: sequence == 2, text }
    }

    fn budget() -> ByteBudget {
        ByteBudget::new("answers", 1 << 20)
    }

    fn page_response(page: Page, style: Style) -> Response {
        super::page_response(page, style, budget().reservation())
    }

    fn page(events: Vec<StoredEvent>) -> Page {
        Page { events, next_cursor: Some("c\"1".into()), ..Page::default() }
    }

    async fn body(response: Response) -> (String, Option<HeaderMap>) {
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned();
        (String::from_utf8(collected.to_bytes().to_vec()).unwrap(), trailers)
    }

    #[tokio::test]
    async fn json_keeps_every_byte() {
        let odd = "{\"b\" : 1.0,\n\"a\":1e0,  \"a\":\"\\u0041\"}";
        let (text, _) = body(page_response(page(vec![event(1, odd), event(2, "{}")]), Style::Json)).await;
        assert!(text.contains(odd));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["events"][1]["event_time_source"], "received");
        assert_eq!(value["events"][0]["received_at"], "1970-01-01T00:00:00Z");
        assert_eq!(value["next_cursor"], "c\"1");
        let empty = body(page_response(Page::default(), Style::Json)).await.0;
        assert_eq!(empty, "{\"events\":[]}");
    }

    #[tokio::test]
    async fn lines_stay_lines_and_the_cursor_comes_twice() {
        let response = page_response(page(vec![event(1, "{\r\n\"a\":1}"), event(2, "{}")]), Style::Lines);
        assert_eq!(response.headers()["x-next-cursor"], "c\"1");
        let (text, trailers) = body(response).await;
        assert_eq!(text, "{  \"a\":1}\n{}\n");
        assert_eq!(trailers.unwrap()["x-next-cursor"], "c\"1");
    }

    #[tokio::test]
    async fn large_pages_come_in_pieces_and_whole() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(50_000));
        let response = page_response(page((1..=9).map(|i| event(i, &large)).collect()), Style::Json);
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), None);
        let value: Value = serde_json::from_str(&body(response).await.0).unwrap();
        assert_eq!(value["events"].as_array().unwrap().len(), 9);
    }

    #[tokio::test]
    async fn a_page_is_paid_for_until_its_last_piece_is_taken() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
        let events: Vec<_> = (1..=5).map(|i| event(i, &large)).collect();
        let budget = budget();
        let mut paid = budget.reservation();
        paid.grow(weight(&events)).unwrap();
        let mut body = super::page_response(page(events), Style::Json, paid).into_body();
        let mut left = vec![budget.reserved_bytes()];
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap());
        }
        drop(body);
        assert!(pieces.len() >= 5 && budget.reserved_bytes() == left[0], "what is not taken must stay paid for");
        for piece in pieces {
            drop(piece);
            left.push(budget.reserved_bytes());
        }
        assert!(left.windows(2).all(|pair| pair[0] > pair[1]) && left.last() == Some(&0), "{left:?}");
    }

    #[test]
    fn the_style_is_the_clients_choice() {
        let accept = |text: &str| Style::of(&HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]));
        assert_eq!(accept("application/x-ndjson"), Style::Lines);
        assert_eq!(accept("text/html, application/x-ndjson;q=0.9"), Style::Lines);
        assert_eq!(accept("*/*"), Style::Json);
        assert_eq!(Style::of(&HeaderMap::new()), Style::Json);
    }
}
