//! Flushing and merging, each alone: MB of raw events for a second of one core.
//!
//! The engine is in this process, so that a head can be flushed by itself and a day be over at will; events are appended before, and what is
//! reckoned is the CPU time that the kernel counts for the one thread that does the work. So the figure holds on a busy machine too, and
//! waiting for the disk is not part of it. How many events: as many as a head of the default size takes, and eight segments of a third of that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trail_corpus::{Corpus, Generator, Parameters};
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::id::Timestamp;
use trail_engine::{AuditLog, Options};
use trail_rig::{Process, Result, grouped};

use crate::bounds::{FLUSHING, MERGING};
use crate::table::Table;

const FLUSHED_MAX: u64 = 140_000;
const MERGED_MAX: u64 = 400_000;
const SEGMENTS: u64 = 8;
const BATCH: usize = 1_000;
const MERGE_TIME_MAX: Duration = Duration::from_secs(300);

/// Measures and prints both; `directory` is made, and removed after.
///
/// # Errors
/// When the log does not take every event, or does not come to one segment.
pub(crate) fn measure(directory: &Path, corpus: &Corpus, parameters: &Parameters) -> Result<()> {
    let table = Table::begin("Flushing and merging, each alone, of one core");
    for (name, events, bound) in [("flushing", FLUSHED_MAX, FLUSHING), ("merging", MERGED_MAX, MERGING)] {
        let parameters = Parameters { events: parameters.events.min(events), ..parameters.clone() };
        std::fs::create_dir(directory)?;
        let did = if name == "flushing" { flush(directory, corpus, &parameters) } else { merge(directory, corpus, &parameters) };
        std::fs::remove_dir_all(directory)?;
        let (bytes, seconds) = did?;
        let rate = bytes as f64 / 1e6 / seconds.max(1e-9);
        let what = format!("{name}, {} events, {} bytes: MB/s", grouped(parameters.events), grouped(bytes));
        table.figure(&what, rate, &format!("{rate:.0} ({seconds:.2} CPU s)"), bound);
    }
    Ok(())
}

/// From a head to a segment: bytes and seconds.
fn flush(directory: &Path, corpus: &Corpus, parameters: &Parameters) -> Result<(u64, f64)> {
    eprintln!("flushing {} events", grouped(parameters.events));
    let options = Options { head_bytes_max: 1 << 30, ..options(0)? };
    let log = AuditLog::open(directory, options)?;
    let bytes = append(&log, &mut Generator::new(corpus, parameters)?, parameters.events)?;
    let spent = || Process::this().thread_cpu_seconds("trail-upkeep").ok_or("the kernel says nothing of threads");
    let before = spent()?;
    log.flush()?;
    let seconds = spent()? - before;
    let stats = log.stats();
    if (stats.segments, stats.head_events, stats.events) != (1, 0, parameters.events) {
        return Err(format!("the head is not in one segment: {stats:?}").into());
    }
    Ok((bytes, seconds))
}

/// From the segments of a day that is over to one: bytes and seconds.
fn merge(directory: &Path, corpus: &Corpus, parameters: &Parameters) -> Result<(u64, f64)> {
    eprintln!("merging {} events", grouped(parameters.events));
    let clock = Arc::new(Later::default());
    let mut bytes = 0;
    {
        let log = AuditLog::open_with_clock(directory, options(0)?, clock.clone())?;
        let mut generator = Generator::new(corpus, parameters)?;
        for segment in 0..SEGMENTS {
            let events = parameters.events * (segment + 1) / SEGMENTS - parameters.events * segment / SEGMENTS;
            bytes += append(&log, &mut generator, events)?;
            log.flush()?;
        }
        log.close()?;
    }
    let log = AuditLog::open_with_clock(directory, options(100)?, clock.clone())?;
    clock.pass_a_day();
    let deadline = clock.elapsed() + MERGE_TIME_MAX;
    while log.stats().segments > 1 && clock.elapsed() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = Process::this().thread_cpu_seconds("trail-merge").ok_or("the kernel says nothing of threads")?;
    let stats = log.stats();
    if (stats.segments, stats.events) != (1, parameters.events) {
        return Err(format!("the segments did not become one: {stats:?}, {:?}", log.health()).into());
    }
    Ok((bytes, seconds))
}

fn options(merge_cpu_percent: u32) -> Result<Options> {
    Ok(Options { schema: traild::dialect::default_schema()?, merge_cpu_percent, ..Options::default() })
}

/// Appends so many events; returns their bytes.
fn append(log: &AuditLog, generator: &mut Generator<'_>, events: u64) -> Result<u64> {
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

/// A clock that can be put forward.
#[derive(Debug, Default)]
struct Later {
    clock: SystemClock,
    ahead: AtomicU64,
}

impl Later {
    fn pass_a_day(&self) {
        self.ahead.fetch_add(86_400_000_000_000 * 3 / 2, Ordering::Relaxed);
    }

    fn ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }
}

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add_unsigned(self.ahead()))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed() + Duration::from_nanos(self.ahead())
    }
}
