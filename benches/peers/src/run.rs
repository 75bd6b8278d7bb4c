//! One run: the file, the right answers, and then one peer after the other, each from nothing and alone on the machine.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use trail_corpus::{Census, Corpus, Generator, Parameters, Questions};
use trail_rig::{Result, now};

use crate::arguments::Arguments;
use crate::binary::traild;
use crate::outcome::{Answered, Measured, Outcome, Times};
use crate::peer::Peer;
use crate::peers::{ClickHouse, Clp, Python, Tantivy, Traild, VictoriaLogs};
use crate::question::{Question, questions};
use crate::truth::Truth;

/// How often a question is asked before its times count.
const WARM_UP: usize = 5;
/// Slow answers are asked for less often: the warm-up ends after so long, and no question begins after so long.
const WARM_UP_TIME_MAX: Duration = Duration::from_secs(5);
const QUESTION_TIME_MAX: Duration = Duration::from_secs(20);

/// What was asked, and what became of every peer.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    pub(crate) questions: Vec<(String, Question)>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Runs all of it.
pub(crate) fn run(arguments: &Arguments) -> Result<Comparison> {
    std::fs::create_dir_all(&arguments.work)?;
    let corpus = Corpus::real()?;
    let file = arguments.work.join("events.ndjson");
    eprintln!("writing {} events", arguments.parameters.events);
    let bytes = write(&corpus, &arguments.parameters, &file)?;
    eprintln!("counting them: {} MB", bytes / 1_000_000);
    let census = Census::take(&corpus, &arguments.parameters)?;
    let questions = questions(&Questions::choose(&corpus, &arguments.parameters, &census)?);
    let truth = Truth::read(&file, &questions)?;
    drop(census);
    let ground = Ground { arguments, file: &file, questions: &questions, truth: &truth };
    let outcomes = arguments.peers.iter().map(|peer| ground.outcome(peer)).collect();
    Ok(Comparison { events: arguments.parameters.events, bytes, runs: arguments.runs, questions, outcomes })
}

fn write(corpus: &Corpus, parameters: &Parameters, file: &Path) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut generator = Generator::new(corpus, parameters)?;
    let (mut event, mut bytes) = (Vec::new(), 0);
    while generator.next_event(&mut event).is_some() {
        bytes += event.len() as u64;
        event.push(b'\n');
        out.write_all(&event)?;
        event.clear();
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(bytes)
}

/// What all peers have in common.
struct Ground<'g> {
    arguments: &'g Arguments,
    file: &'g Path,
    questions: &'g [(String, Question)],
    truth: &'g Truth,
}

impl Ground<'_> {
    fn outcome(&self, word: &str) -> Outcome {
        eprintln!("== {word} ==");
        let directory = match Data::new(&self.arguments.work) {
            Ok(directory) => directory,
            Err(failure) => return Outcome::Failed { name: word.into(), why: failure.to_string() },
        };
        let mut peer = match self.start(word, &directory.path) {
            Ok(peer) => peer,
            Err(failure) => {
                eprintln!("skipped: {failure}");
                return Outcome::Skipped { name: word.into(), why: failure.to_string() };
            }
        };
        match self.measure(&mut *peer) {
            Ok(measured) => Outcome::Measured(measured),
            Err(failure) => {
                eprintln!("failed: {failure}");
                Outcome::Failed { name: peer.name(), why: failure.to_string() }
            }
        }
    }

    fn start(&self, word: &str, directory: &Path) -> Result<Box<dyn Peer>> {
        let p = &self.arguments.parameters;
        // Events are up to five minutes older than the days they arrive in.
        let span = [p.end - (p.days * 86_400.0) as i64 - 3_600, p.end + 1];
        let python = || Python::install(&self.arguments.work);
        Ok(match word {
            "traild" => Box::new(Traild::start(&traild(self.arguments.traild.as_deref())?, directory, span)?),
            "tantivy" => Box::new(Tantivy::start(directory)?),
            "clickhouse" => Box::new(ClickHouse::start(&python()?, directory)?),
            "clp-s" => Box::new(Clp::find(&python()?, directory)?),
            url => Box::new(VictoriaLogs::connect(url)?),
        })
    }

    fn measure(&self, peer: &mut dyn Peer) -> Result<Measured> {
        let before = peer.account().cpu_seconds;
        let start = now();
        peer.store(self.file)?;
        let store_time = start.elapsed();
        let stored = peer.account().cpu_seconds;
        eprintln!("stored after {:.1} s; settling", store_time.as_secs_f64());
        peer.settle()?;
        let settled = peer.account().cpu_seconds;
        let disk = peer.disk()?;
        let mut answers = Vec::new();
        for number in 0..self.questions.len() {
            answers.push(self.ask(peer, number)?);
        }
        let between = |from: Option<f64>, to: Option<f64>| Some(to? - from?);
        Ok(Measured {
            name: peer.name(),
            note: peer.note(),
            store_time,
            store_cpu: between(before, stored),
            settle_cpu: between(stored, settled),
            disk,
            peak_memory: peer.account().peak_memory,
            answers,
        })
    }

    fn ask(&self, peer: &mut dyn Peer, number: usize) -> Result<Answered> {
        let (name, question) = self.questions.get(number).ok_or("there is no such question")?;
        let (start, mut times, mut warm) = (now(), Vec::new(), 0);
        while times.len() < self.arguments.runs && (times.is_empty() || start.elapsed() < QUESTION_TIME_MAX) {
            let Some(timed) = peer.ask(question)? else { return Ok(Answered::Not) };
            if let Err(wrong) = self.truth.check(number, &timed.reply) {
                let shown = wrong.to_string().chars().take(2_000).collect::<String>();
                eprintln!("{name}: wrong answer: {shown}");
                return Ok(Answered::Wrong(shown));
            }
            if warm < WARM_UP && start.elapsed() < WARM_UP_TIME_MAX {
                warm += 1;
            } else {
                times.push(timed.time);
            }
        }
        let times = Times::of(times);
        eprintln!("{name}: {:.2} / {:.2} ms", times.milliseconds(50), times.milliseconds(99));
        Ok(Answered::Right(times))
    }
}

/// An empty directory, removed at the end.
struct Data {
    path: PathBuf,
}

impl Data {
    fn new(work: &Path) -> Result<Data> {
        let path = work.join(format!("data-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Data { path })
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // What is left is in the work directory, whose owner is told to remove it.
        let _removed = std::fs::remove_dir_all(&self.path);
    }
}
