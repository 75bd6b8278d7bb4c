//! The key pairs with which digests are signed: which there are, and a new one in the place of the one that signs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::id::Timestamp;

use crate::api::context::Context;
use crate::api::native::page::paid_json;
use crate::api::native::trails::{refused, trails};
use crate::api::refusal::Refusal;
use crate::trails::keeping::key_pair::PublicKey;

/// `GET /v1/digest-keys`
pub(super) async fn list(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    let keyring = trails(&context)?.keyring().clone();
    let keys = context.backend.hands().compute.run(move || keyring.public(i64::MIN, i64::MAX)).await.map_err(refused)?;
    paid_json(&context, &shown(&keys))
}

/// `POST /v1/digest-keys/rotate`
pub(super) async fn rotate(State(context): State<Arc<Context>>) -> Result<Response, Refusal> {
    let keyring = trails(&context)?.keyring().clone();
    let now = SystemClock::new().now().as_millis().div_euclid(1_000);
    let keys = context.backend.hands().compute.run(move || keyring.rotate(now)).await.map_err(refused)?;
    if let Some(key) = keys.last() {
        tracing::info!(fingerprint = key.fingerprint, "digests are signed with another key");
    }
    paid_json(&context, &shown(&keys))
}

fn shown(keys: &[PublicKey]) -> Value {
    let time = |seconds: i64| Timestamp::from_seconds(seconds).unwrap_or(Timestamp::MAX).to_string();
    let key = |key: &PublicKey| {
        json!({
            "fingerprint": key.fingerprint, "public_key": STANDARD.encode(&key.der), "created_at": time(key.created_at),
            "retired_at": key.retired_at.map(time), "valid_from": time(key.valid_from()), "valid_until": time(key.valid_until()),
        })
    };
    json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() })
}
