//! The list of segments, and their files.
//!
//! A segment file is mapped memory that may have to come from the disk, so its bytes are copied on a blocking thread, piece by
//! piece, as fast as the client takes them. What the pieces of one file can hold at a time is paid for when the answer begins.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use trail_engine::id::SegmentId;
use trail_engine::{SegmentInfo, View};

use crate::api::context::Context;
use crate::api::native::page::paid_json;
use crate::api::native::range::{Wanted, wanted};
use crate::api::paid::paid_bytes;
use crate::api::params::{PathText, invalid, path_text};
use crate::api::refusal::Refusal;
use crate::api::stream::{ChannelBody, Sender};
use crate::backend::Reservation;

const PIECE_BYTES: usize = 256 << 10;
/// The pieces of one file that are in memory at most: one being written, one in the connection's buffer, one in the channel, one before it.
const PIECES_MAX: u64 = 4;

/// `GET /v1/segments`
pub(super) async fn list(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    let segments: Vec<Value> = context.backend.segments().iter().map(describe).collect();
    paid_json(&context, &json!({ "segments": segments }))
}

fn describe(info: &SegmentInfo) -> Value {
    json!({
        "id": info.id.to_string(), "day": info.day.to_string(),
        "first_sequence": info.first_sequence.0, "last_sequence": info.last_sequence.0,
        "time_min": info.time_min.to_string(), "time_max": info.time_max.to_string(),
        "events": info.events, "event_bytes": info.event_bytes, "file_bytes": info.file_bytes,
        "state": state(info), "crc32": format!("{:08x}", info.crc32),
    })
}

fn state(info: &SegmentInfo) -> &'static str {
    match (info.readable, info.sealed) {
        (false, _) => "unreadable",
        (true, true) => "sealed",
        (true, false) => "open",
    }
}

/// `GET /v1/segments/{segment_id}`
pub(super) async fn file(State(context): State<Arc<Context>>, path: PathText, headers: HeaderMap) -> Result<Response, Refusal> {
    let id = path_text(path, "segment_id")?;
    let missing = || Refusal::not_found("there is no such segment; it may have been merged or dropped");
    let id = read_id(&id).ok_or_else(|| invalid("`segment_id` must be 16 hex digits, as in the list of segments"))?;
    let info = context.backend.segments().into_iter().find(|s| s.id == id).ok_or_else(missing)?;
    let bytes = context.backend.segment_bytes(id).await?.ok_or_else(missing)?;
    let mut paid = context.backend.answers().reservation();
    paid.grow(PIECES_MAX * PIECE_BYTES as u64)?;
    let length = bytes.as_ref().len();
    let tag = format!("\"{:08x}-{length:x}\"", info.crc32);
    let mut response = match wanted(&headers, length, &tag) {
        Wanted::Whole => file_part(bytes, 0..length, paid),
        Wanted::Part(range) => {
            let content_range = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
            let mut response = file_part(bytes, range, paid);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, CONTENT_RANGE, &content_range);
            response
        }
        Wanted::Unchanged => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        Wanted::Nothing => {
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", format!("the file has {length} bytes"));
            return Err(match HeaderValue::from_str(&format!("bytes */{length}")) {
                Ok(value) => refusal.header(CONTENT_RANGE, value),
                Err(_) => refusal,
            });
        }
    };
    set(&mut response, ETAG, &tag);
    set(&mut response, ACCEPT_RANGES, "bytes");
    set(&mut response, CONTENT_DISPOSITION, &format!("attachment; filename=\"{id}.segment\""));
    Ok(response)
}

fn read_id(text: &str) -> Option<SegmentId> {
    let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| hex).map(SegmentId)
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn file_part(bytes: View, range: Range<usize>, paid: Reservation) -> Response {
    let (sender, body) = ChannelBody::new(1);
    let length = range.len();
    // Ends when the body is dropped, which the connection's write timeout makes sure of.
    tokio::spawn(send(bytes, range, sender, Arc::new(paid)));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // The length is known although the pieces are not: without it the answer would be chunked.
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

async fn send(bytes: View, range: Range<usize>, sender: Sender, paid: Arc<Reservation>) {
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start.saturating_add(PIECE_BYTES));
        let file = bytes.clone();
        let copy = tokio::task::spawn_blocking(move || file.as_ref().get(start..end).unwrap_or_default().to_vec());
        let piece = copy.await.map(|piece| paid_bytes(piece, paid.clone())).map_err(std::io::Error::other);
        if sender.send(piece).await.is_err() {
            return;
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_hex_digits() {
        assert_eq!(read_id("00000000000000ff"), Some(SegmentId(255)));
        for wrong in ["ff", "+0000000000000ff", "00000000000000fg", "00000000000000ff0", "../../etc/passwd"] {
            assert_eq!(read_id(wrong), None, "{wrong}");
        }
    }
}
