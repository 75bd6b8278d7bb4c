//! Flushing and merging, each alone, in MB of raw events for a second of one core.
//!
//! The engine is in this process, so that a head can be flushed by itself and a day be over at will; events are appended before, and what is
//! reckoned is the CPU time that the kernel counts for the one thread that does the work. So the figure holds on a busy machine too, and
//! waiting for the disk is not part of it. How many events: as many as a head of the default size takes, and eight segments of a third of that.

use trail_corpus::{Corpus, Generator, Parameters};
use trail_engine::{AuditLog, Options};
use trail_rig::{Result, grouped};

use crate::bounds::{FLUSHING, MERGING};
use crate::directory::Directory;
use crate::in_process::{append, fill, options, pass_days, thread_seconds};
use crate::table::Table;

const FLUSHED_MAX: u64 = 140_000;
const MERGED_MAX: u64 = 400_000;
const SEGMENTS: u64 = 8;

/// Measures and prints both.
///
/// # Errors
/// When the log does not take every event, or does not come to one segment.
pub(crate) fn measure(corpus: &Corpus, parameters: &Parameters) -> Result<()> {
    let at_most = |events: u64| Parameters { events: parameters.events.min(events), ..parameters.clone() };
    let table = Table::begin("Flushing and merging, each alone, of one core");
    let show = |name: &str, parameters: &Parameters, bytes: u64, seconds: f64, bound| {
        let rate = bytes as f64 / 1e6 / seconds.max(1e-9);
        let what = format!("{name}, {} events, {} bytes: MB/s", grouped(parameters.events), grouped(bytes));
        table.figure(&what, rate, &format!("{rate:.0} ({seconds:.2} CPU s)"), bound);
    };
    let flushed = at_most(FLUSHED_MAX);
    let (bytes, seconds) = flush(corpus, &flushed)?;
    show("flushing", &flushed, bytes, seconds, FLUSHING);
    let merged = at_most(MERGED_MAX);
    eprintln!("merging {} events", grouped(merged.events));
    let directory = Directory::make("merged")?;
    let bytes = fill(directory.path(), corpus, &merged, SEGMENTS)?;
    let over = pass_days(directory.path())?;
    if (over.events, over.segments.1) != (merged.events, 1) {
        return Err(format!("the day is not one segment: {over:?}").into());
    }
    show("merging", &merged, bytes, over.merging, MERGING);
    Ok(())
}

/// From a head to a segment: bytes and seconds.
fn flush(corpus: &Corpus, parameters: &Parameters) -> Result<(u64, f64)> {
    eprintln!("flushing {} events", grouped(parameters.events));
    let directory = Directory::make("flushed")?;
    let options = Options { head_bytes_max: 1 << 30, ..options(0)? };
    let log = AuditLog::open(directory.path(), options)?;
    let bytes = append(&log, &mut Generator::new(corpus, parameters)?, parameters.events)?;
    let before = thread_seconds("trail-upkeep")?;
    log.flush()?;
    let seconds = thread_seconds("trail-upkeep")? - before;
    let stats = log.stats();
    if (stats.segments, stats.head_events, stats.events) != (1, 0, parameters.events) {
        return Err(format!("the head is not in one segment: {stats:?}").into());
    }
    Ok((bytes, seconds))
}
