//! The engine in this process: a log with the settings of the server, filled without a network between, and a clock that can be put forward.
//!
//! What needs a day that is over, or a thread of the engine by itself, is measured so. Limits: one thread appends, so that the times of
//! appending are no figure.

use std::sync::Arc;
use std::time::Duration;

use trail_corpus::{Corpus, Generator, Parameters};
use trail_engine::clock::{Clock, ForwardClock};
use trail_engine::{AuditLog, Options};
use trail_rig::{Process, Result};

use crate::directory::Directory;

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

/// A log of a day that is over, merged and sealed.
#[derive(Debug)]
pub(crate) struct DayOver {
    /// Bytes of the events.
    pub(crate) bytes: u64,
    /// How many segments there were before.
    pub(crate) flushed: usize,
    /// CPU seconds of the thread that merges.
    pub(crate) merging: f64,
}

/// Fills a log in a directory, lets the day pass, waits until all of it is sealed, and closes it. Heads have the default size; with `parts`
/// there are besides as many segments at least, of the same size.
///
/// # Errors
/// When the log does not take every event, or what it has is not one sealed segment at the end.
pub(crate) fn day_over(directory: &Directory, corpus: &Corpus, parameters: &Parameters, parts: u64) -> Result<DayOver> {
    let clock = Arc::new(ForwardClock::default());
    let mut over = DayOver { bytes: 0, flushed: 0, merging: 0.0 };
    {
        let log = AuditLog::open_with_clock(directory.path(), options(0)?, clock.clone())?;
        let mut generator = Generator::new(corpus, parameters)?;
        for part in 0..parts {
            let events = parameters.events * (part + 1) / parts - parameters.events * part / parts;
            over.bytes += append(&log, &mut generator, events)?;
            log.flush()?;
        }
        over.flushed = log.segments().len();
        log.close()?;
    }
    let log = AuditLog::open_with_clock(directory.path(), options(100)?, clock.clone())?;
    clock.pass(OVER);
    let deadline = clock.elapsed() + MERGE_TIME_MAX;
    let is_sealed = || {
        let segments = log.segments();
        segments.len() == 1 && segments.iter().all(|segment| segment.sealed)
    };
    while !is_sealed() && clock.elapsed() < deadline {
        log.look_at_the_clock();
        std::thread::sleep(Duration::from_millis(2));
    }
    over.merging = thread_seconds("trail-merge")?;
    let stats = log.stats();
    if !is_sealed() || stats.events != parameters.events {
        return Err(format!("the day is not one sealed segment: {stats:?}, {:?}", log.health()).into());
    }
    log.close()?;
    Ok(over)
}
