//! `webhook`: batches posted to any URL, one event a line, signed.
//!
//! The body is NDJSON, the events verbatim. `X-Traild-Signature: t=SECONDS,v1=HEX` has the time of the attempt and the HMAC-SHA256 of
//! `SECONDS.BODY` under the secret, as Stripe's webhooks do: a receiver computes it again, compares, and refuses old times.
//! `Idempotency-Key` is the same whenever the same batch is sent again, also after a crash, so that a receiver that keeps the last
//! ones takes each event once; `X-Traild-Batch`, `X-Traild-First-Sequence` and `X-Traild-Last-Sequence` say the same in parts.
//! Any 2xx means that the receiver has the batch.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::Method;
use hyper::http::header::HeaderMap;
use ring::hmac;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::error::Error;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::caller::{Call, Caller, put};
use crate::trails::sink::http::members::{CA_FILE, HEADERS, TIMEOUT, caller};
use crate::trails::sink::http::verdict::judge;
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::object::ndjson::write_lines;
use crate::trails::sink::seam::{Delivered, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "webhook",
    doc: "batches posted to a URL, one event a line, with a signature",
    members: &[
        Member::new("url", Form::Text, "where batches are posted, http:// or https://").required(),
        Member::new("secret", Form::Secret, "signs every request: X-Traild-Signature"),
        HEADERS,
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: 5_000, bytes: 4 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

#[derive(Debug)]
struct Webhook {
    caller: Caller,
    path: String,
    trail: String,
    key: Option<hmac::Key>,
    hands: Hands,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let caller = caller(&order.members, None)?;
    let address = caller.address();
    let query = address.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", if address.path.is_empty() { "/" } else { &address.path });
    let key = order.members.secret("secret")?.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    Ok(Box::new(Webhook { caller, path, trail: order.trail.to_owned(), key, hands: order.hands.clone() }))
}

/// `t=SECONDS,v1=HEX`
fn signature(key: &hmac::Key, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// The same for every attempt at a batch, and for no other batch: sequences begin again in a new log, times of receipt do not.
fn idempotency_key(batch: &Batch) -> String {
    let received = batch.events.first().map_or(0, |event| event.received_at.as_millis());
    format!("{}-{}-{}-{received}", batch.trail, batch.first, batch.last)
}

impl Webhook {
    async fn post(&self, about: &[(&str, String)], body: Bytes) -> Result<(), Fault> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| put(&mut headers, name, value, false).map_err(Fault::setup);
        add("content-type", "application/x-ndjson")?;
        add("x-traild-trail", &self.trail)?;
        if let Some(key) = &self.key {
            let seconds = SystemClock::new().now().as_millis() / 1_000;
            add("x-traild-signature", &signature(key, seconds, &body))?;
        }
        for (name, value) in about {
            add(name, value)?;
        }
        let answer = self.caller.call(&Call { method: Method::POST, path: self.path.clone(), headers, body }).await?;
        judge(self.caller.address(), &answer, None)
    }
}

impl Sink for Webhook {
    fn names_batches(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let copy = batch.clone();
            let lines = self.hands.compute.run(move || {
                let mut lines = Vec::with_capacity(usize::try_from(copy.bytes).unwrap_or(0) + copy.events.len());
                write_lines(&copy, &mut lines).map_err(|e| Error::io("cannot write lines", e))?;
                Ok(Bytes::from(lines))
            });
            let body = lines.await.map_err(|e| Fault::later(format!("a batch cannot be written now: {e}")))?;
            let bytes = body.len() as u64;
            let about = [
                ("idempotency-key", idempotency_key(batch)),
                ("x-traild-batch", batch.number.to_string()),
                ("x-traild-first-sequence", batch.first.to_string()),
                ("x-traild-last-sequence", batch.last.to_string()),
                ("x-traild-events", batch.events.len().to_string()),
            ];
            self.post(&about, body).await?;
            Ok(Delivered { objects: 1, bytes, ..Delivered::default() })
        })
    }

    /// Posts no events: a receiver sees `X-Traild-Probe` and an empty body.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async move { self.post(&[("x-traild-probe", "1".to_owned())], Bytes::new()).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_that_openssl_makes() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"geheim");
        // printf '1700000000.{"a":1}\n' | openssl dgst -sha256 -hmac geheim
        let wanted = "t=1700000000,v1=35146cd252b23dad43ef667e0c182705a9fec9a49d69e6ab51aa9fdf112476f5";
        assert_eq!(signature(&key, 1_700_000_000, b"{\"a\":1}\n"), wanted);
    }
}
