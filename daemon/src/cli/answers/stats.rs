//! `traild stats`: what the log holds and has done.

use clap::Args;
use serde_json::Value;

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::show;
use crate::cli::terminal::table::{Align, Table};
use crate::cli::terminal::text::{bytes, thousands};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild stats
  traild stats --json --url https://audit.example.com --key-file ~/.traild-key";

/// Shows what the log holds and has done since it was started.
#[derive(Debug, Clone, Args)]
pub struct StatsArgs {
    /// The server's answer instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn stats(args: &StatsArgs, connection: &ConnectionArgs) -> Outcome {
    let answer: Value = connection.client()?.get("/v1/stats", &[])?;
    show(&answer, args.json, render)?;
    Ok(Exit::Ok)
}

/// Every member of the answer, so that what a newer server adds is shown too.
fn render(answer: &Value, cells: usize) -> Vec<String> {
    let mut table = Table::new([("what", Align::Left), ("value", Align::Left)]);
    add(&mut table, "", answer);
    table.lines(&table.widths(cells), false)
}

fn add(table: &mut Table, group: &str, value: &Value) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        let label = format!("{group}{}", name.replace('_', " "));
        match value {
            Value::Object(_) => add(table, &format!("{label}: "), value),
            Value::Number(n) if name.ends_with("_bytes") => table.row([label, bytes(n.as_u64().unwrap_or(0))]),
            Value::Number(n) => table.row([label, n.as_u64().map_or_else(|| n.to_string(), thousands)]),
            Value::String(text) => table.row([label, text.clone()]),
            Value::Array(items) if items.is_empty() => table.row([label, "none".into()]),
            Value::Null => table.row([label, "none".into()]),
            other => table.row([label, other.to_string()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_everything_in_the_servers_order() {
        let answer = serde_json::json!({"events": 12345, "head_bytes": 2048, "problems": [], "since_start": {"commits": 7}, "new": true});
        let lines = render(&answer, 80);
        let expected = [
            "events                12,345",
            "head bytes            2.0 KiB",
            "problems              none",
            "since start: commits  7",
            "new                   true",
        ];
        assert_eq!(lines, expected);
    }
}
