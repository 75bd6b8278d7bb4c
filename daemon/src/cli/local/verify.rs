//! `traild verify`: reads a data directory from end to end, and says what is wrong with it.
//!
//! Nothing is written, and all is read by calls: a bad sector is one more thing that is said, and a damaged catalog hides no damage to the
//! rest. The server must not run on the directory meanwhile: it would change under the reader, which then finds damage
//! that is none. The settings of the server count as they do for the server: a segment that its retention has let go of, and whose file
//! is still there after a crash, is one that the next start removes; under a longer retention it would be one that is lost.

use clap::Args;
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::directory::{DirectoryArgs, bar};
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::text::{printable, thousands};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild verify --data-dir /var/lib/traild                  with the server stopped
  traild verify --data-dir /mnt/copy > damage.txt           a copy, at any time
  traild verify --data-dir /var/lib/traild --retention 90d  when the server was started so

One line on standard output for everything that is wrong, the file first, for each place that the disk does not give, and for each damaged
segment how many of its events can still be read. Exit code 0: nothing is wrong; 1: something is; 2: it could not be looked at. `traild
repair` is what to do then; of a disk with bad sectors make a copy first (ddrescue), and repair that.";

/// Reads every byte of a data directory and says what is damaged.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be looked at.
pub fn verify(args: &VerifyArgs) -> Outcome {
    let mut output = Output::new();
    let options = args.directory.options(true)?;
    let (progress, on_step) = bar();
    let looked = AuditLog::inspect(args.directory.path(), &options, &Cancel::default(), on_step);
    progress.finish();
    let looked = looked.map_err(|error| Failure::usage(Failure::from(error).message))?;
    looked.notes.iter().for_each(|note| tell(printable(note)));
    looked.found.iter().chain(&looked.unread).try_for_each(|line| output.line(&printable(line)))?;
    output.flush()?;
    let (segments, events) = (thousands(looked.segments), thousands(looked.events));
    let count = thousands((looked.found.len() + looked.unread.len()) as u64);
    tell(format!("catalog, journal and {segments} segments read, {events} events; {count} problems"));
    Ok(if looked.found.is_empty() && looked.unread.is_empty() { Exit::Ok } else { Exit::Nothing })
}
