//! What is shown of a trail at work: positions, lag, the last error, the next attempt.

use serde_json::{Value, json};
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::error::Result;
use trail_engine::id::{Sequence, Timestamp};
use trail_engine::query::Selection;

use crate::backend::Backend;
use crate::trails::keeping::kept::{Backfill, Progress};
use crate::trails::roster::trail::Trail;
use crate::trails::work::live::Now;

/// All event times: a trail goes by sequences.
const FROM: &str = "1678-01-01T00:00:00Z";
const TO: &str = "2262-01-01T00:00:00Z";

/// The status of a trail.
///
/// # Errors
/// When the log cannot be asked how much is left.
pub async fn status(trail: &Trail, backend: &Backend) -> Result<Value> {
    let kept = trail.ledger.kept().await;
    let live = trail.live().await;
    let mut sinks = Vec::new();
    for (i, (definition, progress)) in trail.definition.sinks.iter().zip(&kept.sinks).enumerate() {
        let now = live.as_ref().and_then(|live| live.get(i)).map(|live| live.now()).unwrap_or_default();
        let position = now.position.max(progress.after());
        let lag = match progress.position {
            Some(_) => lag(backend, &trail.definition.filter, position).await?,
            None => Lag::default(),
        };
        sinks.push(sink(definition.kind.name, progress, position, &now, &lag));
    }
    let backfills: Vec<Value> = kept.backfills.iter().map(job).collect();
    Ok(json!({
        "name": trail.definition.name, "state": kept.state.name(), "created_at": time(kept.created_at_ms),
        "changed_at": time(kept.changed_at_ms), "last_sequence": backend.last_sequence().0, "sinks": sinks, "backfills": backfills,
    }))
}

/// How much is not delivered yet.
#[derive(Debug, Clone, Copy, Default)]
struct Lag {
    events: u64,
    seconds: f64,
}

async fn lag(backend: &Backend, filter: &str, position: Sequence) -> Result<Lag> {
    if position >= backend.last_sequence() {
        return Ok(Lag::default());
    }
    let behind = format!("sequence:>{position}");
    let q = if filter.is_empty() { behind } else { format!("({filter}) {behind}") };
    let selection = Selection { q, from: Some(FROM.into()), to: Some(TO.into()) };
    let events = backend.ask(move |log: &AuditLog, cancel: &Cancel| Ok(log.count(&selection, cancel)?.count)).await?;
    if events == 0 {
        return Ok(Lag::default());
    }
    let oldest = backend.follow(vec![filter.into()], position, 1, u64::MAX).await?;
    let since = oldest.events.first().map_or(0, |oldest| SystemClock::new().now().0.saturating_sub(oldest.event.received_at.0));
    Ok(Lag { events, seconds: (since.max(0) / 1_000_000) as f64 / 1_000.0 })
}

fn sink(kind: &str, progress: &Progress, position: Sequence, now: &Now, lag: &Lag) -> Value {
    let trouble = now.last_trouble.as_ref();
    json!({
        "type": kind, "position": position.0, "lag_events": lag.events, "lag_seconds": lag.seconds,
        "delivered_events": progress.delivered_events, "delivered_objects": progress.delivered_objects,
        "delivered_bytes": progress.delivered_bytes, "last_delivery_at": progress.last_delivery_at_ms.map(time),
        "last_error": trouble.map(|trouble| trouble.message.as_str()), "last_error_at": trouble.map(|trouble| trouble.at.to_string()),
        "needs_operator": trouble.is_some_and(|trouble| trouble.needs_operator),
        "failed_attempts": now.failures, "next_retry_at": now.next_retry_at.map(|at| at.to_string()),
        "dead_letters": progress.dead_letters, "lost_events": progress.lost_sequences,
    })
}

/// What is shown of a backfill.
#[must_use]
pub fn job(job: &Backfill) -> Value {
    let sinks: Vec<Value> = job.sinks.iter().map(|sink| share(job, sink)).collect();
    let state = match (job.is_done(), job.cancelled) {
        (true, _) => "done",
        (false, true) => "cancelled",
        (false, false) => "running",
    };
    json!({
        "id": job.id, "from": time(job.from_ms), "to": time(job.to_ms), "first_sequence": job.first, "last_sequence": job.last,
        "state": state, "sinks": sinks,
    })
}

fn share(job: &Backfill, sink: &Progress) -> Value {
    let whole = job.last.saturating_sub(job.first).saturating_add(1);
    let done = sink.after().0.min(job.last).saturating_add(1).saturating_sub(job.first);
    json!({
        "position": sink.after().0, "progress": if whole == 0 { 1.0 } else { done as f64 / whole as f64 },
        "delivered_events": sink.delivered_events, "delivered_objects": sink.delivered_objects, "delivered_bytes": sink.delivered_bytes,
    })
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX).to_string()
}
