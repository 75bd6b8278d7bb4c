//! `traild verify`: reads a data directory from end to end, and says what is wrong with it.
//!
//! Nothing is written. The server must not run on the directory meanwhile: it would change under the reader, which then finds damage
//! that is none. The settings of the server count as they do for the server: a segment that its retention has let go of, and whose file
//! is still there after a crash, is one that the next start removes; under a longer retention it would be one that is lost.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueHint};
use trail_engine::budget::Cancel;
use trail_engine::error::ErrorKind;
use trail_engine::{AuditLog, DamagedSegment, Notice};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::serve::load_config;
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::text::{printable, thousands};
use crate::config::Overrides;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild verify --data-dir /var/lib/traild                  with the server stopped
  traild verify --data-dir /mnt/copy > damage.txt           a copy, at any time
  traild verify --data-dir /var/lib/traild --retention 90d  when the server was started so

One line on standard output for everything that is wrong, the file first, and for each damaged segment how many of its events can still be
read. Exit code 0: nothing is wrong; 1: something is; 2: it could not be looked at. `traild repair` is what to do then.";

/// Reads every byte of a data directory and says what is damaged.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,

    /// The server's configuration file (TOML), if it has one: its retention says which segments should be gone.
    #[arg(long, env = "TRAILD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// How long the server keeps events, if that is said to it by a flag.
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be looked at.
pub fn verify(args: &VerifyArgs) -> Outcome {
    let mut output = Output::new();
    let settings = args.retention.iter().map(|text| ("retention", text.clone())).collect();
    let config = load_config(args.config.as_deref(), &Overrides { settings, data_dir: Some(args.data_dir.clone()) })?;
    let mut options = config.engine_options().map_err(Failure::from)?;
    options.read_only = true;
    let log = match AuditLog::open(&args.data_dir, options) {
        Ok(log) => log,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            output.line(&printable(&format!("{error}; nothing else was read")))?;
            output.flush()?;
            return Ok(Exit::Nothing);
        }
        Err(error) => return Err(Failure::usage(Failure::from(error).message)),
    };
    let (mut found, notes) = heard(&log);
    notes.iter().for_each(|note| tell(printable(note)));
    // Of a segment that could not even be opened it was said already why.
    let closed: Vec<String> = log.segments().iter().filter(|s| !s.readable).map(|s| format!("segment-{}", s.id)).collect();
    let stats = log.stats();
    let progress = Progress::new(Some(stats.segment_bytes));
    progress.about("reading segments");
    let damaged = log.examine(&Cancel::default(), &|bytes| progress.read(bytes)).map_err(|e| Failure::usage(e.to_string()))?;
    progress.finish();
    let readable = damaged.iter().filter(|damaged| !closed.contains(&damaged.file)).collect::<Vec<_>>();
    found.extend(readable.iter().flat_map(|damaged| &damaged.errors).map(ToString::to_string));
    found.iter().try_for_each(|line| output.line(&printable(line)))?;
    readable.iter().try_for_each(|damaged| output.line(&printable(&what_is_left(damaged))))?;
    output.flush()?;
    let (segments, events) = (thousands(stats.segments), thousands(stats.events));
    tell(format!("{segments} segments and the journal read, {events} events; {} problems", thousands(found.len() as u64)));
    Ok(if found.is_empty() { Exit::Ok } else { Exit::Nothing })
}

/// How much of a damaged segment can be read.
fn what_is_left(damaged: &DamagedSegment) -> String {
    let (readable, events) = (thousands(damaged.readable), thousands(damaged.events));
    let (first, last) = (damaged.first_sequence, damaged.last_sequence);
    format!("{}: {readable} of {events} events, sequences {first} to {last}, can still be read", damaged.file)
}

/// What opening found: problems, and what needs nobody.
fn heard(log: &AuditLog) -> (Vec<String>, Vec<String>) {
    let heard = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let ear = heard.clone();
    log.on_notice(Box::new(move |notice| {
        let mut heard = ear.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            Notice::Problem(text) => heard.0.push(text.to_owned()),
            Notice::Note(text) => heard.1.push(text.to_owned()),
            Notice::Over(_) => {}
        }
    }));
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard.clone()
}
