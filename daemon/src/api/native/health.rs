//! Whether the server is well, what it has done, what it can do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use trail_engine::Health;
use trail_engine::id::Sequence;

use crate::api::context::Context;
use crate::api::native::page::{json_bytes, json_response};
use crate::api::refusal::Refusal;
use crate::metrics::{CONTENT_TYPE as METRICS_TYPE, Reserved};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The page needs nothing, so it may load nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// `GET /healthz`
pub(super) async fn alive() -> Response {
    json_response(json!({ "status": "ok", "version": VERSION }))
}

/// `GET /readyz`
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    let health = context.backend.health();
    let read_only = context.config.engine.read_only;
    let space = context.backend.space_problem().filter(|_| !read_only);
    let Some(reasons) = not_ready(&health, space, read_only, *context.stopping.borrow()) else {
        return Ok(json_response(json!({ "ready": true, "writable": health.writable, "problems": health.problems })));
    };
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reasons.join("; "));
    Err(refusal.with("ready", Value::Bool(false)).with("reasons", json!(reasons)))
}

/// Why no requests should be sent here, if they should not.
fn not_ready(health: &Health, space: Option<String>, read_only: bool, stopping: bool) -> Option<Vec<String>> {
    if (health.writable && !health.disk_full && space.is_none() || read_only) && !stopping {
        return None;
    }
    let mut reasons = health.problems.clone();
    reasons.extend(space);
    if stopping {
        reasons.insert(0, "the server is stopping".into());
    }
    if reasons.is_empty() {
        reasons.push("the log takes no events".into());
    }
    Some(reasons)
}

/// `GET /v1/stats`
pub(super) async fn stats(State(context): State<Arc<Context>>) -> Response {
    let stats = context.backend.stats();
    let health = context.backend.health();
    let number = |sequence: Option<Sequence>| sequence.map_or(Value::Null, |s| s.0.into());
    json_response(json!({
        "version": VERSION, "writable": health.writable, "problems": health.problems,
        "events": stats.events, "event_bytes": stats.event_bytes,
        "first_sequence": number(stats.first_sequence), "last_sequence": number(stats.last_sequence),
        "segments": stats.segments, "segment_bytes": stats.segment_bytes, "journal_bytes": stats.journal_bytes, "held_bytes": stats.held_bytes,
        "head_events": stats.head_events, "head_bytes": stats.head_bytes,
        "since_start": {
            "appended_events": stats.appended_events, "appended_bytes": stats.appended_bytes, "duplicate_events": stats.duplicate_events,
            "commits": stats.commits, "flushes": stats.flushes, "compacted_segments": stats.compacted_segments,
            "expired_segments": stats.expired_segments, "let_go_events": stats.let_go_events, "quarantined": stats.quarantined,
        },
    }))
}

/// `GET /metrics`
pub(super) async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let backend = &context.backend;
    let reserved = Reserved { body_bytes: backend.bodies().reserved_bytes(), answer_bytes: backend.answers().reserved_bytes() };
    let text = context.metrics.render(&backend.stats(), &backend.health(), reserved);
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    response
}

/// `GET /openapi.json`
pub(super) async fn document(State(context): State<Arc<Context>>) -> Response {
    json_bytes(context.openapi.clone())
}

/// `GET /`
pub(super) async fn welcome() -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>traild</title></head><body><h1>traild {VERSION}</h1>\
         <p>An audit trail. The API is at <code>/v1</code>, its description at <a href=\"/openapi.json\">/openapi.json</a>.</p></body></html>\n"
    );
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_takes_events_or_is_not_meant_to() {
        let well = Health { writable: true, ..Health::default() };
        let full = Health { disk_full: true, problems: vec!["the disk is full".into()], ..well.clone() };
        let poisoned = Health { problems: vec!["no writes are taken".into()], ..Health::default() };
        assert_eq!(not_ready(&well, None, false, false), None);
        assert_eq!(not_ready(&well, None, false, true).unwrap(), ["the server is stopping"]);
        assert_eq!(not_ready(&full, None, false, false).unwrap(), ["the disk is full"]);
        assert_eq!(not_ready(&poisoned, None, false, false).unwrap(), ["no writes are taken"]);
        assert_eq!(not_ready(&poisoned, None, true, false), None);
    }
}
