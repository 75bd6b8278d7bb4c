//! Trails and their status as tables.

use serde_json::{Value, json};

use crate::cli::terminal::table::{Align, Table};
use crate::cli::terminal::text::{bytes, thousands};
use crate::trails::setting::members::Member;
use crate::trails::sink::kind::SinkKind;

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".into(),
        Some(other) => other.to_string(),
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// A line for each trail, and below what is wrong with those that cannot be taken up.
pub fn list(answer: &Value, cells: usize) -> Vec<String> {
    let mut table = Table::new([("trail", Align::Whole), ("state", Align::Whole), ("sinks", Align::Left), ("filter", Align::Left)]);
    let trails = || answer.get("trails").and_then(Value::as_array).into_iter().flatten();
    for trail in trails() {
        let sinks = trail.get("sinks").and_then(Value::as_array).into_iter().flatten();
        let kinds: Vec<String> = sinks.map(|sink| text(sink, "type")).collect();
        table.row([text(trail, "name"), text(trail, "state"), kinds.join(", "), text(trail, "filter")]);
    }
    let mut lines = table.lines(&table.widths(cells), true);
    let problem = |trail: &Value| Some(format!("{}: {}", text(trail, "name"), trail.get("problem")?.as_str()?));
    lines.extend(trails().filter_map(problem).map(|line| crate::cli::terminal::text::printable(&line)));
    lines
}

/// How far a trail is: a line for each sink, and below what hinders it.
pub fn status(answer: &Value, cells: usize) -> Vec<String> {
    use Align::{Right, Whole};
    let heading = [
        ("sink", Whole),
        ("position", Right),
        ("behind", Right),
        ("seconds", Right),
        ("events", Right),
        ("objects", Right),
        ("bytes", Right),
        ("last delivery", Whole),
    ];
    let mut table = Table::new(heading);
    let sinks = || answer.get("sinks").and_then(Value::as_array).into_iter().flatten();
    for sink in sinks() {
        // The log may be too busy to say.
        let seconds = sink.get("lag_seconds").and_then(Value::as_f64).map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.0}"));
        let count = |name: &str| sink.get(name).and_then(Value::as_u64).map_or_else(|| "?".to_owned(), thousands);
        let (position, behind) = (number(sink, "position").to_string(), count("lag_events"));
        let (events, objects, size) = (count("delivered_events"), count("delivered_objects"), bytes(number(sink, "delivered_bytes")));
        table.row([text(sink, "type"), position, behind, seconds, events, objects, size, text(sink, "last_delivery_at")]);
    }
    let mut lines = vec![format!("{}: {}", text(answer, "name"), text(answer, "state"))];
    lines.extend(table.lines(&table.widths(cells), true));
    lines.extend(sinks().flat_map(troubles));
    lines.extend(answer.get("hold").and_then(held));
    for job in answer.get("backfills").and_then(Value::as_array).into_iter().flatten() {
        let shares = job.get("sinks").and_then(Value::as_array).into_iter().flatten();
        let least = shares.filter_map(|sink| sink.get("progress")?.as_f64()).fold(1.0, f64::min);
        let (id, state, from, to) = (text(job, "id"), text(job, "state"), text(job, "from"), text(job, "to"));
        lines.push(format!("backfill {id}: {state}, {:.0} %, from {from} to {to}", least * 100.0));
        let shares = job.get("sinks").and_then(Value::as_array).into_iter().flatten();
        lines.extend(shares.flat_map(troubles).map(|trouble| format!("backfill {id}: {trouble}")));
    }
    lines.iter().map(|line| crate::cli::terminal::text::printable(line)).collect()
}

/// What expiry waits for.
fn held(hold: &Value) -> Option<String> {
    let (held, max, gone) = (number(hold, "held_bytes"), number(hold, "bytes_max"), number(hold, "let_go_events"));
    let gone = if gone > 0 { format!("; {} events were dropped undelivered, because more waited", thousands(gone)) } else { String::new() };
    (held > 0 || !gone.is_empty()).then(|| format!("retention: {} of at most {} wait for trails{gone}", bytes(held), bytes(max)))
}

fn troubles(sink: &Value) -> Vec<String> {
    let kind = sink.get("type").and_then(Value::as_str).unwrap_or("sink").to_owned();
    let mut lines = Vec::new();
    let failed = number(sink, "failed_attempts");
    if let Some(error) = sink.get("last_error").and_then(Value::as_str) {
        let at = text(sink, "last_error_at");
        let whose = if sink.get("needs_operator") == Some(&Value::Bool(true)) { ", needs you" } else { "" };
        lines.push(format!("{kind}: last error at {at}{whose}: {error}"));
    }
    if failed > 0 {
        lines.push(format!("{kind}: {failed} attempts failed in a row; the next is at {}", text(sink, "next_retry_at")));
    }
    for (name, what) in [
        ("dead_letters", "events refused for good, in the trail's .dead file"),
        ("lost_events", "events gone before they were delivered"),
        ("gone_events", "events gone that are still to be delivered"),
    ] {
        if number(sink, name) > 0 {
            lines.push(format!("{kind}: {} {what}", thousands(number(sink, name))));
        }
    }
    lines
}

