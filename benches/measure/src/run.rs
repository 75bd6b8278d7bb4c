//! The course of a measurement: flushing and merging alone; store, wait until the server is quiet, ask, stop, start, kill, start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use trail_corpus::{Census, Corpus, Parameters, Questions};
use trail_rig::{Connection, Process, Result, Server, disk, grouped, mebibytes, now, target};

use crate::arguments::Arguments;
use crate::bounds::{self, Bound};
use crate::ingest::{Ingest, store};
use crate::queries::{self, Measured, World};
use crate::table::{Table, print_growth, print_queries};
use crate::{alone, under_ingest};

/// How long the server must use almost no CPU to count as quiet.
const QUIET: Duration = Duration::from_millis(1_000);
const QUIET_CPU_SECONDS: f64 = 0.03;
/// How long that may take, and how much longer for each million of events, which are merged.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(180);
const SETTLE_TIME_A_MILLION: f64 = 60.0;
/// How many more events are at most in the journal, and in no segment, when the server is killed: more than a head of the default size takes.
const JOURNAL_EVENTS_MAX: u64 = 175_000;
/// What keeps them there.
const UNFLUSHED: [(&str, &str); 2] = [("TRAILD_HEAD_AGE_MAX", "1h"), ("TRAILD_HEAD_BYTES_MAX", "1GiB")];
/// How often there is word of what is waited for.
const TELL: Duration = Duration::from_secs(5);
/// How long a full count may be waited for after a start.
const FIRST_COUNT_TIME_MAX: Duration = Duration::from_secs(120);

/// Measures and prints.
///
/// # Errors
/// For what cannot be started, read or stored, and for every wrong answer.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let corpus = Corpus::real()?;
    if arguments.url.is_none() && !arguments.only_queries {
        alone::measure(&Directory::beside("alone")?, &corpus, &arguments.parameters)?;
    }
    if arguments.only_alone {
        return Ok(());
    }
    let mut measured = Vec::new();
    for events in &arguments.sizes {
        let parameters = Parameters { events: *events, ..arguments.parameters.clone() };
        measured.push((*events, run_with(arguments, &corpus, &parameters)?));
    }
    print_growth(&measured);
    Ok(())
}

/// The same for one number of events; the queries on the idle server.
fn run_with(arguments: &Arguments, corpus: &Corpus, parameters: &Parameters) -> Result<Vec<Measured>> {
    eprintln!("counting {} events", grouped(parameters.events));
    let census = Census::take(corpus, parameters)?;
    let questions = Questions::choose(corpus, parameters, &census)?;
    let mut world = World { parameters, census: &census, questions: &questions, alone: true };
    if let Some(address) = arguments.url {
        let server = Server::running(address);
        if !arguments.only_queries {
            ingest(&server, corpus, arguments, parameters, None)?;
        }
        return ask(address, corpus, &mut world, arguments);
    }
    let binary = arguments.binary.clone().map_or_else(beside_this_program, Ok)?;
    let directory = Directory::of(arguments)?;
    let measurement = Measurement { arguments, parameters, corpus, binary: &binary, directory: &directory.path };
    measurement.run(&mut world)
}

/// A measurement of a server that is started here.
struct Measurement<'m> {
    arguments: &'m Arguments,
    parameters: &'m Parameters,
    corpus: &'m Corpus,
    binary: &'m Path,
    directory: &'m Path,
}

