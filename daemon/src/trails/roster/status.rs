//! What is shown of a trail at work: positions, lag, the last error, the next attempt.

use std::sync::Arc;

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
use crate::trails::work::live::{Live, Now};

/// All event times: a trail goes by sequences.
const FROM: &str = "1678-01-01T00:00:00Z";
const TO: &str = "2262-01-01T00:00:00Z";

/// How far the log is read for the oldest event that is not delivered, in readings.
const READINGS_MAX: usize = 64;

/// The status of a trail. What the log cannot say now, as when too many ask, is left out.
pub async fn status(trail: &Trail, backend: &Backend) -> Value {
    let kept = trail.ledger.kept().await;
    let beginning = Some(trail.beginning.now()).filter(|now| now.next_retry_at.is_some());
    let live = trail.live(None).await;
    let mut sinks = Vec::new();
    for (i, (definition, progress)) in trail.definition.sinks.iter().zip(&kept.sinks).enumerate() {
        let at_work = live.as_ref().map(|live| live.get(i).map(|live| live.now()));
        let now = at_work.unwrap_or_else(|| beginning.clone()).unwrap_or_default();
        let position = now.position.max(progress.after());
        let lag = match progress.position {
            Some(_) => lag(backend, &trail.definition.filter, position).await,
            None => Ok(Lag::default()),
        };
        // What is gone of what nobody has delivered; a part of it may still be on its way.
        let gone = progress.position.map_or(0, |_| backend.oldest_sequence().0.saturating_sub(position.0.saturating_add(1)));
        sinks.push(sink(definition.kind.name, progress, position, &now, lag, gone));
    }
    let mut backfills = Vec::new();
    for job in &kept.backfills {
        backfills.push(self::job(job, &trail.live(Some(job.id)).await.unwrap_or_default()));
    }
    let begin_error = beginning.and_then(|now| now.last_trouble).map(|trouble| trouble.message);
    let mut status = json!({
        "name": trail.definition.name, "state": kept.state.name(), "created_at": time(kept.created_at_ms),
        "changed_at": time(kept.changed_at_ms), "last_sequence": backend.last_sequence().0, "begin_error": begin_error, "sinks": sinks,
        "backfills": backfills,
    });
    if trail.definition.hold_retention {
        let stats = backend.stats();
        status["hold"] =
            json!({ "held_bytes": stats.held_bytes, "bytes_max": backend.hold_bytes_max(), "let_go_events": stats.let_go_events });
    }
    status
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
    let since = oldest_behind(backend, filter, position).await?.map_or(0, |at| SystemClock::new().now().0.saturating_sub(at.0));
    Ok(Lag { events, seconds: (since.max(0) / 1_000_000) as f64 / 1_000.0 })
}

/// When the oldest matching event behind a position was received; where it is too far away, when the last that was looked at was, which is before it.
async fn oldest_behind(backend: &Backend, filter: &str, position: Sequence) -> Result<Option<Timestamp>> {
    let mut after = position;
    for _ in 0..READINGS_MAX {
        let page = backend.follow(vec![filter.into()], after, 1, u64::MAX).await?;
        if let Some(oldest) = page.events.first() {
            return Ok(Some(oldest.event.received_at));
        }
        if page.position <= after {
            return Ok(None);
        }
        after = page.position;
    }
    let next = backend.follow(vec!["".into()], after, 1, u64::MAX).await?;
    Ok(next.events.first().map(|next| next.event.received_at))
}

fn sink(kind: &str, progress: &Progress, position: Sequence, now: &Now, lag: Result<Lag>, gone: u64) -> Value {
    let (events, seconds) = lag.as_ref().map_or((None, None), |lag| (Some(lag.events), Some(lag.seconds)));
    let mut sink = json!({
        "type": kind, "position": position.0, "lag_events": events, "lag_seconds": seconds,
        "lag_error": lag.as_ref().err().map(|error| error.message().to_owned()),
        "delivered_events": progress.delivered_events, "delivered_objects": progress.delivered_objects,
        "delivered_bytes": progress.delivered_bytes, "last_delivery_at": progress.last_delivery_at_ms.map(time),
        "dead_letters": progress.dead_letters, "lost_events": progress.lost_sequences, "gone_events": gone,
    });
    hindrance(&mut sink, now);
    sink
}

/// What hinders a sink.
fn hindrance(sink: &mut Value, now: &Now) {
    let trouble = now.last_trouble.as_ref();
    sink["last_error"] = json!(trouble.map(|trouble| trouble.message.as_str()));
    sink["last_error_at"] = json!(trouble.map(|trouble| trouble.at.to_string()));
    sink["needs_operator"] = json!(trouble.is_some_and(|trouble| trouble.needs_operator));
    sink["failed_attempts"] = json!(now.failures);
    sink["next_retry_at"] = json!(now.next_retry_at.map(|at| at.to_string()));
}

/// What is shown of a backfill, with what is known of its sinks while they work.
#[must_use]
pub fn job(job: &Backfill, live: &[Arc<Live>]) -> Value {
    let now = |i: usize| live.get(i).map(|live| live.now()).unwrap_or_default();
    let sinks: Vec<Value> = job.sinks.iter().enumerate().map(|(i, sink)| share(job, sink, &now(i))).collect();
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

fn share(job: &Backfill, sink: &Progress, now: &Now) -> Value {
    let whole = job.last.saturating_sub(job.first).saturating_add(1);
    let done = sink.after().0.min(job.last).saturating_add(1).saturating_sub(job.first);
    let mut share = json!({
        "position": sink.after().0, "progress": if whole == 0 { 1.0 } else { done as f64 / whole as f64 },
        "delivered_events": sink.delivered_events, "delivered_objects": sink.delivered_objects, "delivered_bytes": sink.delivered_bytes,
        "dead_letters": sink.dead_letters, "lost_events": sink.lost_sequences,
    });
    hindrance(&mut share, now);
    share
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trail_engine::error::{Error, ErrorKind};

    use super::*;
    use crate::config::Config;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_behind_has_an_age_also_where_little_matches() {
        const EVENTS: usize = 120_000;
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        let backend = Backend::open(config.data_dir.clone(), config.engine_options().unwrap(), &config).await.unwrap();
        let (mut body, mut spans) = (Vec::new(), Vec::new());
        for i in 1..=EVENTS {
            let start = body.len();
            body.extend_from_slice(format!(r#"{{"about":{{"rare":{}}}}}"#, i == EVENTS).as_bytes());
            spans.push(start..body.len());
        }
        backend.append(body.into(), spans).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
        let behind = lag(&backend, "about.rare:true", Sequence(7)).await.unwrap();
        assert!(behind.events == 1 && behind.seconds >= 0.05, "{behind:?}");
        let none = lag(&backend, "about.rare:maybe", Sequence(7)).await.unwrap();
        assert_eq!((none.events, none.seconds), (0, 0.0));
    }

    #[test]
    fn a_log_that_is_busy_leaves_out_the_lag_alone() {
        let busy = Err(Error::new(ErrorKind::Busy, "too many ask"));
        let shown = sink("file", &Progress { position: Some(7), ..Progress::default() }, Sequence(7), &Now::default(), busy, 2);
        assert!(shown["lag_events"].is_null() && shown["lag_seconds"].is_null(), "{shown}");
        assert_eq!((&shown["lag_error"], &shown["position"], &shown["gone_events"]), (&json!("too many ask"), &json!(7), &json!(2)));
    }
}
