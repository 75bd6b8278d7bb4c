//! The command and its verbs: each is one request.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::output::{Output, show};
use crate::cli::trails::definition::DefinitionArgs;
use crate::cli::trails::shown;
use crate::trails::sink::registry::SINKS;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild trail kinds                                                    where events can go
  traild trail create archive --type file --set path=/srv/archive --from oldest
  traild trail start archive
  traild trail status archive
  traild trail backfill archive --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z
  traild trail create siem --file siem.json";

/// Makes, starts, stops and watches trails: what the log delivers to other places.
#[derive(Debug, Clone, Args)]
pub struct TrailArgs {
    #[command(subcommand)]
    verb: Verb,

    /// The server's answer instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// The trails.
    List,
    /// The kinds of sinks, and what each wants to know.
    Kinds,
    /// The definition of a trail.
    Show(Name),
    /// How far a trail is, and what hinders it.
    Status(Name),
    /// Makes a trail, at rest.
    Create(DefinitionArgs),
    /// Gives a trail another definition.
    Change(DefinitionArgs),
    /// Begins to deliver, or goes on.
    Start(Name),
    /// Stops to deliver.
    Stop(Name),
    /// Writes to every sink and reads it back.
    Test(Name),
    /// Removes a trail; what it delivered stays.
    Remove(Name),
    /// Delivers what was received in a past range.
    Backfill(Range),
    /// Stops a backfill where it is.
    Cancel(Job),
    /// Goes on with a backfill that was cancelled.
    Resume(Job),
}

#[derive(Debug, Clone, Args)]
struct Name {
    /// The name of the trail.
    name: String,
}

#[derive(Debug, Clone, Args)]
struct Range {
    /// The name of the trail.
    name: String,

    /// The first time of receipt (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: String,

    /// The first time after.
    #[arg(long, value_name = "TIME")]
    to: String,
}

#[derive(Debug, Clone, Args)]
struct Job {
    /// The name of the trail.
    name: String,
    /// The number of the backfill.
    job: u64,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn trail(args: &TrailArgs, connection: &ConnectionArgs) -> Outcome {
    let client = connection.client()?;
    let at = |name: &str, rest: &str| format!("/v1/trails/{}{rest}", escaped(name));
    let table = |answer: &Value, lines: fn(&Value, usize) -> Vec<String>| -> Outcome {
        show(answer, args.json, lines)?;
        Ok(Exit::Ok)
    };
    match &args.verb {
        Verb::Kinds => kinds(),
        Verb::List => table(&client.get("/v1/trails", &[])?, shown::list),
        Verb::Show(name) => table(&client.get(&at(&name.name, ""), &[])?, whole),
        Verb::Status(name) => table(&client.get(&at(&name.name, "/status"), &[])?, shown::status),
        Verb::Create(definition) => table(&client.send("POST", "/v1/trails", Some(&definition.body()?))?, whole),
        Verb::Change(definition) => table(&client.send("PUT", &at(&definition.name, ""), Some(&definition.body()?))?, whole),
        Verb::Start(name) => table(&client.send("POST", &at(&name.name, "/start"), None)?, shown::status),
        Verb::Stop(name) => table(&client.send("POST", &at(&name.name, "/stop"), None)?, shown::status),
        Verb::Remove(name) => table(&client.send("DELETE", &at(&name.name, ""), None)?, |_, _| Vec::new()),
        Verb::Backfill(range) => {
            let body = json!({ "from": range.from, "to": range.to });
            table(&client.send("POST", &at(&range.name, "/backfill"), Some(&body))?, whole)
        }
        Verb::Cancel(job) => table(&client.send("POST", &at(&job.name, &format!("/backfill/{}/cancel", job.job)), None)?, whole),
        Verb::Resume(job) => table(&client.send("POST", &at(&job.name, &format!("/backfill/{}/resume", job.job)), None)?, whole),
        Verb::Test(name) => {
            let answer: Value = client.send("POST", &at(&name.name, "/test"), None)?;
            show(&answer, args.json, |answer, _| shown::test(answer))?;
            if answer.get("ok") == Some(&Value::Bool(true)) {
                Ok(Exit::Ok)
            } else {
                Err(Failure::new(Exit::Refused, "a sink does not work"))
            }
        }
    }
}

fn kinds() -> Outcome {
    let mut output = Output::new();
    shown::kinds(SINKS).iter().try_for_each(|line| output.line(line))?;
    output.flush()?;
    Ok(Exit::Ok)
}

/// Everything, a member a line.
fn whole(answer: &Value, _cells: usize) -> Vec<String> {
    let text = serde_json::to_string_pretty(answer).unwrap_or_default();
    text.lines().map(crate::cli::terminal::text::printable).collect()
}

/// A name as a part of a path.
fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