/// A line for each key of the digests.
pub fn keys(answer: &Value, cells: usize) -> Vec<String> {
    let mut table =
        Table::new([("fingerprint", Align::Whole), ("made", Align::Whole), ("signed until", Align::Whole), ("told until", Align::Whole)]);
    for key in answer.get("keys").and_then(Value::as_array).into_iter().flatten() {
        let until = if key.get("retired_at").is_some_and(Value::is_string) { text(key, "retired_at") } else { "signs".to_owned() };
        table.row([text(key, "fingerprint"), text(key, "created_at"), until, text(key, "valid_until")]);
    }
    table.lines(&table.widths(cells), true)
}

/// What a test of the sinks said.
pub fn test(answer: &Value) -> Vec<String> {
    let sinks = answer.get("sinks").and_then(Value::as_array).into_iter().flatten();
    let told = |sink: &Value| match sink.get("error").and_then(Value::as_str) {
        None => format!("{}: ok", text(sink, "type")),
        Some(error) => format!("{}: {error}", text(sink, "type")),
    };
    sinks.map(|sink| crate::cli::terminal::text::printable(&told(sink))).collect()
}

/// A kind of sink with its members, for programs.
pub fn kind(kind: &SinkKind) -> Value {
    let member =
        |member: &Member| json!({ "name": member.name, "form": member.form.told(), "required": member.required, "doc": member.doc });
    let batch = json!({ "events": kind.batch.events, "bytes": kind.batch.bytes, "seconds": kind.batch.delay.as_secs_f64() });
    json!({ "type": kind.name, "doc": kind.doc, "members": kind.members.iter().map(member).collect::<Vec<_>>(), "batch": batch })
}

/// The kinds of sinks with their members.
pub fn kinds(kinds: &[&SinkKind]) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in kinds {
        let batch = kind.batch;
        lines.push(format!("{}: {}", kind.name, kind.doc));
        for member in kind.members {
            let must = if member.required { ", must be there" } else { "" };
            lines.push(format!("    {}: {} ({}{must})", member.name, member.doc, member.form.told()));
        }
        let delay = batch.delay.as_secs_f64();
        lines.push(format!("    batch: at most {} events, {}, {delay} s", batch.events, bytes(batch.bytes)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hinders_a_sink_is_below_the_table() {
        let sink = json!({"type": "s3", "position": 5708, "lag_events": 1200, "lag_seconds": 61.2, "delivered_events": 4508,
            "delivered_objects": 3, "delivered_bytes": 81234, "last_delivery_at": null, "last_error": "no bucket `x`\u{1b}[2J",
            "last_error_at": "2026-11-22T08:00:00Z", "needs_operator": true, "failed_attempts": 4, "next_retry_at": "2026-11-22T08:01:00Z",
            "dead_letters": 2, "lost_events": 0});
        let job = json!({"id": 1, "state": "running", "from": "a", "to": "b", "sinks": [{"progress": 0.5}, {"progress": 0.25}]});
        let lines = status(&json!({"name": "all", "state": "enabled", "sinks": [sink], "backfills": [job]}), 160);
        assert_eq!(lines[0], "all: enabled");
        assert!(lines[2].contains("s3") && lines[2].contains("1,200") && lines[2].contains("79.3 KiB"), "{lines:?}");
        assert!(lines[3].starts_with("s3: last error at 2026-11-22T08:00:00Z, needs you: no bucket `x`") && !lines[3].contains('\u{1b}'));
        assert_eq!(lines[4], "s3: 4 attempts failed in a row; the next is at 2026-11-22T08:01:00Z");
        assert_eq!(lines[5], "s3: 2 events refused for good, in the trail's .dead file");
        assert_eq!(lines[6], "backfill 1: running, 25 %, from a to b");
        let hold = json!({"held_bytes": 2048, "bytes_max": 4096, "let_go_events": 7});
        let job = json!({"id": 1, "state": "running", "sinks": [{"progress": 0.5, "last_error": "away", "last_error_at": "t"}]});
        let lines = status(
            &json!({"name": "all", "state": "enabled", "sinks": [{"type": "s3", "lag_events": null}], "backfills": [job], "hold": hold}),
            160,
        );
        assert!(lines[2].contains('?'), "{lines:?}");
        assert_eq!(
            lines[3],
            "retention: 2.0 KiB of at most 4.0 KiB wait for trails; 7 events were dropped undelivered, because more waited"
        );
        assert_eq!(lines[5], "backfill 1: sink: last error at t: away");
    }

    #[test]
    fn a_list_has_a_line_a_trail() {
        let lines = list(&json!({"trails": [{"name": "all", "state": "fresh", "sinks": [{"type": "file"}], "filter": ""}]}), 100);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("fresh") && lines[1].contains("file"));
        let lines = list(&json!({"trails": [{"name": "all", "state": "damaged", "problem": "remove it\u{1b}", "sinks": []}]}), 100);
        assert!(lines[1].contains("damaged") && lines[2].starts_with("all: remove it") && !lines[2].contains('\u{1b}'), "{lines:?}");
    }
}
