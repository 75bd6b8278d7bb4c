//! `traild search`: events that match, as a table for people or as they came for programs.

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::Client;
use super::connection::ConnectionArgs;
use super::exit::{Exit, Failure, Outcome};
use super::fields::{DEFAULT, Fields, Row};
use super::output::{Format, Output, cells, tell};
use super::selection::SelectionArgs;
use super::table::{Align, Table};
use crate::dialect::default_schema;

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

On a terminal the answer is a table of the newest 50 events; in a pipe it is every event as NDJSON, verbatim but for
line breaks inside an event, which become spaces: only JSON answers (`GET /v1/events`) keep those.";

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
}

/// An event with its envelope.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) sequence: u64,
    #[serde(default)]
    pub(super) received_at: String,
    #[serde(default)]
    pub(super) event_time: String,
    pub(super) event: Box<RawValue>,
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
    if more && args.limit.is_none() {
        tell("there are more; --limit N shows them");
    }
    if found == 0 && table && args.selection.from.is_none() {
        tell("nothing found in the last 30 days; --from reaches further back");
    }
    Ok(if found == 0 { Exit::Nothing } else { Exit::Ok })
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
    loop {
        let mut query = args.selection.parameters();
        query.push(("order", if args.order == Order::Asc { "asc" } else { "desc" }.to_owned()));
        query.push(("limit", (limit - found).min(PAGE).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        query.extend((args.explain && found == 0).then(|| ("explain", "true".to_owned())));
        let page: Page = client.get("/v1/events", &query)?;
        found += page.events.len() as u64;
        each(&page.events)?;
        if let Some(explanation) = &page.explanation {
            tell(super::text::printable(&explanation.to_string()));
        }
        let more = page.next_cursor.is_some();
        if !more || found >= limit {
            return Ok((found, more));
        }
        cursor = page.next_cursor;
    }
}

/// Writes events in one of the formats; also for `tail`.
#[derive(Debug)]
pub(super) struct EventWriter {
    fields: Option<Fields>,
    format: Format,
    /// The widths of the columns, from the first page on.
    widths: Option<Vec<usize>>,
}

impl EventWriter {
    /// A writer; without names it has the default columns, or writes whole events.
    pub(super) fn new(names: &[String], format: Format) -> Result<EventWriter, Failure> {
        let fields = match (names.is_empty(), format) {
            (true, Format::Json) => None,
            (true, Format::Table) => Some(Fields::parse(&DEFAULT, default_schema()?)?),
            (false, _) => Some(Fields::parse(names, default_schema()?)?),
        };
        Ok(EventWriter { fields, format, widths: None })
    }

    /// Writes a page.
    pub(super) fn write(&mut self, events: &[Found], output: &mut Output) -> Result<(), Failure> {
        let Some(fields) = &self.fields else {
            return events.iter().try_for_each(|found| output.json_line(found.event.get()));
        };
        if self.format == Format::Json {
            return events.iter().try_for_each(|found| output.json_line(&with_row(found, |row| fields.object(row)).to_string()));
        }
        let mut table = Table::new(fields.names().map(|name| (name, Align::Left)));
        events.iter().for_each(|found| table.row(with_row(found, |row| fields.cells(row))));
        let heading = self.widths.is_none() && !events.is_empty();
        let widths = self.widths.get_or_insert_with(|| table.widths(cells())).clone();
        if events.is_empty() {
            self.widths = None;
        }
        table.lines(&widths, heading).iter().try_for_each(|line| output.line(line))
    }
}

/// Reads an event for its columns. One that is too deep for the reader has only its envelope.
fn with_row<T>(found: &Found, read: impl FnOnce(Row<'_>) -> T) -> T {
    let event: Value = serde_json::from_str(found.event.get()).unwrap_or(Value::Null);
    read(Row { sequence: found.sequence, received_at: &found.received_at, event_time: &found.event_time, event: &event })
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

    #[test]
    fn an_event_too_deep_to_read_still_has_a_row() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let found = Found { sequence: 3, received_at: "t".into(), event_time: String::new(), event: RawValue::from_string(deep).unwrap() };
        let fields = Fields::parse(&["sequence", "a.b"], default_schema().unwrap()).unwrap();
        assert_eq!(with_row(&found, |row| fields.cells(row)), ["3", ""]);
    }
}
