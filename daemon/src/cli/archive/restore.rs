//! `traild restore`: a data directory of archived segments, from which `traild serve --read-only` answers.
//!
//! Every file is held against its manifest before it is written; then the engine makes a catalog of the segments, which reads all of them again. Byte for
//! byte the segments are what they were.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;
use trail_engine::error::{Error, Result};
use trail_engine::options::Options;
use trail_engine::storage::{FileStorage, Storage};

use crate::cli::archive::command::read_all;
use crate::cli::archive::place::{PlaceArgs, failed, runtime};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::directory::bar;
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::text::{printable, thousands};
use crate::trails::archive::Entry;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild restore /srv/archive/all --data-dir ./past --from 2026-11-01 --to 2026-11-08
  traild restore s3://audit/traild/all --data-dir ./past

Then `traild serve --data-dir ./past --read-only` answers questions from it. Keys of a bucket come from where `traild archive` takes them. The directory must be empty. What is wrong with the archive is said, one line
each, and the rest is restored. Exit code 1: something is wrong.";

/// The longest time that events are kept: a restored directory drops nothing.
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Makes a data directory of archived segments.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// The data directory to make.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the archive cannot be read, or the directory not be made.
pub fn restore(args: &RestoreArgs) -> Outcome {
    let (archive, days) = (args.place.archive()?, args.place.days()?);
    let runtime = runtime()?;
    let content = runtime.block_on(archive.content(days)).map_err(failed)?;
    if content.entries.is_empty() {
        return Err(Failure::new(Exit::Nothing, format!("there are no segments of these days in {}", archive.place())));
    }
    let unusable = |e: std::io::Error| Failure::usage(format!("cannot use {}: {e}", args.data_dir.display()));
    let storage = FileStorage::open(&args.data_dir).map_err(unusable)?;
    if !storage.list().map_err(unusable)?.is_empty() {
        return Err(Failure::usage(format!("{} is not empty", args.data_dir.display())));
    }
    let take = |entry: &Entry, file: &[u8]| place(&storage, &format!("segment-{}", entry.segment.id), file).map_err(Failure::from);
    let problems = runtime.block_on(read_all(&archive, &content, take))?;
    drop(storage);
    let options = Options { retention: FOR_EVER, ..Options::default() };
    let (progress, on_step) = bar();
    let repaired = AuditLog::repair(&args.data_dir, &options, false, &Cancel::default(), on_step);
    progress.finish();
    if let Some(unread) = repaired.map_err(Failure::from)?.unread.first() {
        return Err(Failure::usage(format!("what was restored cannot be read: {unread}")));
    }
    let log = AuditLog::open(&args.data_dir, Options { read_only: true, ..options }).map_err(Failure::from)?;
    let mut output = Output::new();
    problems.iter().try_for_each(|problem| output.line(&printable(problem)))?;
    output.flush()?;
    let (stats, wrong) = (log.stats(), thousands(problems.len() as u64));
    tell(format!("{} segments, {} events restored; {wrong} problems", thousands(stats.segments), thousands(stats.events)));
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Nothing })
}

/// Writes a file whole and durably.
fn place(storage: &FileStorage, name: &str, bytes: &[u8]) -> Result<()> {
    let write = || {
        if storage.list()?.iter().any(|other| other == name) {
            let taken = format!("two segments of the archive are called {name}: restore their days apart");
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, taken));
        }
        let file = storage.create(name)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        storage.sync_directory()
    };
    write().map_err(|e| Error::io("cannot write a segment", e).in_file(name.to_owned()))
}
