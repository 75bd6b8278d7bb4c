//! Ingest as fast as it is acknowledged, without and with a trail of everything to a folder that follows from now on, in turn: what ingest pays, and whether
//! the trail keeps up.
//!
//! A closed loop takes all of the machine that it can get, so that a trail that needs a part of it either slows ingest or falls behind; the rows say both. It keeps up
//! when in every round it delivered as much as came in, but for what is gathered and under way: it has delivered 85 % by the last answer, is behind by less than two
//! seconds of ingest, and no further than at half of it by more than a batch. Limits: what falls behind more slowly than that is seen only with more `--seconds`;
//! with fewer than the ten of the default, what is under way alone can be more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use trail_rig::{Connection, Result, grouped};

use crate::delivered::{read, require};
use crate::ground::{Ground, row};
use crate::subject::{Subject, folder_sink};
use crate::times::in_thousand;

const TRAIL: &str = "now";
/// How often it is looked how far the trail is: so seldom that nobody pays for it.
const LOOK: Duration = Duration::from_millis(200);
/// The most events of a batch of the sink, and the most seconds.
const BATCH: f64 = 50_000.0;
const BATCH_SECONDS: f64 = 1.0;
/// What may be gathered or under way at the end, in seconds of ingest.
const UNDER_WAY: f64 = 2.0;
/// How much of what came in must be delivered by then.
const SHARE: f64 = 0.85;

/// How far the log and the trail were at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    stored: u64,
    delivered: u64,
}

impl Look {
    fn behind(self) -> f64 {
        self.stored.saturating_sub(self.delivered) as f64
    }
}

/// What came of a round: events a second, events, seconds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    ingested: f64,
    delivered: f64,
    behind_half: f64,
    behind_end: f64,
    caught_up: f64,
}

impl Pace {
    fn keeps_up(&self) -> bool {
        let batch = BATCH.min(BATCH_SECONDS * self.ingested);
        self.delivered >= SHARE * self.ingested
            && self.behind_end < UNDER_WAY * self.ingested
            && self.behind_end <= self.behind_half + batch
    }
}

/// Measures in turn.
pub(crate) fn measure(ground: &Ground<'_>) -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ground.arguments.rounds {
        without.push(alone(ground)?);
        with.push(followed(ground)?);
    }
    let without = in_thousand(&mut without, 500);
    let median = |of: fn(&Pace) -> f64| in_thousand(&mut with.iter().map(of).collect::<Vec<_>>(), 500);
    let (ingested, delivered) = (median(|pace| pace.ingested), median(|pace| pace.delivered));
    let rate = |rate: f64| grouped(rate as u64);
    row(
        "full ingest: without a trail, with one of everything to a folder from now on",
        &format!("{}, {} events/s ({:+.0} %)", rate(without), rate(ingested), (ingested / without.max(1e-9) - 1.0) * 100.0),
        "",
    );
    let (half, end) = (median(|pace| pace.behind_half), median(|pace| pace.behind_end));
    row(
        "over the same time the trail delivered; it was behind at half of it, at the end; and had all after",
        &format!(
            "{} events/s ({:.0} % of what came in); {}, {} events ({:.1} s of ingest); {:.1} s",
            rate(delivered),
            delivered / ingested.max(1e-9) * 100.0,
            rate(half),
            rate(end),
            end / ingested.max(1e-9),
            median(|pace| pace.caught_up)
        ),
        "as much as came in",
    );
    let behind = with.iter().filter(|pace| !pace.keeps_up()).count();
    let verdict = if behind == 0 { "yes".to_owned() } else { format!("no, not in {behind} of {} rounds", with.len()) };
    row("so it keeps up with full ingest", &format!("{verdict}, at {} events/s", rate(delivered)), "yes, at 150,000 events/s");
    Ok(())
}

/// A thousand a request over two connections, each sending when it was answered.
fn words(ground: &Ground<'_>) -> Vec<String> {
    let a = ground.arguments;
    ["--seconds", &a.seconds.to_string(), "--seed", &a.seed.to_string(), "--batch", "1000", "--connections", "2"]
        .map(str::to_owned)
        .to_vec()
}

