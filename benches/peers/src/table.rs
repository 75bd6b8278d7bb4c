//! The Markdown of a comparison: a column for each peer, a row for each measure and question.

use trail_rig::{grouped, mebibytes};

use crate::outcome::{Answered, Measured, Outcome};
use crate::run::Comparison;

/// The table and the notes below it.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let measured: Vec<&Measured> = comparison.outcomes.iter().filter_map(Outcome::measured).collect();
    let mut out = format!(
        "{} events, {} bytes. Queries: median / 99th percentile of {} runs, warm, in milliseconds. CPU seconds are those of the peer alone: until the last answer, \
         and then until it had settled.\n\n",
        grouped(comparison.events),
        grouped(comparison.bytes),
        comparison.runs
    );
    line(&mut out, "", measured.iter().map(|m| m.name.clone()));
    out.push_str(&format!("|---|{}\n", "---|".repeat(measured.len())));
    costs(&mut out, comparison.events, &measured);
    for (number, (name, _)) in comparison.questions.iter().enumerate() {
        line(&mut out, name, measured.iter().map(|m| m.answers.get(number).map_or_else(String::new, |a| shown(a, comparison.runs))));
    }
    notes(&mut out, comparison);
    out
}

fn costs(out: &mut String, events: u64, measured: &[&Measured]) {
    let per_million = 1e6 / events as f64;
    let known = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let row = |out: &mut String, name: &str, cell: &dyn Fn(&Measured) -> Option<String>| {
        line(out, name, measured.iter().map(|m| known(cell(m))));
    };
    row(out, "ingest, CPU s / M events (+ settling)", &|m| {
        Some(format!("{:.1} (+{:.1})", m.store_cpu? * per_million, m.settle_cpu? * per_million))
    });
    row(out, "ingest, events/s", &|m| Some(grouped((events as f64 / m.store_time.as_secs_f64()) as u64)));
    row(out, "disk, bytes an event, all files", &|m| Some(format!("{:.1}", m.disk?.all as f64 / events as f64)));
    row(out, "disk, bytes an event, without journals", &|m| Some(format!("{:.1}", m.disk?.at_rest as f64 / events as f64)));
    row(out, "peak memory", &|m| m.peak_memory.map(mebibytes));
}

fn shown(answer: &Answered, runs: usize) -> String {
    match answer {
        Answered::Right(times) => {
            let fewer = if times.runs() < runs { format!(" ({} runs)", times.runs()) } else { String::new() };
            format!("{} / {}{fewer}", milliseconds(times.milliseconds(50)), milliseconds(times.milliseconds(99)))
        }
        Answered::Not => "-".into(),
        Answered::Wrong(_) => "**wrong answer**".into(),
    }
}

/// Three digits that count.
pub(crate) fn milliseconds(time: f64) -> String {
    match time {
        _ if time < 0.01 => format!("{time:.3}"),
        _ if time < 10.0 => format!("{time:.2}"),
        _ if time < 100.0 => format!("{time:.1}"),
        _ => grouped(time.round() as u64),
    }
}

fn line(out: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    out.push_str(&format!("| {name} |"));
    cells.for_each(|cell| out.push_str(&format!(" {cell} |")));
    out.push('\n');
}

fn notes(out: &mut String, comparison: &Comparison) {
    out.push('\n');
    for outcome in &comparison.outcomes {
        let note = match outcome {
            Outcome::Skipped { name, why } => format!("{name}: skipped: {}", one_line(why)),
            Outcome::Failed { name, why } => format!("{name}: failed: {}", one_line(why)),
            Outcome::Measured(measured) => format!("{}: {}", measured.name, measured.note),
        };
        out.push_str(&format!("- {note}.\n"));
    }
    let measured = comparison.outcomes.iter().filter_map(Outcome::measured);
    for (peer, number, why) in
        measured.flat_map(|m| m.answers.iter().enumerate().filter_map(|(n, a)| wrong(a).map(|why| (&m.name, n, why))))
    {
        let name = comparison.questions.get(number).map_or("", |(name, _)| name);
        out.push_str(&format!("- **wrong answer** of {peer} to {name}: {}.\n", one_line(why)));
    }
}

fn wrong(answer: &Answered) -> Option<&str> {
    match answer {
        Answered::Wrong(why) => Some(why),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
