//! Storing all events, and what that costs: CPU seconds, by themselves and as a multiple of the machine's gauge, memory and disk.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Corpus, Parameters};
use trail_rig::{Connection, Process, Result, Server, disk, grouped, mebibytes, now};

use crate::arguments::Arguments;
use crate::ingest::{Ingest, store};
use crate::table::Table;
use crate::{bounds, gauge};

/// How long the server must use almost no CPU to count as quiet.
const QUIET: Duration = Duration::from_millis(1_000);
const QUIET_CPU_SECONDS: f64 = 0.03;
/// How long that may take, and how much longer for each million of events, which are merged.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(180);
const SETTLE_TIME_A_MILLION: f64 = 60.0;
/// How often there is word of what is waited for.
const TELL: Duration = Duration::from_secs(5);

/// Storing the events, and what that costs.
#[derive(Debug)]
pub(crate) struct Load<'l> {
    pub(crate) arguments: &'l Arguments,
    pub(crate) corpus: &'l Corpus,
    pub(crate) parameters: &'l Parameters,
    /// Of a server that was started here.
    pub(crate) directory: Option<&'l Path>,
}

/// CPU seconds for a million events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// Of the server, with all its work in the background.
    pub(crate) seconds: f64,
    /// Of zstd at level 3 for the same bytes.
    pub(crate) gauge: f64,
}

impl Load<'_> {
    /// Stores, waits until the server is quiet where it was started here, and prints; what the server, where it was started here, spent on it.
    ///
    /// # Errors
    /// When the server does not accept every event, or does not become quiet.
    pub(crate) fn measure(&self, server: &Server) -> Result<Option<Spent>> {
        let Load { arguments, corpus, parameters, directory, .. } = *self;
        let spent = || server.process().and_then(Process::cpu_seconds);
        let before = spent();
        let stored = store(server.address(), corpus, parameters, arguments.batch, arguments.connections)?;
        let after = spent();
        // A server that was started elsewhere keeps its head for as long as its settings say.
        eprintln!("waiting until everything is flushed");
        let waited = directory.map(|directory| settle(server, directory, parameters.events)).transpose()?;
        let table = Table::begin(&format!(
            "Ingest of {} events, {} bytes ({} a request, {} connections)",
            grouped(stored.events),
            grouped(stored.bytes),
            grouped(arguments.batch as u64),
            arguments.connections
        ));
        print_ingest(&table, &stored, arguments);
        let since = |then: Option<f64>| Some((then? - before?) * 1e6 / stored.events as f64);
        table.row_if("CPU s / M events, until the last answer", since(after).map(|s| format!("{s:.2}")));
        let seconds = since(spent());
        let spent = seconds.filter(|_| directory.is_some()).map(|seconds| self.print_seconds(&table, seconds)).transpose()?;
        table.row_if("quiet, with everything flushed, after", waited.map(milliseconds));
        if let Some(peak) = server.process().and_then(Process::peak_memory) {
            table.figure("peak memory", peak as f64 / f64::from(1 << 20), &mebibytes(peak), bounds::of_memory(parameters.events));
        }
        if let Some(directory) = directory {
            print_disk(&table, "everything flushed", directory, stored.events)?;
        }
        Ok(spent)
    }

    /// The CPU seconds of storing, by themselves and beside what else the machine does.
    fn print_seconds(&self, table: &Table, seconds: f64) -> Result<Spent> {
        let (gauge, batch) = (gauge::zstd_seconds(self.corpus, self.parameters)?, self.arguments.batch);
        let multiple = seconds / gauge.max(1e-9);
        let shown = format!("{seconds:.2}");
        table.figure("CPU s / M events, with all work in the background", seconds, &shown, bounds::of_ingest(batch));
        table.row("zstd -3 over the same bytes, one thread, CPU s / M events", &format!("{gauge:.2}"));
        table.figure("multiple of zstd -3", multiple, &format!("{multiple:.2}"), bounds::of_multiple(batch));
        Ok(Spent { seconds, gauge })
    }
}

fn print_ingest(table: &Table, stored: &Ingest, arguments: &Arguments) {
    let rate = stored.events as f64 / stored.time.as_secs_f64();
    table.figure("events/s", rate, &grouped(rate as u64), bounds::of_rate(arguments.batch));
    let [half, most] = bounds::of_latency(arguments.batch, arguments.connections);
    for (name, part, bound) in [("p50", 500, half), ("p99", 990, most), ("most", 1_000, None)] {
        let milliseconds = stored.requests.milliseconds(part);
        table.figure(&format!("request latency, {name}"), milliseconds, &format!("{milliseconds:.2} ms"), bound);
    }
    table.row("answers that said to wait", &grouped(stored.waits));
}

/// The disk of a server's directory.
///
/// # Errors
/// When its files cannot be looked at.
pub(crate) fn print_disk(table: &Table, when: &str, directory: &Path, events: u64) -> Result<()> {
    let disk = disk(directory)?;
    for (which, bytes) in [("all files", disk.all), ("without journal and spare files", disk.at_rest)] {
        let each = bytes as f64 / events as f64;
        table.row(&format!("disk, {when}: {which}"), &format!("{each:.1} bytes an event ({})", mebibytes(bytes)));
    }
    Ok(())
}

/// Waits until nothing is in the heads, no segment is being written and the server does nothing any more; how long that took.
fn settle(server: &Server, directory: &Path, events: u64) -> Result<Duration> {
    let time_max = SETTLE_TIME_MAX + Duration::from_secs_f64(SETTLE_TIME_A_MILLION * events as f64 / 1e6);
    let (start, mut told) = (now(), now());
    let mut connection = Connection::open(server.address())?;
    let mut quiet_since = start;
    let mut used = server.process().and_then(Process::cpu_seconds);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let stats = connection.get("/v1/stats")?.json()?;
        let flushed = stats.get("head_events").and_then(Value::as_u64) == Some(0);
        let more = server.process().and_then(Process::cpu_seconds);
        let busy = more.zip(used).is_some_and(|(more, used)| more - used > QUIET_CPU_SECONDS);
        // On a busy machine a merge, which is less urgent than all else, gets no core for seconds.
        if !flushed || busy || is_writing(directory)? {
            (quiet_since, used) = (now(), more);
        } else if quiet_since.elapsed() >= QUIET {
            return Ok(quiet_since - start);
        }
        if told.elapsed() > TELL {
            told = now();
            eprintln!("after {} s the server has {} segments and still works", start.elapsed().as_secs(), stats["segments"]);
        }
        if start.elapsed() > time_max {
            return Err(format!("the server is not quiet after {} s: {stats}", time_max.as_secs()).into());
        }
    }
}

/// Whether a log has a segment that is not whole yet.
fn is_writing(directory: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        if entry?.path().extension().is_some_and(|extension| extension == "partial") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A time, as it is shown.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}
