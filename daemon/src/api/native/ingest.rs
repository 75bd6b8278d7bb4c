//! `POST /v1/events`: checks what the body says it is, reads it, unpacks it, cuts it, stores it.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use trail_engine::error::{Error, ErrorKind};

use crate::api::body::{Limits, read};
use crate::api::context::Context;
use crate::api::encoding::{Bounds, Encoding, Unpacked, unpack};
use crate::api::native::outcome;
use crate::api::refusal::Refusal;
use crate::api::split::{Malformed, split_json, split_lines};
use crate::backend::Reservation;

/// Packed bodies below this are unpacked on the async thread; with the ratio's floor that is at most a millisecond or so.
const INLINE_PACKED_BYTES_MAX: usize = 4 << 10;
/// Plain bodies below this are cut on the async thread.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// What the events stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Lines,
    Json,
}

/// Stores the events of a request: the route's handler, for callers that know the route.
///
/// # Errors
/// What the client is to be told.
pub async fn store(context: &Context, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    append_body(context, &parts.headers, body).await
}

pub(super) async fn append(State(context): State<Arc<Context>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    append_body(&context, &headers, body).await
}

async fn append_body(context: &Context, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let frame = frame_of(headers)?;
    let encoding = encoding_of(headers)?;
    let config = &context.config;
    let mut reservation = context.backend.bodies().reservation();
    let limits = Limits { bytes_max: config.body_bytes_max, time_max: config.body_timeout, rate_min: config.body_rate_min };
    let packed = read(body, limits, &mut reservation).await?;
    context.metrics.body_bytes(packed.len() as u64);
    let (body, spans) = events(context, frame, encoding, packed, reservation).await?;
    if spans.is_empty() {
        return Err(Refusal::bad_request("empty_body", "there is no event in the body"));
    }
    let appended = context.backend.append(body.0.clone(), spans).await.map_err(not_kept)?;
    context.metrics.appended(&appended.receipt, appended.rejections.len() as u64);
    outcome::answer(&appended)
}

/// A body with what it holds of the budget.
struct Paid(Bytes, #[expect(dead_code, reason = "held until the body is dropped")] Reservation);

async fn events(
    context: &Context,
    frame: Frame,
    encoding: Encoding,
    packed: Bytes,
    mut reservation: Reservation,
) -> Result<(Paid, Vec<Range<usize>>), Refusal> {
    let bounds = Bounds { bytes_max: context.config.body_decoded_bytes_max, ratio_max: context.config.body_ratio_max };
    let inline = packed.len() < if encoding == Encoding::Identity { INLINE_BYTES_MAX } else { INLINE_PACKED_BYTES_MAX };
    let work = move || {
        let body = match encoding {
            Encoding::Identity => packed,
            _ => unpack(encoding, &packed, bounds, &mut reservation).map(Bytes::from).map_err(|e| not_unpacked(e, bounds))?,
        };
        let spans = match frame {
            Frame::Lines => split_lines(&body),
            Frame::Json => split_json(&body).map_err(malformed)?,
        };
        Ok((Paid(body, reservation), spans))
    };
    if inline {
        return work();
    }
    context.backend.compute(move || Ok(work())).await?
}

fn frame_of(headers: &HeaderMap) -> Result<Frame, Refusal> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(Frame::Lines) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_one_of = |types: &[&str]| types.iter().any(|of| essence.eq_ignore_ascii_case(of));
    match values.next() {
        None if is_one_of(&["application/x-ndjson", "application/ndjson", "application/jsonl"]) => Ok(Frame::Lines),
        None if is_one_of(&["application/json"]) => Ok(Frame::Json),
        _ => Err(unsupported("unsupported_media_type", "the body must be application/x-ndjson or application/json")),
    }
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let name = values.next().map_or(Some(""), |v| v.to_str().ok());
    match (name.and_then(Encoding::named), values.next()) {
        (Some(encoding), None) => Ok(encoding),
        _ => Err(unsupported("unsupported_encoding", "the content encoding must be gzip, zstd or identity")),
    }
}

fn unsupported(code: &'static str, message: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message)
}

fn malformed(error: Malformed) -> Refusal {
    Refusal::bad_request("invalid_json", format!("{} at byte {}", error.message, error.at)).at(error.at as u64)
}

/// Events that could not be kept may be kept the next time: a disk that fails for a moment is no reason to give them up.
fn not_kept(error: Error) -> Refusal {
    let passes = error.kind() == ErrorKind::Io;
    let refusal = Refusal::from(error);
    if passes { refusal.unavailable("storage_failed", 5) } else { refusal }
}

fn not_unpacked(error: Unpacked, bounds: Bounds) -> Refusal {
    let too_large = |message| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message);
    match error {
        Unpacked::Lie { at, reason } => {
            Refusal::bad_request("invalid_encoding", format!("the body is not what its content encoding says, near byte {at}: {reason}"))
                .at(at)
        }
        Unpacked::TooLarge => too_large(format!("the body unfolds to more than {} bytes; send fewer events at once", bounds.bytes_max)),
        Unpacked::TooDense => too_large(format!("the body unfolds to more than {} times its length", bounds.ratio_max)),
        Unpacked::Busy(error) => Refusal::from(error),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_disk_that_fails_once_is_no_reason_to_give_up() {
        let response = not_kept(Error::new(ErrorKind::Io, "cannot make a journal file")).into_response();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
        assert_eq!(not_kept(Error::new(ErrorKind::Corrupt, "x")).into_response().status(), 500);
    }

    #[test]
    fn types_and_encodings_are_strict() {
        assert_eq!(frame_of(&headers(&[])).unwrap(), Frame::Lines);
        assert_eq!(frame_of(&headers(&[("content-type", "Application/JSON; charset=utf-8")])).unwrap(), Frame::Json);
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "", "json"] {
            let refusal = frame_of(&headers(&[("content-type", wrong)])).unwrap_err();
            assert_eq!(refusal.into_response().status(), 415, "{wrong}");
        }
        assert!(frame_of(&headers(&[("content-type", "application/json"), ("content-type", "application/json")])).is_err());
        assert_eq!(encoding_of(&headers(&[])).unwrap(), Encoding::Identity);
        assert_eq!(encoding_of(&headers(&[("content-encoding", "zstd")])).unwrap(), Encoding::Zstd);
        for wrong in ["br", "gzip, gzip", "deflate"] {
            assert_eq!(encoding_of(&headers(&[("content-encoding", wrong)])).unwrap_err().into_response().status(), 415, "{wrong}");
        }
    }
}
