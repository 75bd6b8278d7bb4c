//! The command and its verbs: each is one request.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::output::{Output, show, tell};
use crate::cli::trails::definition::DefinitionArgs;
use crate::cli::trails::shown;
use crate::trails::sink::registry::SINKS;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild trail kinds                                                    where events can go
  traild trail create archive --type file --set path=/srv/archive --from oldest --start
  traild trail create changes --type s3 --set bucket=audit --set access_key_id=AK --set secret_access_key=file:/etc/traild/s3.key --filter -read_only:true
  traild trail test changes
  traild trail status archive
  traild trail backfill archive --from 2026-11-01 --to 2026-11-08
  traild trail create siem --file siem.json
  traild trail rotate-key";

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
    #[command(alias = "ls")]
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
    #[command(alias = "update")]
    Change(DefinitionArgs),
    /// Begins to deliver, or goes on.
    Start(Name),
    /// Stops to deliver.
    Stop(Name),
    /// Tries every sink, as far as that leaves no event behind.
    Test(Name),
    /// Removes a trail; what it delivered stays.
    #[command(aliases = ["delete", "rm"])]
    Remove(Name),
    /// Delivers what was received in a past range.
    Backfill(Range),
    /// Stops a backfill where it is.
    Cancel(Job),
    /// Goes on with a backfill that was cancelled.
    Resume(Job),
    /// The keys that signed digests; the last one signs.
    Keys,
    /// Signs digests with a new key from now on; the private half of the one before is destroyed.
    RotateKey,
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

    /// The first time of receipt: 2026-11-01, 2026-11-01T08:00:00Z, or now-2h.
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
        Verb::Kinds => kinds(args.json),
        Verb::List => {
            let all: Value = client.get("/v1/trails", &[])?;
            show(&all, args.json, shown::list)?;
            if all.get("trails").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                tell("there are no trails yet: `traild trail create` makes one");
            }
            Ok(Exit::Ok)
        }
        Verb::Show(name) => table(&client.get(&at(&name.name, ""), &[])?, whole),
        Verb::Status(name) => table(&client.get(&at(&name.name, "/status"), &[])?, shown::status),
        Verb::Create(definition) => {
            let made: Value = client.send("POST", "/v1/trails", Some(&definition.body()?))?;
            show(&made, args.json, whole)?;
            if made.get("state").and_then(Value::as_str) == Some("fresh") {
                tell(format_args!("it is at rest: `traild trail start {}` begins to deliver", definition.name));
            }
            Ok(Exit::Ok)
        }
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
        Verb::Keys => {
            let keys: Value = client.get("/v1/digest-keys", &[])?;
            show(&keys, args.json, shown::keys)?;
            if keys.get("keys").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                tell("there are no keys yet: the first digest makes one");
            }
            Ok(Exit::Ok)
        }
        Verb::RotateKey => table(&client.send("POST", "/v1/digest-keys/rotate", None)?, shown::keys),
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

fn kinds(json: bool) -> Outcome {
    let mut output = Output::new();
    if json {
        let all = Value::Array(SINKS.iter().map(|kind| shown::kind(kind)).collect());
        output.json_line(&all.to_string())?;
        output.flush()?;
        return Ok(Exit::Ok);
    }
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
