//! `generate`: writes any number of events, one a line, to a file or to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use trail_corpus::{Corpus, Generator, Parameters, read_end};

const USAGE: &str = "usage: generate [options] OUT|-
  --events N     how many events (1000000)
  --days D       over how many days (3)
  --end T        where these days end, like 2026-11-22T00:00:00Z
  --seed S       what everything random follows from (1)
  --users N --keys N --addresses N --resources N --sessions N --run N
  --corpus FILE  events to start from, one JSON object a line (the embedded CloudTrail corpus)";
const CHUNK_BYTES: usize = 1 << 20;

struct Arguments {
    parameters: Parameters,
    corpus: Option<String>,
    out: String,
}

fn main() -> ExitCode {
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let arguments = read(std::env::args().skip(1))?;
        let corpus = match &arguments.corpus {
            Some(path) => Corpus::from_ndjson(&std::fs::read(path).map_err(|e| format!("{path}: {e}"))?)?,
            None => Corpus::real()?,
        };
        let mut out: Box<dyn Write> = match arguments.out.as_str() {
            "-" => Box::new(io::stdout().lock()),
            path => Box::new(BufWriter::new(File::create(path).map_err(|e| format!("{path}: {e}"))?)),
        };
        write(&corpus, &arguments.parameters, &mut out)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(2)
        }
    }
}

/// Progress goes to standard error, a line for each percent of more than a million events.
fn write(corpus: &Corpus, parameters: &Parameters, out: &mut dyn Write) -> Result<(), Box<dyn std::error::Error>> {
    let mut generator = Generator::new(corpus, parameters)?;
    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    let step = (parameters.events / 100).max(10_000);
    let (mut events, mut bytes) = (0u64, 0u64);
    while generator.next_event(&mut chunk).is_some() {
        chunk.push(b'\n');
        events += 1;
        if chunk.len() >= CHUNK_BYTES {
            out.write_all(&chunk)?;
            bytes += chunk.len() as u64;
            chunk.clear();
        }
        if events % step == 0 && parameters.events > 1_000_000 {
            eprint!("\r{events} of {} events, {} MiB", parameters.events, bytes >> 20);
        }
    }
    out.write_all(&chunk)?;
    out.flush()?;
    eprintln!("\r{events} events, {} bytes", bytes + chunk.len() as u64);
    Ok(())
}

fn read(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parameters = Parameters::default();
    let (mut corpus, mut out) = (None, None);
    while let Some(argument) = given.next() {
        if !argument.starts_with("--") {
            out = Some(argument);
            continue;
        }
        let value = given.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"))?;
        let p = &mut parameters;
        match argument.as_str() {
            "--events" => p.events = number(&argument, &value)?,
            "--days" => p.days = number(&argument, &value)?,
            "--end" => p.end = read_end(&value).ok_or_else(|| format!("--end `{value}` is not like 2026-11-22T00:00:00Z"))?,
            "--seed" => p.seed = number(&argument, &value)?,
            "--users" => p.users = number(&argument, &value)?,
            "--keys" => p.keys = number(&argument, &value)?,
            "--addresses" => p.addresses = number(&argument, &value)?,
            "--resources" => p.resources = number(&argument, &value)?,
            "--sessions" => p.sessions = number(&argument, &value)?,
            "--run" => p.run = number(&argument, &value)?,
            "--corpus" => corpus = Some(value),
            _ => return Err(format!("unknown option {argument}\n{USAGE}")),
        }
    }
    Ok(Arguments { parameters, corpus, out: out.ok_or(USAGE)? })
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} `{value}` is not a number in its range"))
}
