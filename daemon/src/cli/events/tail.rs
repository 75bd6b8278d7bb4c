//! `traild tail`: events as they become durable.
//!
//! When the connection breaks it is made again from the last sequence that the server named, and the events that came since then
//! are passed over: they come again in the same order. So nothing is missed and nothing is shown twice.

use std::io::BufRead;
use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;

use crate::cli::asking::client::Client;
use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection::join;
use crate::cli::events::writer::{EventWriter, Found};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::interrupt::{listen, pause};
use crate::cli::terminal::output::{Format, Output};

/// The wait before a broken connection is made again.
const RECONNECT: Duration = Duration::from_secs(1);

/// How often in a row a connection may fail to be made again.
const RECONNECTS_MAX: u32 = 30;

/// The longest line: an event and its envelope, with room for escapes.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild tail                                     everything from now on
  traild tail event_name:ConsoleLogin -mfa:true
  traild tail --after 4711 read_only:false > changes.ndjson

Ends with Ctrl-C. A connection that breaks is made again where it broke.";

/// Follows events as they become durable.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// The query; nothing means every event.
    #[arg(value_name = "QUERY")]
    query: Vec<String>,

    /// Start behind this sequence; 0 for the oldest event. Without it: from now on.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,

    /// The columns, as in `search`; what is followed comes without `sequence` and `received_at`.
    #[arg(long, value_name = "A,B.C", value_delimiter = ',')]
    fields: Vec<String>,

    /// NDJSON on a terminal as well.
    #[arg(long)]
    json: bool,
}

/// Up to where the stream was read: the server names a sequence now and then, events since then are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Position {
    after: Option<u64>,
    since: u64,
}

/// A line of the stream.
#[derive(Debug)]
enum Line {
    Event(Found),
    /// The log was looked at up to this sequence.
    UpTo(u64),
    Quiet,
}

/// Runs the command, until Ctrl-C or until the server is gone for good.
///
/// # Errors
/// As the client.
pub fn tail(args: &TailArgs, connection: &ConnectionArgs) -> Outcome {
    let client = connection.client()?;
    let mut output = Output::new();
    let format = if output.terminal && !args.json { Format::Table } else { Format::Json };
    let mut writer = EventWriter::streaming(&args.fields, format)?;
    // Every line is written whole and at once, so that ending here cuts nothing in two.
    listen(|| std::process::exit(Exit::Interrupted as i32))?;
    if format == Format::Table {
        // Before the first event comes: who waits sees that it works.
        writer.heading(&mut output)?;
        output.flush()?;
    }
    let mut position = Position { after: args.after, since: 0 };
    let mut failures = 0;
    loop {
        let before = position;
        let result = follow(&client, args, &mut position, |found| {
            writer.write(std::slice::from_ref(found), &mut output)?;
            output.flush()
        });
        let failure = match result {
            Err(failure) if failure.exit != Exit::Unreachable => return Err(failure),
            Err(failure) => failure,
            Ok(()) => Failure::new(Exit::Unreachable, "the server ended the stream"),
        };
        failures = if position == before { failures + 1 } else { 0 };
        // Without a position going on could miss events; before anything came a wrong address is more likely than a restart.
        if position.after.is_none() || position == (Position { after: args.after, since: 0 }) || failures > RECONNECTS_MAX {
            return Err(failure);
        }
        pause(RECONNECT);
    }
}

/// Reads one connection to its end; events that came over the one before are passed over.
fn follow(
    client: &Client,
    args: &TailArgs,
    position: &mut Position,
    mut each: impl FnMut(&Found) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut query = vec![("q", join(&args.query))];
    query.extend(position.after.map(|after| ("after", after.to_string())));
    let mut lines = client.get_lines("/v1/tail", &query)?;
    let mut line = Vec::new();
    let mut seen = 0;
    loop {
        line.clear();
        let read = std::io::Read::take(&mut lines, LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.map_err(|e| Failure::new(Exit::Unreachable, format!("the stream broke: {e}")))?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            return Err(Failure::new(Exit::Unreachable, "the stream broke inside of a line"));
        }
        match read_line(&line)? {
            Line::Quiet => {}
            // Behind what was seen before the connection broke a sequence only says what is known already.
            Line::UpTo(sequence) if seen >= position.since => {
                *position = Position { after: Some(sequence), since: 0 };
                seen = 0;
            }
            Line::UpTo(_) => {}
            Line::Event(found) => {
                seen += 1;
                if seen > position.since {
                    each(&found)?;
                    position.since = seen;
                }
            }
        }
    }
}

fn read_line(line: &[u8]) -> Result<Line, Failure> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    if !text.starts_with('{') {
        let sequence = text.strip_prefix('#').and_then(|rest| rest.trim().parse().ok());
        return Ok(sequence.map_or(Line::Quiet, Line::UpTo));
    }
    let event: Result<Box<RawValue>, _> = RawValue::from_string(text.to_owned());
    let event = event.map_err(|e| Failure::new(Exit::Refused, format!("the stream has a line that is no JSON: {e}")))?;
    Ok(Line::Event(Found { sequence: 0, received_at: String::new(), event_time: String::new(), event }))
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
