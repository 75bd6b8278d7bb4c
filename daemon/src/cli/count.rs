//! `traild count`: how many events match.

use clap::Args;
use serde::Deserialize;

use super::connection::ConnectionArgs;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::selection::SelectionArgs;

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

#[derive(Debug, Deserialize)]
struct Answer {
    count: u64,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn count(args: &CountArgs, connection: &ConnectionArgs) -> Outcome {
    let Answer { count } = connection.client()?.get("/v1/count", &args.selection.parameters())?;
    let mut output = Output::new();
    output.line(&if args.json { format!("{{\"count\":{count}}}") } else { count.to_string() })?;
    output.flush()?;
    Ok(if count == 0 { Exit::Nothing } else { Exit::Ok })
}
