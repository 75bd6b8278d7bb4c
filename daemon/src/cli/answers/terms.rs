//! `traild terms`: the most frequent values of a dimension or path.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection::{SelectionArgs, join};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::{Gap, show, tell_incomplete};
use crate::cli::terminal::table::{Align, Table};
use crate::cli::terminal::text::{counted, thousands};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild terms user                                          who is busiest
  traild terms event_name user:alice --limit 25 --from now-1d
  traild terms --path requestParameters.bucketName service:s3.amazonaws.com
  traild terms resource_name --prefix arn:aws:s3::: --json";

/// How the command is called: the dimension may be left out only when there is a path.
const USAGE: &str = "traild terms [OPTIONS] <DIMENSION> [QUERY]...\n       traild terms [OPTIONS] --path <PATH> [QUERY]...";

/// Counts events by their values.
#[derive(Debug, Clone, Args)]
#[command(override_usage = USAGE)]
pub struct TermsArgs {
    /// The dimension, such as `user`, or a JSON path with a dot. With --path this is the first word of the query.
    #[arg(value_name = "DIMENSION", required_unless_present = "path")]
    dimension: Option<String>,

    #[command(flatten)]
    selection: SelectionArgs,

    /// Any JSON path in place of a dimension.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,

    /// The most values.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// Only values that start with this.
    #[arg(long)]
    prefix: Option<String>,

    /// The server's answer instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    total: u64,
    terms: Vec<TermCount>,
    other: u64,
    distinct: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<Gap>,
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
pub fn terms(args: &TermsArgs, connection: &ConnectionArgs) -> Outcome {
    let answer: Answer = connection.client()?.get("/v1/terms", &parameters(args))?;
    show(&answer, args.json, render)?;
    tell_incomplete(&answer.incomplete);
    Ok(if answer.terms.is_empty() { args.selection.nothing() } else { Exit::Ok })
}

fn parameters(args: &TermsArgs) -> Vec<(&'static str, String)> {
    let mut parameters = args.selection.parameters();
    match (&args.path, &args.dimension) {
        (Some(path), first) => {
            let words: Vec<String> = first.iter().chain(&args.selection.query).cloned().collect();
            parameters.retain(|(name, _)| *name != "q");
            parameters.extend([("path", path.clone()), ("q", join(&words))]);
        }
        (None, Some(path)) if is_path(path) => parameters.push(("path", path.clone())),
        (None, dimension) => parameters.extend(dimension.clone().map(|dimension| ("dimension", dimension))),
    }
    parameters.push(("limit", args.limit.to_string()));
    parameters.extend(args.prefix.clone().map(|prefix| ("prefix", prefix)));
    parameters
}

/// Whether a first word is a path and no dimension, nor a query in the wrong place.
fn is_path(word: &str) -> bool {
    word.contains(['.', '"', '[']) && !word.contains([':', ' '])
}

fn render(answer: &Answer, cells: usize) -> Vec<String> {
    let mut table = Table::new([("count", Align::Right), ("share", Align::Right), ("term", Align::Left)]);
    for TermCount { term, count } in &answer.terms {
        let share = 100.0 * *count as f64 / answer.total.max(1) as f64;
        table.row([thousands(*count), format!("{share:.1} %"), term.clone()]);
    }
    let mut lines = table.lines(&table.widths(cells), true);
    let (distinct, total) = (thousands(answer.distinct), counted(answer.total, "event"));
    lines.push(format!("{distinct} distinct in {total}; {} in terms not shown", thousands(answer.other)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_counts_and_what_is_left_out() {
        let json = r#"{"total":1000,"terms":[{"term":"alice\u001b[2J","count":420}],"other":17,"distinct":230}"#;
        let lines = render(&serde_json::from_str(json).unwrap(), 80);
        assert_eq!(lines[1], "  420  42.0 %  alice\\u{1b}[2J");
        assert_eq!(lines[2], "230 distinct in 1,000 events; 17 in terms not shown");
    }

    #[test]
    fn with_a_path_every_word_is_query() {
        use clap::Parser;
        #[derive(Debug, Parser)]
        struct Probe {
            #[command(flatten)]
            terms: TermsArgs,
        }
        let q = |line: &[&str]| {
            let parameters = parameters(&Probe::try_parse_from(line).unwrap().terms);
            parameters.into_iter().filter(|(name, _)| ["q", "path", "dimension"].contains(name)).collect::<Vec<_>>()
        };
        assert_eq!(q(&["p", "user", "a:b", "c"]), [("q", "a:b c".to_owned()), ("dimension", "user".to_owned())]);
        assert_eq!(q(&["p", "--path", "x.y", "a:b", "c"]), [("path", "x.y".to_owned()), ("q", "a:b c".to_owned())]);
        assert_eq!(q(&["p", "x.y", "a:b"]), [("q", "a:b".to_owned()), ("path", "x.y".to_owned())]);
        assert_eq!(q(&["p", "user:a.b"]), [("q", String::new()), ("dimension", "user:a.b".to_owned())]);
        assert!(Probe::try_parse_from(["p"]).is_err());
    }
}
