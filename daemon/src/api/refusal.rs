//! [`Refusal`]: the one shape of errors, and which status code an error of the engine becomes.
//!
//! A refusal is made where the request id is not known, so it travels to the outermost layer as an extension of its response and
//! gets its body there. What the engine knows about files and offsets goes to the log, never to a client.

use axum::body::Body;
use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use trail_engine::error::{Error, ErrorKind};

/// An answer that says no.
#[derive(Debug, Clone)]
pub struct Refusal(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    message: String,
    position: Option<u64>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    internal: Option<String>,
}

impl Refusal {
    /// A refusal with a status, a code for programs and a message for people (lower case, no full stop).
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        Refusal(Box::new(Parts { status, code, message, position: None, members: Map::new(), headers: Vec::new(), internal: None }))
    }

    /// 400: the request is wrong.
    #[must_use]
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404: it is not there.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Says at which byte of the query or body.
    #[must_use]
    pub fn at(mut self, position: u64) -> Refusal {
        self.0.position = Some(position);
        self
    }

    /// Adds a member beside `error`.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Refusal {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.0.headers.push((name, value));
        self
    }

    /// The same as 503 with another code: the request may go well when it is sent again after so many seconds.
    #[must_use]
    pub fn unavailable(mut self, code: &'static str, seconds: u32) -> Refusal {
        (self.0.status, self.0.code) = (StatusCode::SERVICE_UNAVAILABLE, code);
        self.retry_after(seconds)
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Refusal {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What is known beyond the message, for the server's log only.
    #[must_use]
    pub fn internal(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// The body.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Vec<u8> {
        let mut error = Map::new();
        error.insert("code".into(), self.0.code.into());
        error.insert("message".into(), self.0.message.as_str().into());
        if let Some(position) = self.0.position {
            error.insert("position".into(), position.into());
        }
        error.insert("request_id".into(), request_id.into());
        let mut members = self.0.members.clone();
        members.insert("error".into(), Value::Object(error));
        json!(members).to_string().into_bytes()
    }
}

/// Without a body; the outermost layer adds it.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        for (name, value) in &self.0.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let (status, code) = class(error.kind());
        // A message about the request has no path in it; a message about the log may have one only beside the message.
        let about_request = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Limit) && error.path().is_none();
        let message = if about_request { told(&error) } else { error.message().to_owned() };
        let mut refusal = Refusal::new(status, code, message);
        if error.kind() == ErrorKind::Invalid {
            refusal.0.position = error.offset();
        }
        refusal.0.internal = status.is_server_error().then(|| format!("{error:?}"));
        match error.kind() {
            ErrorKind::Busy => refusal.retry_after(1),
            ErrorKind::Full => refusal.retry_after(60),
            ErrorKind::Poisoned | ErrorKind::Closed | ErrorKind::Locked => refusal.retry_after(5),
            _ => refusal,
        }
    }
}

/// The engine's text without its place, which the answer gives as `position`.
fn told(error: &Error) -> String {
    let text = error.to_string();
    match error.offset() {
        Some(offset) => text.replacen(&format!(" at byte {offset}"), "", 1),
        None => text,
    }
}

fn class(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        ErrorKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        ErrorKind::Poisoned => (StatusCode::SERVICE_UNAVAILABLE, "poisoned"),
        ErrorKind::Closed => (StatusCode::SERVICE_UNAVAILABLE, "closed"),
        ErrorKind::Locked => (StatusCode::SERVICE_UNAVAILABLE, "locked"),
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid_query"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        // The request was understood and cannot be done within the operator's limits: the client must ask for less. 503 would
        // make clients send the same again, 408 would blame the client for being slow.
        ErrorKind::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "limit_exceeded"),
        // Nobody is left to read it; the number shows in the access log.
        ErrorKind::Cancelled => (StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT), "cancelled"),
        ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt"),
        ErrorKind::Unsupported => (StatusCode::INTERNAL_SERVER_ERROR, "unsupported_format"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(error: Error) -> (u16, Value) {
        let refusal = Refusal::from(error);
        let body = serde_json::from_slice(&refusal.render("r-1")).unwrap();
        (refusal.into_response().status().as_u16(), body)
    }

    #[test]
    fn a_wrong_query_says_where() {
        let error = Error::invalid("unknown dimension `usr`").at(5);
        let (status, body) = refuse(error);
        assert_eq!(status, 400);
        let expected =
            json!({"error": {"code": "invalid_query", "message": "unknown dimension `usr`", "position": 5, "request_id": "r-1"}});
        assert_eq!(body, expected);
    }

    #[test]
    fn kinds_have_their_codes() {
        for (kind, status) in [
            (ErrorKind::Busy, 429),
            (ErrorKind::Full, 507),
            (ErrorKind::Poisoned, 503),
            (ErrorKind::Closed, 503),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Limit, 422),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::Io, 500),
        ] {
            assert_eq!(refuse(Error::new(kind, "x")).0, status, "{kind:?}");
        }
        assert_eq!(Refusal::from(Error::new(ErrorKind::Busy, "x")).into_response().headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn nothing_internal_is_told() {
        let error = Error::corrupt("checksum differs").in_file("/var/lib/secret/segment-7").in_component("postings").at(9);
        let refusal = Refusal::from(error);
        let body = String::from_utf8(refusal.render("r")).unwrap();
        assert!(!body.contains("secret") && !body.contains("postings"), "{body}");
        assert!(refusal.internal().unwrap().contains("/var/lib/secret/segment-7"));
    }
}
