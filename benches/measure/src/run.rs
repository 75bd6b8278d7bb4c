//! The course of a measurement: store, wait until the server is quiet, ask, stop, start, kill, start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Census, Corpus, Parameters, Questions};
use trail_rig::{Connection, Process, Result, Server, disk, grouped, mebibytes, now, target};

use crate::arguments::Arguments;
use crate::ingest::{Ingest, store};
use crate::queries::{self, World};
use crate::table::{Table, print_queries};
use crate::under_ingest;

/// How long the server must use almost no CPU to count as quiet.
const QUIET: Duration = Duration::from_millis(1_000);
const QUIET_CPU_SECONDS: f64 = 0.03;
const SETTLE_TIME_MAX: Duration = Duration::from_secs(180);
/// How many more events are stored just before the server is killed.
const LATE_EVENTS: u64 = 20_000;
/// How long a full count may be waited for after a start.
const FIRST_COUNT_TIME_MAX: Duration = Duration::from_secs(120);

/// Measures and prints.
///
/// # Errors
/// For what cannot be started, read or stored, and for every wrong answer.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let corpus = Corpus::real()?;
    eprintln!("counting {} events", arguments.parameters.events);
    let census = Census::take(&corpus, &arguments.parameters)?;
    let questions = Questions::choose(&corpus, &arguments.parameters, &census)?;
    let world = World { parameters: &arguments.parameters, census: &census, questions: &questions };
    if let Some(address) = arguments.url {
        let server = Server::running(address);
        if !arguments.only_queries {
            ingest(&server, &corpus, arguments, None)?;
        }
        return ask(address, &corpus, &world, arguments);
    }
    let binary = arguments.binary.clone().map_or_else(beside_this_program, Ok)?;
    let directory = Directory::of(arguments)?;
    let measurement = Measurement { arguments, corpus: &corpus, binary: &binary, directory: &directory.path };
    measurement.run(&world)
}

/// A measurement of a server that is started here.
struct Measurement<'m> {
    arguments: &'m Arguments,
    corpus: &'m Corpus,
    binary: &'m Path,
    directory: &'m Path,
}

