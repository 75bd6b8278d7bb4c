//! What the routes answer while the log is being opened: the process is up, and everything else has to wait.

use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use serde_json::{Value, json};

use crate::api::native::health;
use crate::api::refusal::Refusal;
use crate::api::route::Route;

const REASON: &str = "recovering: the log is being opened";

/// The handler of a route until the log is open.
pub fn while_opening(route: &Route) -> MethodRouter {
    match route.path {
        "/healthz" => get(health::alive),
        "/readyz" => get(async || {
            let refusal = wait("not_ready");
            refusal.with("ready", Value::Bool(false)).with("reasons", json!([REASON]))
        }),
        // A method that is no filter has no route; axum knows all that are in the table.
        _ => MethodFilter::try_from(route.method.clone())
            .map_or_else(|_| MethodRouter::new(), |method| on(method, async || wait("recovering"))),
    }
}

fn wait(code: &'static str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, REASON).retry_after(1)
}
