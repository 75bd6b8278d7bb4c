//! Trails: making, changing, starting, stopping, watching and trying them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::error::{Error, ErrorKind};
use trail_engine::id::Timestamp;
use trail_engine::query::Moment;

use crate::api::body::{Limits, read};
use crate::api::context::Context;
use crate::api::native::page::paid_json;
use crate::api::params::{PathText, invalid, path_text};
use crate::api::refusal::Refusal;
use crate::trails::definition::Definition;
use crate::trails::roster::all::Trails;
use crate::trails::roster::status;

/// The longest body: a definition with the keys of eight sinks.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// The name of a trail and the number of one of its backfills.
type PathJob = Result<Path<(String, String)>, PathRejection>;

/// The trails of a server that has some.
pub(super) fn trails(context: &Context) -> Result<&Trails, Refusal> {
    let none = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "read_only", "the server is open for reading only: it has no trails");
    context.trails.as_ref().ok_or_else(none)
}

/// What the trails say, as an answer: what is wrong with a definition is the client's, and told whole.
pub(super) fn refused(error: Error) -> Refusal {
    let message = error.message().to_owned();
    match error.kind() {
        ErrorKind::Invalid => Refusal::bad_request("invalid_trail", message),
        ErrorKind::NotFound => Refusal::not_found(message),
        ErrorKind::Locked => Refusal::new(StatusCode::CONFLICT, "trail_exists", message),
        ErrorKind::Limit => Refusal::new(StatusCode::CONFLICT, "too_many", message),
        _ => Refusal::from(error),
    }
}

async fn body_of(context: &Context, body: Body) -> Result<Value, Refusal> {
    let config = &context.config;
    let mut reservation = context.backend.bodies().reservation();
    let limits = Limits { bytes_max: BODY_BYTES_MAX, time_max: config.body_timeout, rate_min: config.body_rate_min };
    let bytes = read(body, limits, &mut reservation).await?;
    serde_json::from_slice(&bytes).map_err(|e| Refusal::bad_request("invalid_json", format!("the body is no JSON: {e}")))
}

fn answer(context: &Context, status: StatusCode, value: &Value) -> Result<Response, Refusal> {
    let mut response = paid_json(context, value)?;
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /v1/trails`
pub(super) async fn list(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    let trails = trails(&context)?;
    let mut shown = trails.unread().await;
    for trail in trails.all().await {
        shown.insert(trail.definition.name.clone(), Trails::shown(&trail).await);
    }
    paid_json(&context, &json!({ "trails": shown.into_values().collect::<Vec<_>>() }))
}

/// `POST /v1/trails`
pub(super) async fn create(State(context): State<Arc<Context>>, body: Body) -> Result<Response, Refusal> {
    let value = body_of(&context, body).await?;
    let trails = trails(&context)?;
    let trail = trails.create(&value).await.map_err(refused)?;
    if Definition::starts_now(&value) {
        trails.start(&trail.definition.name).await.map_err(refused)?;
    }
    answer(&context, StatusCode::CREATED, &Trails::shown(&trail).await)
}

/// `GET /v1/trails/{trail}`
pub(super) async fn show(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    let trails = trails(&context)?;
    if let Some(unread) = trails.unread().await.get(&name) {
        return paid_json(&context, unread);
    }
    let trail = trails.named(&name).await.map_err(refused)?;
    paid_json(&context, &Trails::shown(&trail).await)
}

/// `PUT /v1/trails/{trail}`
pub(super) async fn replace(State(context): State<Arc<Context>>, path: PathText, body: Body) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    let value = body_of(&context, body).await?;
    let trails = trails(&context)?;
    let trail = trails.replace(&name, &value).await.map_err(refused)?;
    if Definition::starts_now(&value) {
        trails.start(&name).await.map_err(refused)?;
    }
    paid_json(&context, &Trails::shown(&trail).await)
}

/// `DELETE /v1/trails/{trail}`
pub(super) async fn remove(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    trails(&context)?.remove(&name).await.map_err(refused)?;
    paid_json(&context, &json!({ "removed": name }))
}

/// `POST /v1/trails/{trail}/start`
pub(super) async fn start(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    trails(&context)?.start(&name).await.map_err(refused)?;
    status_of(&context, &name).await
}

/// `POST /v1/trails/{trail}/stop`
pub(super) async fn stop(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    trails(&context)?.stop(&name).await.map_err(refused)?;
    status_of(&context, &name).await
}

/// `GET /v1/trails/{trail}/status`
pub(super) async fn status(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    status_of(&context, &name).await
}

async fn status_of(context: &Context, name: &str) -> Result<Response, Refusal> {
    let trail = trails(context)?.named(name).await.map_err(refused)?;
    paid_json(context, &status::status(&trail, &context.backend).await)
}

/// `POST /v1/trails/{trail}/test`
pub(super) async fn test(State(context): State<Arc<Context>>, path: PathText) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    let trail = trails(&context)?.named(&name).await.map_err(refused)?;
    let results = trail.test().await;
    let told = |(sink, result): (&crate::trails::definition::SinkDefinition, &Result<(), String>)| json!({ "type": sink.kind.name, "ok": result.is_ok(), "error": result.as_ref().err() });
    let sinks: Vec<Value> = trail.definition.sinks.iter().zip(&results).map(told).collect();
    paid_json(&context, &json!({ "ok": results.iter().all(Result::is_ok), "sinks": sinks }))
}

/// `POST /v1/trails/{trail}/backfill`
pub(super) async fn backfill(State(context): State<Arc<Context>>, path: PathText, body: Body) -> Result<Response, Refusal> {
    let name = path_text(path, "trail")?;
    let value = body_of(&context, body).await?;
    let now = SystemClock::new().now();
    let time = |member: &str| {
        let read = match value.get(member) {
            Some(Value::String(text)) => Moment::parse(text).ok().map(|moment| moment.resolve(now)),
            Some(Value::Number(millis)) => millis.as_i64().and_then(Timestamp::from_millis),
            _ => None,
        };
        read.ok_or_else(|| invalid(format!("`{member}` must be a time: 2026-11-22T08:00:00Z, 2026-11-22, epoch milliseconds, or now-2h")))
    };
    let job = trails(&context)?.backfill(&name, time("from")?, time("to")?).await.map_err(refused)?;
    answer(&context, StatusCode::ACCEPTED, &status::job(&job, &[]))
}

/// `POST /v1/trails/{trail}/backfill/{job}/cancel`
pub(super) async fn cancel(State(context): State<Arc<Context>>, path: PathJob) -> Result<Response, Refusal> {
    let (name, id) = job_of(path)?;
    let job = trails(&context)?.cancel_backfill(&name, id).await.map_err(refused)?;
    paid_json(&context, &status::job(&job, &[]))
}

/// `POST /v1/trails/{trail}/backfill/{job}/resume`
pub(super) async fn resume(State(context): State<Arc<Context>>, path: PathJob) -> Result<Response, Refusal> {
    let (name, id) = job_of(path)?;
    let job = trails(&context)?.resume_backfill(&name, id).await.map_err(refused)?;
    paid_json(&context, &status::job(&job, &[]))
}

fn job_of(path: PathJob) -> Result<(String, u64), Refusal> {
    let Path((name, id)) = path.map_err(|_| invalid("the path is not UTF-8"))?;
    let id = id.parse().map_err(|_| invalid("`job` must be a whole number"))?;
    Ok((name, id))
}
