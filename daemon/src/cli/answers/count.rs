//! `traild count`: how many events match.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection::SelectionArgs;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::{Gap, show, tell_incomplete};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild count                                      all events of the last 30 days
  traild count error_code:AccessDenied --from now-1h
  traild count 'user:alice -read_only:true' --json";

/// Counts events; the exit code is 1 when there are none.
#[derive(Debug, Clone, Args)]
pub struct CountArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// `{"count":N}` instead of the number.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    count: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<Gap>,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn count(args: &CountArgs, connection: &ConnectionArgs) -> Outcome {
    let answer: Answer = connection.client()?.get("/v1/count", &args.selection.parameters())?;
    show(&answer, args.json, |answer, _| vec![answer.count.to_string()])?;
    tell_incomplete(&answer.incomplete);
    Ok(if answer.count == 0 { args.selection.nothing() } else { Exit::Ok })
}
