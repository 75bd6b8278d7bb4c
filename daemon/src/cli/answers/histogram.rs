//! `traild histogram`: events over time.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection::SelectionArgs;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::{Gap, show, tell_incomplete};
use crate::cli::terminal::table::{Align, Table};
use crate::cli::terminal::text::{fit, printable, thousands, width};

/// The longest bar, in cells.
const BAR_CELLS: usize = 60;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild histogram --interval 1h --from now-1d
  traild histogram --interval 1d error_code:*
  traild histogram user:alice --interval 1h --from now-2d --dimension event_name --limit 3";

/// Counts events over time, as bars.
#[derive(Debug, Clone, Args)]
pub struct HistogramArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// The width of a bar: `15m`, `1h`, `1d`.
    #[arg(long, value_name = "TIME", default_value = "1d")]
    interval: String,

    /// Also the most frequent values of this dimension in each interval.
    #[arg(long, value_name = "DIMENSION")]
    dimension: Option<String>,

    /// How many values in each interval.
    #[arg(long, value_name = "N", requires = "dimension", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// The server's answer instead of bars.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    buckets: Vec<Bucket>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<Gap>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Bucket {
    start: String,
    count: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    terms: Vec<TermCount>,
}

#[derive(Debug, Deserialize, Serialize)]
struct TermCount {
    term: String,
    count: u64,
}

/// Runs the command.
///
/// # Errors
/// As the client.
pub fn histogram(args: &HistogramArgs, connection: &ConnectionArgs) -> Outcome {
    let mut query = args.selection.parameters();
    query.push(("interval", args.interval.clone()));
    query.extend(args.dimension.clone().map(|dimension| ("dimension", dimension)));
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    let answer: Answer = connection.client()?.get("/v1/histogram", &query)?;
    show(&answer, args.json, |answer, cells| render(&answer.buckets, cells))?;
    tell_incomplete(&answer.incomplete);
    Ok(if answer.buckets.iter().all(|bucket| bucket.count == 0) { args.selection.nothing() } else { Exit::Ok })
}

fn render(buckets: &[Bucket], cells: usize) -> Vec<String> {
    let mut table = Table::new([("start", Align::Whole), ("count", Align::Right)]);
    buckets.iter().for_each(|bucket| table.row([bucket.start.clone(), thousands(bucket.count)]));
    let lines = table.lines(&table.widths(cells), false);
    let largest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let room = cells.saturating_sub(lines.iter().map(|line| width(line)).max().unwrap_or(0) + 2);
    let rows = buckets.iter().zip(lines).map(|(bucket, line)| {
        let bar = bar(bucket.count, largest, room.min(BAR_CELLS));
        let terms: Vec<String> = bucket.terms.iter().map(|t| format!("{} {}", printable(&t.term), thousands(t.count))).collect();
        fit(format!("{line}  {bar}  {}", terms.join(", ")).trim_end(), cells)
    });
    rows.collect()
}

/// A bar in eighths of a cell; never empty for a count that is not zero.
fn bar(count: u64, largest: u64, cells: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let parts = (u128::from(count) * cells as u128 * 8).checked_div(u128::from(largest)).unwrap_or(0);
    let parts = usize::try_from(parts).unwrap_or(0).max(usize::from(count > 0));
    "█".repeat(parts / 8) + EIGHTHS.get(parts % 8).copied().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(1, u64::MAX, 60), "▏");
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(0, 0, 4), "");
    }

    #[test]
    fn lines_fit() {
        let json = r#"{"buckets":[{"start":"2026-11-22T00:00:00Z","count":9,"terms":[{"term":"a\u009b","count":9}]},
            {"start":"2026-11-22T01:00:00Z","count":0}]}"#;
        let answer: Answer = serde_json::from_str(json).unwrap();
        let lines = render(&answer.buckets, 60);
        assert!(lines[0].starts_with("2026-11-22T00:00:00Z") && lines[0].contains('█'), "{lines:?}");
        assert_eq!(lines[1], "2026-11-22T01:00:00Z      0");
        assert!(lines.iter().all(|line| width(line) <= 60 && !line.contains('\u{9b}')));
        assert!(render(&answer.buckets, 200)[0].ends_with("a\\u{9b} 9"));
    }
}
