//! `traild segments`: the files that the log is made of.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::{Output, cells};
use crate::cli::terminal::table::{Align, Table};
use crate::cli::terminal::text::{bytes, counted, thousands};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild segments
  traild segments --json";

/// Lists the segments: the immutable files in which events are kept.
#[derive(Debug, Clone, Args)]
pub struct SegmentsArgs {
    /// One JSON object a segment instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    segments: Vec<Value>,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn segments(args: &SegmentsArgs, connection: &ConnectionArgs) -> Outcome {
    let answer: Answer = connection.client()?.get("/v1/segments", &[])?;
    let mut output = Output::new();
    if args.json {
        answer.segments.iter().try_for_each(|segment| output.json_line(&segment.to_string()))?;
    } else {
        render(&answer.segments, cells()).iter().try_for_each(|line| output.line(line))?;
    }
    output.flush()?;
    Ok(Exit::Ok)
}

fn render(segments: &[Value], cells: usize) -> Vec<String> {
    use Align::{Left, Right, Whole};
    let heading = [
        ("segment", Whole),
        ("day", Whole),
        ("sequences", Whole),
        ("events", Right),
        ("size", Right),
        ("per event", Right),
        ("state", Left),
    ];
    let mut table = Table::new(heading);
    for segment in segments {
        let text = |name: &str| segment.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
        let number = |name: &str| segment.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (events, size) = (number("events"), number("file_bytes"));
        let sequences = format!("{}-{}", number("first_sequence"), number("last_sequence"));
        let each = size.checked_div(events).map_or(String::new(), |each| format!("{each} B"));
        table.row([text("id"), text("day"), sequences, thousands(events), bytes(size), each, text("state")]);
    }
    let mut lines = table.lines(&table.widths(cells), true);
    let sum = |name: &str| segments.iter().filter_map(|s| s.get(name)?.as_u64()).fold(0, u64::saturating_add);
    let (files, events) = (counted(segments.len() as u64, "segment"), counted(sum("events"), "event"));
    lines.push(format!("{files}, {events}, {}", bytes(sum("file_bytes"))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_sums() {
        let segment = serde_json::json!({"id": "0000000000000001", "day": "2026-11-22", "first_sequence": 1, "last_sequence": 2000,
            "events": 2000, "file_bytes": 204800, "state": "sealed"});
        let lines = render(&[segment.clone(), Value::Null], 120);
        assert_eq!(lines[1], "0000000000000001  2026-11-22  1-2000      2,000  200.0 KiB      102 B  sealed");
        assert_eq!(lines[3], "2 segments, 2,000 events, 200.0 KiB");
        assert_eq!(render(&[segment], 120)[2], "1 segment, 2,000 events, 200.0 KiB");
        assert_eq!(render(&[], 120).last().unwrap(), "0 segments, 0 events, 0 B");
    }
}
