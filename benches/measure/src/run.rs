//! The course of a measurement: flushing and merging alone; store, wait until the server is quiet, ask, stop, start, kill, start, let the day pass.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trail_corpus::{Census, Corpus, Parameters, Questions};
use trail_rig::{Connection, Process, Result, Server, grouped, mebibytes, now, target};

use crate::arguments::Arguments;
use crate::bounds::{self, Bound};
use crate::directory::Directory;
use crate::ingest::store;
use crate::queries::{self, Measured, World};
use crate::storing::{Load, milliseconds, print_disk};
use crate::table::{Table, print_growth, print_queries};
use crate::{alone, day_over, direct, machine, under_ingest};

/// How many more events are at most in the journal, and in no segment, when the server is killed: more than a head of the default size takes.
const JOURNAL_EVENTS_MAX: u64 = 175_000;
/// What keeps them there.
const UNFLUSHED: [(&str, &str); 2] = [("TRAILD_HEAD_AGE_MAX", "1h"), ("TRAILD_HEAD_BYTES_MAX", "1GiB")];
/// How long a full count may be waited for after a start.
const FIRST_COUNT_TIME_MAX: Duration = Duration::from_secs(120);

/// Measures and prints.
///
/// # Errors
/// For what cannot be started, read or stored, and for every wrong answer.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let corpus = Corpus::real()?;
    if arguments.under_ingest {
        machine::measure();
    }
    let measures_itself = arguments.url.is_none() && !arguments.only_queries;
    if measures_itself {
        alone::measure(&corpus, &arguments.parameters)?;
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
            let load = Load { arguments, corpus, parameters, directory: None };
            load.measure(&server)?;
        }
        return ask(address, corpus, &mut world, arguments);
    }
    let binary = arguments.binary.clone().map_or_else(beside_this_program, Ok)?;
    let directory = Directory::of(arguments)?;
    let measurement = Measurement { arguments, parameters, corpus, binary: &binary, directory: &directory };
    measurement.run(&mut world)
}

/// A measurement of a server that is started here.
struct Measurement<'m> {
    arguments: &'m Arguments,
    parameters: &'m Parameters,
    corpus: &'m Corpus,
    binary: &'m Path,
    directory: &'m Directory,
}

impl Measurement<'_> {
    fn run(&self, world: &mut World<'_>) -> Result<Vec<Measured>> {
        let (server, empty_start) = self.start(0, &[])?;
        if self.arguments.only_queries {
            let asked = ask(server.address(), self.corpus, world, self.arguments)?;
            server.stop()?;
            direct::measure(self.directory, world)?;
            return Ok(asked);
        }
        let Measurement { arguments, corpus, parameters, .. } = *self;
        let spent = Load { arguments, corpus, parameters, directory: Some(self.directory.path()) }.measure(&server)?;
        let asked = ask(server.address(), self.corpus, world, self.arguments)?;
        let peak = server.process().and_then(Process::peak_memory);
        let resting = self.rest(&server);
        let stopping = now();
        server.stop()?;
        let stopped = stopping.elapsed();
        direct::measure(self.directory, world)?;
        if self.arguments.under_ingest {
            // How many events there are is not known any more, nor what a restart must count.
            return Ok(asked);
        }
        let table = Table::begin("Memory and restarts");
        table.row_if("peak memory, with the queries", peak.map(mebibytes));
        if let Some(memory) = resting {
            let name = format!("memory with {} events, {} s after the last question", grouped(parameters.events), arguments.rest);
            table.figure(&name, memory as f64 / f64::from(1 << 20), &mebibytes(memory), bounds::AT_REST);
        }
        table.row("first start on an empty directory to the first count", &milliseconds(empty_start));
        table.row("SIGTERM to the end of the process", &milliseconds(stopped));
        self.restarts(&table)?;
        if !self.directory.is_kept() {
            day_over::measure(self.directory.path(), spent, arguments.batch)?;
        }
        Ok(asked)
    }

    /// The memory of a server that nobody has asked for a while; `None` when nobody wants to wait for that.
    fn rest(&self, server: &Server) -> Option<u64> {
        let seconds = Some(self.arguments.rest).filter(|seconds| *seconds > 0)?;
        eprintln!("asking nothing for {seconds} s");
        std::thread::sleep(Duration::from_secs(seconds));
        server.process().and_then(Process::memory)
    }

    /// After a stop: start, fill the journal, kill, start.
    fn restarts(&self, table: &Table) -> Result<()> {
        let events = self.parameters.events;
        let (server, after_stop) = self.start(events, &UNFLUSHED)?;
        print_start(table, "start after SIGTERM to the first full count, ms", after_stop, bounds::CLEAN_START);
        print_disk(table, "after a restart", self.directory.path(), events)?;
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
        let server = Server::start(self.binary, self.directory.path(), &settings)?;
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
    print_queries(&asked);
    if arguments.under_ingest {
        under_ingest::measure(address, corpus, world, arguments)?;
    }
    Ok(asked)
}

fn print_start(table: &Table, name: &str, time: Duration, bound: Option<Bound>) {
    let milliseconds = time.as_secs_f64() * 1e3;
    table.figure(name, milliseconds, &format!("{milliseconds:.0}"), bound);
}

fn beside_this_program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("traild");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no {}: run `cargo build --release -p traild`, or say --binary", path.display()).into())
    }
}
