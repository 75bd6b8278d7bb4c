//! The engine in this process: a log with the settings of the server, filled without a network between, and a clock that can be put forward.
//!
//! What needs a day that is over, or a thread of the engine by itself, is measured so. Limits: one thread appends, so that the times of
//! appending are no figure.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trail_corpus::{Corpus, Generator, Parameters};
use trail_engine::clock::{Clock, ForwardClock};
use trail_engine::{AuditLog, Options};
use trail_rig::{Process, Result};

/// After so long the day is over.
const OVER: Duration = Duration::from_secs(36 * 3_600);

const BATCH: usize = 1_000;
/// How long a day that is over may be waited for.
const MERGE_TIME_MAX: Duration = Duration::from_secs(300);

/// The server's dimensions; merging takes this share of a core, none with 0.
pub(crate) fn options(merge_cpu_percent: u32) -> Result<Options> {
    Ok(Options { schema: traild::dialect::default_schema()?, merge_cpu_percent, ..Options::default() })
}

/// CPU seconds of those threads of this process that have this name.
pub(crate) fn thread_seconds(name: &str) -> Result<f64> {
    Process::this().thread_cpu_seconds(name).ok_or_else(|| "the kernel says nothing of threads".into())
}

/// Appends so many events; returns their bytes.
pub(crate) fn append(log: &AuditLog, generator: &mut Generator<'_>, events: u64) -> Result<u64> {
    let (mut text, mut ends, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in 1..=events {
        if generator.next_event(&mut text).is_none() {
            return Err("there are fewer events than were asked for".into());
        }
        ends.push(text.len());
        if ends.len() == BATCH || event == events {
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let mut batch = starts.zip(&ends).map(|(start, end)| text.get(start..*end).unwrap_or_default());
            let (batch, rejected) = log.prepare(&mut batch)?;
            let accepted = log.append(batch)?.accepted;
            if !rejected.is_empty() || accepted != ends.len() as u64 {
                return Err(format!("{accepted} of {} events were taken: {rejected:?}", ends.len()).into());
            }
            bytes += text.len() as u64;
            text.clear();
            ends.clear();
        }
    }
    Ok(bytes)
}

/// A log whose days are over, merged and sealed.
#[derive(Debug)]
pub(crate) struct Over {
    /// How many events it has.
    pub(crate) events: u64,
    /// How many segments there were before, and are now.
    pub(crate) segments: (usize, usize),
    /// CPU seconds of the thread that merges.
    pub(crate) merging: f64,
    /// CPU seconds of the thread that flushes and seals.
    pub(crate) sealing: f64,
}

/// Fills a log in a directory with so many segments, merges none, and closes it; returns the bytes of the events.
///
/// # Errors
/// When the log does not take every event.
pub(crate) fn fill(directory: &Path, corpus: &Corpus, parameters: &Parameters, parts: u64) -> Result<u64> {
    let log = AuditLog::open(directory, options(0)?)?;
    let (mut generator, mut bytes) = (Generator::new(corpus, parameters)?, 0);
    for part in 0..parts {
        let events = parameters.events * (part + 1) / parts - parameters.events * part / parts;
        bytes += append(&log, &mut generator, events)?;
        log.flush()?;
    }
    log.close()?;
    Ok(bytes)
}

/// Opens the log in a directory, lets its days pass, waits until all of it is sealed, and closes it.
///
/// # Errors
/// When that does not come about.
pub(crate) fn pass_days(directory: &Path) -> Result<Over> {
    let clock = Arc::new(ForwardClock::default());
    let log = AuditLog::open_with_clock(directory, options(100)?, clock.clone())?;
    let before = log.segments().len();
    clock.pass(OVER);
    let deadline = clock.elapsed() + MERGE_TIME_MAX;
    let is_sealed = || log.stats().head_events == 0 && log.segments().iter().all(|segment| segment.sealed);
    while !is_sealed() && clock.elapsed() < deadline {
        log.look_at_the_clock();
        std::thread::sleep(Duration::from_millis(2));
    }
    let (merging, sealing, stats) = (thread_seconds("trail-merge")?, thread_seconds("trail-upkeep")?, log.stats());
    if !is_sealed() {
        return Err(format!("a day that is over is not sealed: {stats:?}, {:?}", log.health()).into());
    }
    log.close()?;
    Ok(Over { events: stats.events, segments: (before, stats.segments as usize), merging, sealing })
}
