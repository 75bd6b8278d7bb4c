//! `traild key`: keys for clients.

use clap::{Args, Subcommand, ValueEnum};
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::id::Timestamp;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::output::{Output, tell};
use crate::config::{Scope, parse_duration};
use crate::keys;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild key create --scopes ingest --id web-1
  traild key create --scopes ingest,query --expires 90d
  traild key create --scopes admin > admin.key              the token alone goes to standard output";

/// Makes keys for clients.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum KeyCommand {
    /// Makes a key: prints the token, which is stored nowhere, and the entry for the server's configuration.
    #[command(after_help = EXAMPLES)]
    Create(CreateArgs),
}

#[derive(Debug, Clone, Args)]
struct CreateArgs {
    /// What the key may do, with commas.
    #[arg(long, value_enum, value_delimiter = ',', required = true, value_name = "SCOPES")]
    scopes: Vec<ScopeName>,

    /// Its name in the configuration and in logs: 1 to 32 of [a-z0-9-]; random by default.
    #[arg(long)]
    id: Option<String>,

    /// When it ends, from now on, such as 90d; never by default.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeName {
    /// Send events.
    Ingest,
    /// Ask for events.
    Query,
    /// Everything.
    Admin,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Scope {
        match name {
            ScopeName::Ingest => Scope::Ingest,
            ScopeName::Query => Scope::Query,
            ScopeName::Admin => Scope::Admin,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the id or the time cannot be used.
pub fn key(args: &KeyArgs) -> Outcome {
    let KeyCommand::Create(args) = &args.command;
    let scopes: Vec<Scope> = args.scopes.iter().copied().map(Scope::from).collect();
    let key = keys::create(args.id.as_deref(), &scopes).map_err(Failure::usage)?;
    let snippet = match &args.expires {
        Some(time) => format!("{}expires_at = \"{}\"\n", key.snippet, expiry(time, SystemClock::new().now())?),
        None => key.snippet.clone(),
    };
    tell("The token follows; it is stored nowhere and cannot be shown again.");
    let mut output = Output::new();
    output.line(&key.token)?;
    output.flush()?;
    tell(format_args!("Add this to the server's configuration file:\n\n{snippet}"));
    Ok(Exit::Ok)
}

/// The moment so long after now, in whole seconds.
fn expiry(time: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let time = parse_duration(time).map_err(Failure::usage)?;
    let end = i64::try_from(time.as_nanos()).ok().and_then(|nanos| now.0.checked_add(nanos));
    let end = end.filter(|&end| end > now.0).ok_or_else(|| Failure::usage("--expires must be more than 0 and less than 200 years"))?;
    Ok(Timestamp(end - end.rem_euclid(1_000_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_from_now_on() {
        let now = Timestamp(1_500_000_000);
        assert_eq!(expiry("1d", now).unwrap().to_string(), "1970-01-02T00:00:01Z");
        for bad in ["0s", "soon", "99999999999d"] {
            assert_eq!(expiry(bad, now).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }
}
