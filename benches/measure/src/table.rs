//! [`Table`]: rows of a Markdown table, printed as soon as they are known, so that a long run shows how far it is.

use crate::ingest::Ingest;
use crate::queries::Measured;

/// Prints to standard output.
#[derive(Debug, Default)]
pub(crate) struct Table;

impl Table {
    /// A title, and the head of a table of two columns.
    pub(crate) fn begin(title: &str) -> Table {
        println!("\n## {title}\n\n| | |\n|---|---|");
        Table
    }

    pub(crate) fn row(&self, name: &str, value: &str) {
        println!("| {name} | {value} |");
    }

    /// A row that is left out when nothing is known.
    pub(crate) fn row_if(&self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.row(name, &value);
        }
    }
}

/// The table of queries.
pub(crate) fn print_queries(measured: &[Measured], runs: usize) {
    println!("\n## Queries ({runs} runs, warm, over HTTP kept alive)\n\n| | median ms | p99 ms |\n|---|---|---|");
    for query in measured {
        println!("| {} | {:.2} | {:.2} |", query.name, query.times.milliseconds(500), query.times.milliseconds(990));
    }
}

/// The table of queries on an idle server and on one that takes in all that it can.
pub(crate) fn print_under_ingest(idle: &[Measured], under: &[Measured], stored: &Ingest, runs: usize) {
    let rate = stored.events as f64 / stored.time.as_secs_f64();
    println!("\n## Queries under ingest ({rate:.0} events/s, p99 of a request {:.1} ms; {runs} runs)\n", stored.requests.milliseconds(990));
    println!("| | idle median ms | under ingest: median | p99 | p99 / idle median |\n|---|---|---|---|---|");
    for (idle, under) in idle.iter().zip(under) {
        let (before, median, worst) = (idle.times.milliseconds(500), under.times.milliseconds(500), under.times.milliseconds(990));
        println!("| {} | {before:.2} | {median:.2} | {worst:.2} | {:.1} |", idle.name, worst / before.max(1e-3));
    }
}