impl Measurement<'_> {
    fn run(&self, world: &World<'_>) -> Result<()> {
        let (server, empty_start) = self.start(0)?;
        if self.arguments.only_queries {
            ask(server.address(), self.corpus, world, self.arguments)?;
            server.stop()?;
            return Ok(());
        }
        ingest(&server, self.corpus, self.arguments, Some(self.directory))?;
        ask(server.address(), self.corpus, world, self.arguments)?;
        let peak = server.process().and_then(Process::peak_memory);
        let stopping = now();
        server.stop()?;
        if self.arguments.under_ingest {
            // How many events there are is not known any more, nor what a restart must count.
            return Ok(());
        }
        let table = Table::begin("Restarts");
        table.row_if("peak memory, with the queries", peak.map(mebibytes));
        table.row("first start on an empty directory to the first count", &milliseconds(empty_start));
        table.row("SIGTERM to the end of the process", &milliseconds(stopping.elapsed()));
        self.restarts(&table)
    }

    /// After a stop: start, store a few events more, kill, start.
    fn restarts(&self, table: &Table) -> Result<()> {
        let events = self.arguments.parameters.events;
        let (server, after_stop) = self.start(events)?;
        table.row("start after SIGTERM to the first full count", &milliseconds(after_stop));
        print_disk(table, "after a restart", self.directory, events)?;
        store(server.address(), self.corpus, &self.late(), self.arguments.batch, self.arguments.connections)?;
        server.kill()?;
        let (server, after_kill) = self.start(events + LATE_EVENTS)?;
        let name = format!("start after `kill -9`, {} events later, to the first full count", grouped(LATE_EVENTS));
        table.row(&name, &milliseconds(after_kill));
        table.row_if("CPU seconds of this start", server.process().and_then(Process::cpu_seconds).map(|s| format!("{s:.2}")));
        server.stop()?;
        Ok(())
    }

    /// Other events of an earlier time, so that the queries of a kept directory keep their answers.
    fn late(&self) -> Parameters {
        let p = &self.arguments.parameters;
        let end = p.end - ((p.days + 2.0) * 86_400.0) as i64;
        Parameters { events: LATE_EVENTS, days: 1.0, end, seed: p.seed ^ 0x6b69_6c6c, ..p.clone() }
    }

    /// Starts the server; the time from there until it counts at least so many events.
    fn start(&self, events: u64) -> Result<(Server, Duration)> {
        eprintln!("starting a server, which is to count {} events", grouped(events));
        let start = now();
        let server = Server::start(self.binary, self.directory, &self.arguments.settings)?;
        let mut connection = Connection::open(server.address())?;
        loop {
            let answer = connection.get(&target("/v1/count", &[("from", "0"), ("to", "4102444800000")]))?;
            let count = answer.json().ok().and_then(|answer| answer["count"].as_u64());
            if count.is_some_and(|count| count >= events) {
                return Ok((server, start.elapsed()));
            }
            if start.elapsed() > FIRST_COUNT_TIME_MAX {
                return Err(format!("after its start the server counts {count:?} of {events} events").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Asks the queries of the table, and again under ingest where that is wanted.
fn ask(address: SocketAddr, corpus: &Corpus, world: &World<'_>, arguments: &Arguments) -> Result<()> {
    print_queries(&queries::measure(address, world, arguments.runs)?, arguments.runs);
    if arguments.under_ingest { under_ingest::measure(address, corpus, world, arguments) } else { Ok(()) }
}

fn ingest(server: &Server, corpus: &Corpus, arguments: &Arguments, directory: Option<&Path>) -> Result<()> {
    let before = server.process().and_then(Process::cpu_seconds);
    let stored = store(server.address(), corpus, &arguments.parameters, arguments.batch, arguments.connections)?;
    let after = server.process().and_then(Process::cpu_seconds);
    // A server that was started elsewhere keeps its head for as long as its settings say.
    eprintln!("waiting until everything is flushed");
    let waited = directory.map(|_| settle(server)).transpose()?;
    let table = Table::begin(&format!(
        "Ingest of {} events, {} bytes ({} a request, {} connections)",
        grouped(stored.events),
        grouped(stored.bytes),
        grouped(arguments.batch as u64),
        arguments.connections
    ));
    print_ingest(&table, &stored);
    let since = |then: Option<f64>| Some((then? - before?) * 1e6 / stored.events as f64);
    table.row_if("CPU s / M events, until the last answer", since(after).map(|s| format!("{s:.2}")));
    table.row_if(
        "CPU s / M events, with all work in the background",
        since(server.process().and_then(Process::cpu_seconds)).map(|s| format!("{s:.2}")),
    );
    table.row_if("quiet, with everything flushed, after", waited.map(milliseconds));
    table.row_if("peak memory", server.process().and_then(Process::peak_memory).map(mebibytes));
    directory.map_or(Ok(()), |directory| print_disk(&table, "everything flushed", directory, stored.events))
}

fn print_ingest(table: &Table, stored: &Ingest) {
    table.row("events/s", &grouped((stored.events as f64 / stored.time.as_secs_f64()) as u64));
    let times = &stored.requests;
    let shown = format!("{:.2} / {:.2} / {:.0} ms", times.milliseconds(500), times.milliseconds(990), times.milliseconds(1_000));
    table.row("request latency p50 / p99 / most", &shown);
    table.row("answers that said to wait", &grouped(stored.waits));
}

fn print_disk(table: &Table, when: &str, directory: &Path, events: u64) -> Result<()> {
    let disk = disk(directory)?;
    let each = |bytes: u64| format!("{:.1} bytes an event ({})", bytes as f64 / events as f64, mebibytes(bytes));
    table.row(&format!("disk, {when}: all files"), &each(disk.all));
    table.row(&format!("disk, {when}: without journal and spare files"), &each(disk.at_rest));
    Ok(())
}

/// Waits until nothing is in the heads and the server does nothing any more; how long that took.
fn settle(server: &Server) -> Result<Duration> {
    let start = now();
    let mut connection = Connection::open(server.address())?;
    let mut quiet_since = start;
    let mut used = server.process().and_then(Process::cpu_seconds);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let stats = connection.get("/v1/stats")?.json()?;
        let flushed = stats.get("head_events").and_then(Value::as_u64) == Some(0);
        let more = server.process().and_then(Process::cpu_seconds);
        let busy = more.zip(used).is_some_and(|(more, used)| more - used > QUIET_CPU_SECONDS);
        if !flushed || busy {
            (quiet_since, used) = (now(), more);
        } else if quiet_since.elapsed() >= QUIET {
            return Ok(quiet_since - start);
        }
        if start.elapsed() > SETTLE_TIME_MAX {
            return Err(format!("the server is not quiet after {} s: {stats}", SETTLE_TIME_MAX.as_secs()).into());
        }
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn beside_this_program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("traild");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no {}: run `cargo build --release -p traild`, or say --binary", path.display()).into())
    }
}

/// Where the server keeps its data; removed at the end when it was made here.
struct Directory {
    path: PathBuf,
    mine: bool,
}

impl Directory {
    fn of(arguments: &Arguments) -> Result<Directory> {
        if let Some(path) = &arguments.data_dir {
            let used = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
            if used && !arguments.only_queries {
                return Err(format!("{} is not empty", path.display()).into());
            }
            return Ok(Directory { path: path.clone(), mine: false });
        }
        // Beside the build, not in /tmp, which may be memory: then "durable" would cost nothing.
        let path = std::env::current_exe()?.with_file_name(format!("measure-data-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Directory { path, mine: true })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.mine {
            // What is left is in the build folder, where `cargo clean` finds it.
            let _removed = std::fs::remove_dir_all(&self.path);
        }
    }
}
