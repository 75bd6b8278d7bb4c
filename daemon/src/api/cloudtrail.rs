//! What CloudTrail's verifier of digests asks: `DescribeTrails` and `ListPublicKeys`, in AWS's JSON 1.1 at `POST /`.
//!
//! `aws cloudtrail validate-logs --endpoint-url http://SERVER` reads from here where the files of a trail are and with which keys their
//! digests were signed, and everything else from the bucket. Limits: AWS's tools sign their requests with keys of AWS's kind and can send no token
//! of this server; a server with keys in its configuration refuses them like any request without a token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::api::body::{Limits, read};
use crate::api::context::Context;
use crate::api::refusal::Refusal;
use crate::api::route::{Access, RequestBody, Route};
use crate::config::Scope;
use crate::trails::roster::all::Trails;
use crate::trails::sink::object::{cloudtrail, digest};

const KIND: &str = "application/x-amz-json-1.1";
/// The longest request.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// The route of these operations.
#[must_use]
pub fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::POST,
        path: "/",
        access: Access::Needs(Scope::Query),
        summary: "what CloudTrail's verifier of digests asks",
        parameters: &[],
        body: RequestBody::None,
        good: "200",
        answers: &[KIND],
        schema: "",
        handler: post(answer),
    }]
}

async fn answer(State(context): State<Arc<Context>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    let limits = Limits { bytes_max: BODY_BYTES_MAX, time_max: context.config.body_timeout, rate_min: context.config.body_rate_min };
    let mut reservation = context.backend.bodies().reservation();
    let bytes = read(body, limits, &mut reservation).await?;
    let request = if bytes.is_empty() { Ok(json!({})) } else { serde_json::from_slice::<Value>(&bytes) };
    let Ok(request) = request else { return Ok(refused("SerializationException", "the body is no JSON")) };
    let Some(trails) = context.trails.as_ref() else {
        return Ok(refused("OperationNotPermittedException", "the server is open for reading only: it has no trails"));
    };
    match target.rsplit('.').next().unwrap_or_default() {
        "DescribeTrails" => Ok(described(trails, &request).await),
        "ListPublicKeys" => public_keys(&context, trails, &request).await,
        _ => Ok(refused("UnknownOperationException", "DescribeTrails and ListPublicKeys are answered here")),
    }
}

async fn described(trails: &Trails, request: &Value) -> Response {
    let wanted: Vec<&str> = request["trailNameList"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut list = Vec::new();
    for trail in trails.all().await {
        let members = trail.definition.sinks.iter().filter_map(|sink| sink.members().ok());
        let found = members.filter_map(|members| cloudtrail::described(&trail.definition.name, &members));
        let is_wanted = |trail: &Value| {
            let named = |name: &str| trail["Name"] == name || trail["TrailARN"] == name;
            wanted.is_empty() || wanted.iter().any(|name| named(name))
        };
        list.extend(found.filter(is_wanted));
    }
    good(&json!({ "trailList": list }))
}

async fn public_keys(context: &Context, trails: &Trails, request: &Value) -> Result<Response, Refusal> {
    let time = |name: &str| request[name].as_f64().map(|seconds| seconds as i64);
    let (from, to) = (time("StartTime").unwrap_or(i64::MIN), time("EndTime").unwrap_or(i64::MAX));
    let keyring = trails.keyring().clone();
    let keys = context.backend.hands().compute.run(move || keyring.public(from, to)).await?;
    Ok(good(&json!({ "PublicKeyList": keys.iter().map(digest::listed).collect::<Vec<_>>() })))
}

fn good(value: &Value) -> Response {
    written(StatusCode::OK, value)
}

fn refused(code: &str, message: &str) -> Response {
    written(StatusCode::BAD_REQUEST, &json!({ "__type": code, "message": message }))
}

fn written(status: StatusCode, value: &Value) -> Response {
    let mut response = (status, value.to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    response
}