/// Events a second without a trail.
fn alone(ground: &Ground<'_>) -> Result<f64> {
    let subject = Subject::start(ground, &[])?;
    let said = subject.store(&words(ground))?;
    require("the log", subject.count("")?, number(&said, "events")? as u64)?;
    subject.stop()?;
    number(&said, "events_per_second")
}

/// The same with one that follows; what it delivered is read and counted.
fn followed(ground: &Ground<'_>) -> Result<Pace> {
    let subject = Subject::start(ground, &[])?;
    let place = subject.place(TRAIL);
    subject.begin(&[json!({"name": TRAIL, "start": "now", "start_now": true, "sinks": [folder_sink(&place, json!({}))]})])?;
    let (said, seen, end) = watched(&subject, &words(ground))?;
    let caught_up = subject.arrive(TRAIL)?.as_secs_f64();
    let events = number(&said, "events")?;
    require("the log", subject.count("")?, events as u64)?;
    require(TRAIL, read(&place)?.events, events as u64)?;
    subject.stop()?;
    let (ingested, delivered) = (number(&said, "events_per_second")?, end.delivered as f64 / number(&said, "seconds")?.max(1e-9));
    Ok(Pace { ingested, delivered, behind_half: half(&seen, end).behind(), behind_end: end.behind(), caught_up })
}

/// Stores, and looks how far the trail is: meanwhile, and right after.
fn watched(subject: &Subject, words: &[String]) -> Result<(Value, Vec<Look>, Look)> {
    let (done, mut connection) = (AtomicBool::new(false), subject.connection()?);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.push(look(&mut connection)?);
                std::thread::sleep(LOOK);
            }
            Ok(seen)
        });
        let said = subject.store(words);
        // On a connection of its own: one that says nothing for so long is closed, and that of the other may be in use.
        let end = subject.connection().and_then(|mut connection| look(&mut connection));
        done.store(true, Ordering::Relaxed);
        let seen: Result<Vec<Look>> = watch.join().map_err(|_| "who looked panicked")?;
        Ok((said?, seen?, end?))
    })
}

fn look(connection: &mut Connection) -> Result<Look> {
    let status = connection.get(&format!("/v1/trails/{TRAIL}/status"))?.json()?;
    let (stored, delivered) = (status["last_sequence"].as_u64(), status["sinks"][0]["position"].as_u64());
    Ok(Look { stored: stored.ok_or("no last sequence")?, delivered: delivered.ok_or("no position")? })
}

/// What was seen when half of the events were stored, as near as it was looked.
fn half(seen: &[Look], end: Look) -> Look {
    seen.iter().copied().min_by_key(|look| look.stored.abs_diff(end.stored / 2)).unwrap_or(end)
}

fn number(said: &Value, name: &str) -> Result<f64> {
    said[name].as_f64().ok_or_else(|| format!("the load says no {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_up_when_it_is_not_far_behind_and_no_further_than_before() {
        let pace = |behind_half, behind_end| Pace { ingested: 100_000.0, delivered: 90_000.0, behind_half, behind_end, caught_up: 1.0 };
        assert!(pace(80_000.0, 60_000.0).keeps_up() && pace(80_000.0, 130_000.0).keeps_up());
        assert!(!pace(80_000.0, 131_000.0).keeps_up() && !pace(199_000.0, 200_000.0).keeps_up());
        assert!(!Pace { delivered: 84_000.0, ..pace(80_000.0, 60_000.0) }.keeps_up());
        // A batch of a slow log is a second of it.
        let slow = |behind_end| Pace { ingested: 10_000.0, delivered: 9_000.0, behind_half: 5_000.0, behind_end, caught_up: 1.0 };
        assert!(slow(15_000.0).keeps_up() && !slow(15_001.0).keeps_up());
    }

    #[test]
    fn half_is_by_what_was_stored() {
        let look = |stored, delivered| Look { stored, delivered };
        let seen = [look(0, 0), look(30, 10), look(45, 20), look(90, 50)];
        assert_eq!(half(&seen, look(100, 60)).behind(), 25.0);
        assert_eq!(half(&[], look(100, 60)).behind(), 40.0);
    }
}