impl Measurement<'_> {
    fn run(&self, world: &mut World<'_>) -> Result<Vec<Measured>> {
        let (server, empty_start) = self.start(0, &[])?;
        if self.arguments.only_queries {
            let asked = ask(server.address(), self.corpus, world, self.arguments)?;
            server.stop()?;
            return Ok(asked);
        }
        ingest(&server, self.corpus, self.arguments, self.parameters, Some(self.directory))?;
        let asked = ask(server.address(), self.corpus, world, self.arguments)?;
        let peak = server.process().and_then(Process::peak_memory);
        let stopping = now();
        server.stop()?;
        if self.arguments.under_ingest {
            // How many events there are is not known any more, nor what a restart must count.
            return Ok(asked);
        }
        let table = Table::begin("Restarts");
        table.row_if("peak memory, with the queries", peak.map(mebibytes));
        table.row("first start on an empty directory to the first count", &milliseconds(empty_start));
        table.row("SIGTERM to the end of the process", &milliseconds(stopping.elapsed()));
        self.restarts(&table)?;
        Ok(asked)
    }

    /// After a stop: start, fill the journal, kill, start.
    fn restarts(&self, table: &Table) -> Result<()> {
        let events = self.parameters.events;
        let (server, after_stop) = self.start(events, &UNFLUSHED)?;
        print_start(table, "start after SIGTERM to the first full count, ms", after_stop, bounds::CLEAN_START);
        print_disk(table, "after a restart", self.directory, events)?;
        let late = self.late();
        store(server.address(), self.corpus, &late, self.arguments.batch, self.arguments.connections)?;
        server.kill()?;
        let (server, after_kill) = self.start(events + late.events, &[])?;
        let name = format!("start after `kill -9`, {} events later, to the first full count, ms", grouped(late.events));
        print_start(table, &name, after_kill, bounds::FULL_START);
        table.row_if("CPU seconds of this start", server.process().and_then(Process::cpu_seconds).map(|s| format!("{s:.2}")));
        server.stop()?;
        Ok(())
    }

    /// Other events of an earlier time, so that the queries of a kept directory keep their answers.
    fn late(&self) -> Parameters {
        let p = self.parameters;
        let end = p.end - ((p.days + 2.0) * 86_400.0) as i64;
        Parameters { events: p.events.min(JOURNAL_EVENTS_MAX), days: 1.0, end, seed: p.seed ^ 0x6b69_6c6c, ..p.clone() }
    }

    /// Starts the server, with these settings beside those that were asked for; the time from there until it counts at least so many events.
    fn start(&self, events: u64, more: &[(&str, &str)]) -> Result<(Server, Duration)> {
        eprintln!("starting a server, which is to count {} events", grouped(events));
        let mut settings = self.arguments.settings.clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let start = now();
        let server = Server::start(self.binary, self.directory, &settings)?;
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
fn ask(address: SocketAddr, corpus: &Corpus, world: &mut World<'_>, arguments: &Arguments) -> Result<Vec<Measured>> {
    world.look_around(address)?;
    let asked = queries::measure(address, world, arguments.runs)?;
    print_queries(&asked, arguments.runs);
    if arguments.under_ingest {
        under_ingest::measure(address, corpus, world, arguments)?;
    }
    Ok(asked)
}

fn ingest(server: &Server, corpus: &Corpus, arguments: &Arguments, parameters: &Parameters, directory: Option<&Path>) -> Result<()> {
    let before = server.process().and_then(Process::cpu_seconds);
    let stored = store(server.address(), corpus, parameters, arguments.batch, arguments.connections)?;
    let after = server.process().and_then(Process::cpu_seconds);
    // A server that was started elsewhere keeps its head for as long as its settings say.
    eprintln!("waiting until everything is flushed");
    let waited = directory.map(|_| settle(server, parameters.events)).transpose()?;
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
    if let Some(seconds) = since(server.process().and_then(Process::cpu_seconds)) {
        let bound = bounds::of_ingest(arguments.batch);
        table.figure("CPU s / M events, with all work in the background", seconds, &format!("{seconds:.2}"), bound);
    }
    table.row_if("quiet, with everything flushed, after", waited.map(milliseconds));
    if let Some(peak) = server.process().and_then(Process::peak_memory) {
        table.figure("peak memory", peak as f64 / f64::from(1 << 20), &mebibytes(peak), bounds::of_memory(parameters.events));
    }
    directory.map_or(Ok(()), |directory| print_disk(&table, "everything flushed", directory, stored.events))
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

fn print_disk(table: &Table, when: &str, directory: &Path, events: u64) -> Result<()> {
    let disk = disk(directory)?;
    let files = [("all files", disk.all, None), ("without journal and spare files", disk.at_rest, bounds::BYTES_AN_EVENT)];
    for (which, bytes, bound) in files {
        let each = bytes as f64 / events as f64;
        table.figure(&format!("disk, {when}: {which}"), each, &format!("{each:.1} bytes an event ({})", mebibytes(bytes)), bound);
    }
    Ok(())
}

/// Waits until nothing is in the heads and the server does nothing any more; how long that took.
fn settle(server: &Server, events: u64) -> Result<Duration> {
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
        if !flushed || busy {
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

fn print_start(table: &Table, name: &str, time: Duration, bound: Option<Bound>) {
    let milliseconds = time.as_secs_f64() * 1e3;
    table.figure(name, milliseconds, &format!("{milliseconds:.0}"), bound);
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
        let path = Directory::beside("data")?;
        std::fs::create_dir(&path)?;
        Ok(Directory { path, mine: true })
    }

    /// Beside the build, not in /tmp, which may be memory: then "durable" would cost nothing.
    fn beside(what: &str) -> Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name(format!("measure-{what}-{}", std::process::id())))
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
