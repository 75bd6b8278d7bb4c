//! Trails that begin at the oldest event of a log that is full: how fast they deliver when nothing else is done.

use serde_json::{Value, json};
use trail_rig::{Result, grouped, now};

use crate::delivered::{read, require};
use crate::ground::{Ground, row};
use crate::subject::{Subject, folder_sink, load_of};

/// Ten filters as people write them: kinds of events, outcomes, services, what is rare, and everything.
const FILTERS: [&str; 10] = [
    "",
    "-read_only:true",
    "read_only:true",
    "service:\"s3.amazonaws.com\"",
    "service:\"iam.amazonaws.com\"",
    "service:\"ec2.amazonaws.com\" -read_only:true",
    "event_name:\"ConsoleLogin\"",
    "event_name:\"AssumeRole\"",
    "error_code:*",
    "service:\"kms.amazonaws.com\" OR service:\"sts.amazonaws.com\"",
];

fn full(ground: &Ground<'_>) -> Result<Subject> {
    let subject = Subject::start(ground, &[("head_age_max", "2s")])?;
    subject.store(&load_of(ground.arguments.events, ground.arguments.seed))?;
    subject.settle()?;
    Ok(subject)
}

fn trail(subject: &Subject, name: &str, filter: &str) -> Value {
    json!({"name": name, "filter": filter, "start": "oldest", "start_now": true, "sinks": [folder_sink(&subject.place(name), json!({}))]})
}

/// One trail of everything.
pub(crate) fn one_trail(ground: &Ground<'_>) -> Result<()> {
    let subject = full(ground)?;
    let (start, cpu) = (now(), subject.cpu_seconds()?);
    subject.begin(&[trail(&subject, "all", "")])?;
    subject.arrive("all")?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), subject.cpu_seconds()? - cpu);
    let delivered = read(&subject.place("all"))?;
    require("all", delivered.events, ground.arguments.events)?;
    let rate = delivered.events as f64 / seconds;
    let megabytes = delivered.bytes as f64 / 1e6 / seconds;
    row(
        "one trail to a folder, NDJSON in zstd, from the oldest on",
        &format!(
            "{} events/s, {megabytes:.0} MB/s, {:.2} CPU s / M events, {} files",
            grouped(rate as u64),
            cpu * 1e6 / delivered.events as f64,
            delivered.files
        ),
        "150,000 events/s",
    );
    subject.stop()
}

/// Ten trails of different filters beside what they take one after the other.
pub(crate) fn ten_trails(ground: &Ground<'_>) -> Result<()> {
    let subject = full(ground)?;
    let (alone_seconds, alone_cpu) = deliver(&subject, "alone", false)?;
    let (together_seconds, together_cpu) = deliver(&subject, "together", true)?;
    row("ten trails to folders, ten filters, one after the other", &format!("{alone_seconds:.1} s, {alone_cpu:.1} CPU s"), "");
    row(
        "the same at once",
        &format!("{together_seconds:.1} s, {together_cpu:.1} CPU s ({:.2} of it)", together_cpu / alone_cpu.max(1e-9)),
        "below 1: the log is read once for all",
    );
    subject.stop()
}

/// Delivers all filters; seconds and CPU seconds.
fn deliver(subject: &Subject, kind: &str, together: bool) -> Result<(f64, f64)> {
    let name = |i: usize| format!("{kind}-{i}");
    let (start, cpu) = (now(), subject.cpu_seconds()?);
    let trails: Vec<Value> = FILTERS.iter().enumerate().map(|(i, filter)| trail(subject, &name(i), filter)).collect();
    for some in if together { trails.chunks(trails.len()) } else { trails.chunks(1) } {
        subject.begin(some)?;
        for trail in some {
            subject.arrive(trail["name"].as_str().unwrap_or_default())?;
        }
    }
    let taken = (start.elapsed().as_secs_f64(), subject.cpu_seconds()? - cpu);
    for (i, filter) in FILTERS.iter().enumerate() {
        let place = subject.place(&name(i));
        let delivered = if place.is_dir() { read(&place)?.events } else { 0 };
        require(&name(i), delivered, subject.count(filter)?)?;
    }
    Ok(taken)
}
