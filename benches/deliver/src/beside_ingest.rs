//! What ingest pays for a trail: the same load, at a planned rate, without and with one that delivers everything meanwhile, in turn.

use serde_json::{Value, json};
use trail_rig::{Result, grouped};

use crate::delivered::{read, require};
use crate::ground::{Ground, row};
use crate::subject::{Subject, folder_sink};
use crate::times::in_thousand;

/// Measures in turn.
pub(crate) fn measure(ground: &Ground<'_>) -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut behind = Vec::new();
    for _ in 0..ground.arguments.rounds {
        without.push(round(ground, false)?.0);
        let (p99, late) = round(ground, true)?;
        with.push(p99);
        behind.push(late);
    }
    let (without, with) = (in_thousand(&mut without, 500), in_thousand(&mut with, 500));
    row(
        &format!("p99 of a request at {} events/s: without a trail, with one of everything to a folder", grouped(ground.arguments.rate)),
        &format!("{without:.2} ms, {with:.2} ms ({:+.0} %)", (with / without.max(1e-9) - 1.0) * 100.0),
        "+10 %",
    );
    row("after the last request the trail was done within", &format!("{:.1} s", in_thousand(&mut behind, 1_000)), "");
    Ok(())
}

/// The p99 of a request in milliseconds, and how long the trail took to the end.
fn round(ground: &Ground<'_>, with: bool) -> Result<(f64, f64)> {
    let subject = Subject::start(ground, &[])?;
    let place = subject.place("all");
    if with {
        subject.begin(&[json!({"name": "all", "start": "oldest", "start_now": true, "sinks": [folder_sink(&place, json!({}))]})])?;
    }
    let a = ground.arguments;
    let words = [
        "--rate",
        &a.rate.to_string(),
        "--seconds",
        &a.seconds.to_string(),
        "--seed",
        &a.seed.to_string(),
        "--batch",
        "100",
        "--connections",
        "8",
    ];
    let said = subject.store(&words.map(str::to_owned))?;
    let p99 = said["latency_ms"]["p99"].as_f64().ok_or("the load says no p99")?;
    let mut late = 0.0;
    if with {
        late = subject.arrive("all")?.as_secs_f64();
        require("all", read(&place)?.events, said.get("events").and_then(Value::as_u64).unwrap_or_default())?;
    }
    subject.stop()?;
    Ok((p99, late))
}
