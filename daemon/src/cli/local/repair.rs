//! `traild repair`: makes a log of what can be read of a damaged data directory.
//!
//! Without `--apply` nothing is written: it is said what is wrong. With it, damaged files get another name, what can be read of
//! them is kept, and what is lost is said. It can be repeated; a second time there is nothing to do.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trail_engine::AuditLog;
use trail_engine::budget::Cancel;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::local::serve::load_config;
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::text::{printable, thousands};
use crate::config::Overrides;

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
    /// The data directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,

    /// The server's configuration file (TOML), if it has one: its dimensions are needed to index events anew.
    #[arg(long, env = "TRAILD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// How long the server keeps events, if that is said to it by a flag: what is older goes when the log is opened.
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,

    /// Repair, instead of only saying what is wrong.
    #[arg(long)]
    apply: bool,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be looked at, or be written.
pub fn repair(args: &RepairArgs) -> Outcome {
    let settings = args.retention.iter().map(|text| ("retention", text.clone())).collect();
    let overrides = Overrides { settings, data_dir: Some(args.data_dir.clone()) };
    let config = load_config(args.config.as_deref(), &overrides)?;
    let mut options = config.engine_options().map_err(Failure::from)?;
    options.read_only = false;
    let repaired = AuditLog::repair(&args.data_dir, &options, !args.apply, &Cancel::default()).map_err(Failure::from)?;
    let mut output = Output::new();
    let sections = [("wrong", &repaired.found), ("done", &repaired.done), ("lost", &repaired.lost)];
    for (what, line) in sections.iter().flat_map(|(what, lines)| lines.iter().map(move |line| (what, line))) {
        output.line(&printable(&format!("{what}: {line}")))?;
    }
    output.flush()?;
    let count = thousands(repaired.found.len() as u64);
    match (repaired.found.is_empty(), args.apply) {
        (true, _) => tell("nothing is wrong; nothing was changed"),
        (false, false) => tell(format!("{count} problems; nothing was changed: --apply repairs")),
        (false, true) => tell(format!("{count} problems; repaired")),
    }
    Ok(if repaired.found.is_empty() || args.apply { Exit::Ok } else { Exit::Nothing })
}
