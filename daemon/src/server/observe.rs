//! Around every request: request id, size of the headers, foreign pages, shape of errors, metrics, access log.
//!
//! The access log has method, path and status, never the query or a header: both may hold what is none of a log's business.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use tokio::time::Instant;

use crate::api::refusal::Refusal;
use crate::metrics::Metrics;
use crate::server::origin;

/// The route of a request that came to none.
pub(super) const UNMATCHED: &str = "unmatched";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known around every request.
#[derive(Debug)]
pub(super) struct Observer {
    metrics: Metrics,
    header_bytes_max: u64,
    guard_origin: bool,
    ids: Arc<RequestIds>,
}

/// Gives every answer an id of its own.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// Tells the ids of this process from those of the one before.
    start: u32,
    requests: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> RequestIds {
        let mut start = [0_u8; 4];
        // Ids need to differ, not to be secret: without randomness they still count.
        let _ = getrandom::fill(&mut start);
        RequestIds { start: u32::from_be_bytes(start), requests: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> String {
        let mut id = String::with_capacity(2 * ID_DIGITS + 1);
        push_hex(&mut id, u64::from(self.start));
        id.push('-');
        push_hex(&mut id, self.requests.fetch_add(1, Ordering::Relaxed));
        id
    }
}

/// How many digits each half of an id has at least.
const ID_DIGITS: usize = 8;

/// Appends a number in hex. (What `format!` does for `{:08x}`, at a tenth of its time: there is an id for every request.)
fn push_hex(text: &mut String, number: u64) {
    let digits = ((u64::BITS - number.leading_zeros()) as usize).div_ceil(4).max(ID_DIGITS);
    let digit = |at: usize| char::from_digit((number >> (4 * at)) as u32 & 15, 16).unwrap_or('0');
    text.extend((0..digits).rev().map(digit));
}

impl Observer {
    pub(super) fn new(metrics: Metrics, header_bytes_max: u64, guard_origin: bool, ids: Arc<RequestIds>) -> Observer {
        Observer { metrics, header_bytes_max, guard_origin, ids }
    }

    /// The client's id when it has a plain one, else one of our own.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|v| v.to_str().ok());
        let plain = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        match given.filter(plain) {
            Some(id) => id.to_owned(),
            None => self.ids.next(),
        }
    }

    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let headers: usize = request.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        let line = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
        if (headers + line) as u64 > self.header_bytes_max {
            let message = format!("the headers are longer than {} bytes; long queries go to `POST /v1/search`", self.header_bytes_max);
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message));
        }
        if self.guard_origin { origin::check(request.headers()) } else { Ok(()) }
    }
}

/// Answers a request by `next`, which also says by which route.
pub(super) async fn observe<F>(observer: &Observer, request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = (Response, &'static str)>,
{
    let start = Instant::now();
    let held = observer.metrics.inflight();
    let id = observer.request_id(request.headers());
    let method = request.method().clone();
    let logged = tracing::enabled!(target: "traild::access", tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    let has_body = !request.body().is_end_stream();
    let (mut response, route) = match observer.admit(&request) {
        Ok(()) => next(request).await,
        Err(refusal) => (refusal.into_response(), UNMATCHED),
    };
    drop(held);
    let status = response.status().as_u16();
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        if let Some(internal) = refusal.internal() {
            tracing::error!(request_id = id, status, error = internal, "a request failed");
        }
        *response.body_mut() = Body::from(refusal.render(&id));
        // The table has written down the length of what was there before.
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    observer.metrics.request(route, method_name(&method), status, start.elapsed());
    if let Some(path) = logged {
        tracing::debug!(target: "traild::access", request_id = id, %method, path, status, micros = start.elapsed().as_micros() as u64);
    }
    dress(response.headers_mut(), id);
    if has_body && leaves_body_unread(response.status()) {
        // What is left of the body would be taken for the next request, so the connection ends here, and the client is told.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer to a request that could not be read, as it goes over the wire.
pub(super) fn unread(refusal: &Refusal, id: &str) -> Vec<u8> {
    let status = refusal.status();
    let body = refusal.render(id);
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: {id}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// The answers that are given before the body was read to its end.
fn leaves_body_unread(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 431 | 503)
}

fn dress(headers: &mut HeaderMap, id: String) {
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Only known names, so that a client cannot make series.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_clients_when_plain() {
        let observer = Observer::new(Metrics::new(), 1_000, false, Arc::new(RequestIds::new()));
        let id = |text: &str| observer.request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(text).unwrap())]));
        assert_eq!(id("abc-1.2_Z"), "abc-1.2_Z");
        for odd in ["", "a b", "<script>", &"x".repeat(65)] {
            assert_ne!(id(odd), odd);
        }
        assert_ne!(observer.request_id(&HeaderMap::new()), observer.request_id(&HeaderMap::new()));
    }

    #[test]
    fn own_ids_count_in_hex() {
        let hex = |number: u64| {
            let mut text = String::new();
            push_hex(&mut text, number);
            text
        };
        for number in [0, 1, 0xabc, 0x89ab_cdef, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            assert_eq!(hex(number), format!("{number:08x}"));
        }
    }

    #[test]
    fn long_headers_are_refused() {
        let observer = Observer::new(Metrics::new(), 1_000, false, Arc::new(RequestIds::new()));
        let request = |length: usize| Request::builder().uri("/v1/count").header("x", "y".repeat(length)).body(Body::empty()).unwrap();
        assert!(observer.admit(&request(900)).is_ok());
        assert_eq!(observer.admit(&request(1_000)).unwrap_err().into_response().status(), 431);
    }
}
