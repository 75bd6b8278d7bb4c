//! [`Table`]: rows of a Markdown table, printed as soon as they are known, so that a long run shows how far it is.

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
