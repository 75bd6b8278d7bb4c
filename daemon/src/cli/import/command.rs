//! The command `traild import`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueHint};

use super::directory::DirectoryTarget;
use super::pipeline::{Target, run};
use super::report::Report;
use super::server::ServerTarget;
use super::source::expand;
use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::serve::load_config;
use crate::cli::terminal::interrupt::{interrupted, listen};
use crate::cli::terminal::output::tell;
use crate::cli::terminal::progress::Progress;
use crate::config::Overrides;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild import events.ndjson                          one file into the server on this machine
  traild import cloudtrail-logs/                       a folder, with gzip and {\"Records\":[...]} as they are
  zstdcat old.zst | traild import -                    standard input
  traild import --data-dir /var/lib/traild logs/       into a data directory that no server has open
  traild import --rejects bad.ndjson dump.json         write down what was rejected, and why

Import is safe to repeat and to interrupt: an event that has an id is stored once, however often the same bytes are sent.
Events without an id are stored every time.
What a file holds is told from its bytes, not from its name. A text whose first value is an array, {\"Records\":[...]} or an object
that goes on in the next lines is read as JSON documents. Every other text is NDJSON: one line is one event, and a line that has
anything behind its object is rejected whole. What is rejected is named with file, line and reason; the exit code is then 5.
Of a folder only files with JSON in them are read: one in whose beginning no line starts with { or [ is named and passed over.";

/// Imports events from files, folders and standard input.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Files, folders, or `-` for standard input: NDJSON, JSON objects, arrays, {"Records":[...]}; plain, gzip or zstd.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Import straight into this data directory, without a server.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,

    /// With --data-dir: the server's configuration, for its dimensions and retention [env: TRAILD_CONFIG].
    #[arg(long, value_name = "FILE", requires = "data_dir", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Write every rejected event to this file: NDJSON with file, line, byte, code and message.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub rejects: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When nothing could be imported, or not everything.
pub fn import(args: &ImportArgs, connection: &ConnectionArgs) -> Outcome {
    let inputs = expand(&args.paths)?;
    let report = Report::new(args.rejects.as_deref())?;
    let target = target(args, connection)?;
    let known = inputs.iter().all(|input| input.path.is_some());
    let progress = Arc::new(Progress::new(known.then(|| inputs.iter().map(|input| input.bytes).sum())));
    let said = progress.clone();
    listen(move || said.say("stopping; what is on its way will arrive (press again to stop at once)"))?;
    let (mut report, failure) = run(&inputs, target, report, &progress)?;
    let time = progress.finish();
    let ended = report.finish(&progress);
    tell(report.summary(time));
    if let Some(failure) = failure {
        return Err(failure);
    }
    let exit = ended?;
    if interrupted() {
        return Err(Failure::new(Exit::Interrupted, "interrupted; the same command again will import the rest"));
    }
    Ok(exit)
}

fn target(args: &ImportArgs, connection: &ConnectionArgs) -> Result<Box<dyn Target>, Failure> {
    let Some(directory) = &args.data_dir else {
        return Ok(Box::new(ServerTarget::new(connection.client()?)?));
    };
    // Not by clap: the variable may be set for the server, and means nothing to an import into one.
    let variable = std::env::var_os("TRAILD_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = args.config.clone().or(variable);
    let overrides = Overrides { data_dir: Some(directory.clone()), ..Overrides::default() };
    let config = load_config(file.as_deref(), &overrides)?;
    Ok(Box::new(DirectoryTarget::open(directory, config.engine_options()?)?))
}
