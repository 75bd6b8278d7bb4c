//! `traild repair`: makes a log of what can be read of a damaged data directory.
//!
//! Without `--apply` nothing is written: it is said what is wrong. With it, damaged files get another name, what can be read of
//! them is kept, and what is lost is said. It can be repeated; a second time there is nothing to do. What the disk does not give is not taken
//! for damaged: as long as there is any, nothing is written.

use clap::Args;
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::directory::{DirectoryArgs, bar};
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::text::{printable, thousands};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild repair --data-dir /var/lib/traild                  with the server stopped: says what is wrong, changes nothing
  traild repair --data-dir /var/lib/traild --apply          does something about it
  traild repair --data-dir /var/lib/traild --retention 90d  when the server was started so

Damaged files are never deleted but renamed, to `....aside` and `journal-quarantined-...`. Events that can be read keep their sequences; those
that cannot are listed as lost. Exit code 0: nothing is wrong, or it was repaired; 1: something is wrong; 2 or 4: it could not be looked at, or
not be repaired, and the directory is as it was or can be repaired again.";

/// Keeps what can be read of a damaged data directory.
#[derive(Debug, Clone, Args)]
pub struct RepairArgs {
    #[command(flatten)]
    directory: DirectoryArgs,

    /// Repair, instead of only saying what is wrong.
    #[arg(long)]
    apply: bool,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be looked at, or be written.
pub fn repair(args: &RepairArgs) -> Outcome {
    let options = args.directory.options(false)?;
    let (progress, on_step) = bar();
    let repaired = AuditLog::repair(args.directory.path(), &options, !args.apply, &Cancel::default(), on_step);
    progress.finish();
    let repaired = repaired.map_err(Failure::from)?;
    let mut output = Output::new();
    let sections = [("wrong", &repaired.found), ("unread", &repaired.unread), ("done", &repaired.done), ("lost", &repaired.lost)];
    for (what, line) in sections.iter().flat_map(|(what, lines)| lines.iter().map(move |line| (what, line))) {
        output.line(&printable(&format!("{what}: {line}")))?;
    }
    output.flush()?;
    if !repaired.unread.is_empty() {
        tell(
            "what cannot be read now is not damaged for that; nothing was changed: copy the directory to a sound disk, and repair the copy",
        );
        return Ok(if args.apply { Exit::Refused } else { Exit::Nothing });
    }
    let count = thousands(repaired.found.len() as u64);
    match (repaired.found.is_empty(), args.apply) {
        (true, _) => tell("nothing is wrong; nothing was changed"),
        (false, false) => tell(format!("{count} problems; nothing was changed: --apply repairs")),
        (false, true) => tell(format!("{count} problems; repaired")),
    }
    Ok(if repaired.found.is_empty() || args.apply { Exit::Ok } else { Exit::Nothing })
}
