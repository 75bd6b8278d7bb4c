//! `traild search`: events that match, as a table for people or as they came for programs.

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::asking::client::Client;
use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection::SelectionArgs;
use crate::cli::events::writer::{EventWriter, Found};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::output::{Format, Gap, Output, tell, tell_incomplete};

/// How many events a person is shown when no number is given.
const TERMINAL_LIMIT: u64 = 50;

/// How many events are asked for at once: at 1 KiB an event a page of a megabyte.
const PAGE: u64 = 1_000;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild search user:alice -error_code:*                             what alice did without an error
  traild search 'event_name:(DeleteTrail OR StopLogging)' --from now-7d
  traild search source_ip:10.0.0.0/8 --fields event_time,user,requestParameters.bucketName
  traild search read_only:false --order asc > changes.ndjson         all of them, one event a line

On a terminal the answer is a table of the newest 50 events: without --fields its empty columns are left out, and the last ones when
there is no room. In a pipe it is every event as NDJSON, verbatim but for line breaks between tokens, which become blanks.";

/// Finds events.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// The most events; 50 on a terminal, all of them in a pipe.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// Newest first or oldest first.
    #[arg(long, value_enum, default_value = "desc")]
    order: Order,

    /// The columns: dimensions, `sequence`, `received_at` or JSON paths, with commas. With JSON: one object an event.
    #[arg(long, value_name = "A,B.C", value_delimiter = ',')]
    fields: Vec<String>,

    /// Say on standard error how the answer was found.
    #[arg(long)]
    explain: bool,

    /// NDJSON on a terminal as well.
    #[arg(long)]
    json: bool,

    /// A table in a pipe as well.
    #[arg(long, conflicts_with = "json")]
    table: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

/// A page as the server sends it.
#[derive(Debug, Deserialize)]
struct Page {
    events: Vec<Found>,
    next_cursor: Option<String>,
    #[serde(default, alias = "explain", alias = "plan")]
    explanation: Option<Value>,
    #[serde(default)]
    incomplete: Vec<Gap>,
}

/// Runs the command.
///
/// # Errors
/// As the client; or when a field is neither dimension nor path.
pub fn search(args: &SearchArgs, connection: &ConnectionArgs) -> Outcome {
    let mut output = Output::new();
    let table = args.table || (output.terminal && !args.json);
    let format = if table { Format::Table } else { Format::Json };
    let mut writer = EventWriter::new(&args.fields, format)?;
    let limit = args.limit.unwrap_or(if output.terminal { TERMINAL_LIMIT } else { u64::MAX });
    let (found, more) = page_through(args, limit, &connection.client()?, |events| {
        writer.write(events, &mut output)?;
        output.flush()
    })?;
    for name in writer.never_filled().filter(|_| found > 0) {
        tell(crate::cli::terminal::text::printable(&format!("no value in any of these events: {name}")));
    }
    if more && args.limit.is_none() {
        tell("there are more; --limit N shows them");
    }
    Ok(if found == 0 { args.selection.nothing() } else { Exit::Ok })
}

/// Asks for page after page; how many events came, and whether there are more.
fn page_through(
    args: &SearchArgs,
    limit: u64,
    client: &Client,
    mut each: impl FnMut(&[Found]) -> Result<(), Failure>,
) -> Result<(u64, bool), Failure> {
    let mut found = 0;
    let mut cursor: Option<String> = None;
    let mut gaps: Vec<Gap> = Vec::new();
    loop {
        let mut query = args.selection.parameters();
        query.push(("order", if args.order == Order::Asc { "asc" } else { "desc" }.to_owned()));
        query.push(("limit", (limit - found).min(PAGE).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        query.extend((args.explain && found == 0).then(|| ("explain", "true".to_owned())));
        let page: Page = client.get("/v1/events", &query)?;
        found += page.events.len() as u64;
        each(&page.events)?;
        tell_incomplete(page.incomplete.iter().filter(|gap| !gaps.contains(gap)));
        gaps.extend(page.incomplete);
        if let Some(explanation) = &page.explanation {
            tell(crate::cli::terminal::text::printable(&explanation.to_string()));
        }
        let more = page.next_cursor.is_some();
        if !more || found >= limit {
            return Ok((found, more));
        }
        cursor = page.next_cursor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_events_verbatim() {
        let json = r#"{"events":[{"sequence":7,"received_at":"t","event":{ "a" : 1.50,"b":"\u0041" }}],"extra":1}"#;
        let page: Page = serde_json::from_str(json).unwrap();
        assert_eq!(page.events[0].event.get(), r#"{ "a" : 1.50,"b":"\u0041" }"#);
        assert_eq!((page.events[0].sequence, page.next_cursor), (7, None));
    }
}
