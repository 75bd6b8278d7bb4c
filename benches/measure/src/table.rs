//! [`Table`]: rows of a Markdown table, printed as soon as they are known, so that a long run shows how far it is.

use crate::bounds::{Bound, UNDER_INGEST, is_remembered, of_growth, of_query};
use crate::ingest::Ingest;
use crate::queries::Measured;

/// Prints to standard output.
#[derive(Debug, Default)]
pub(crate) struct Table;

impl Table {
    /// A title, and the head of a table of figures with their bounds.
    pub(crate) fn begin(title: &str) -> Table {
        println!("\n## {title}\n\n| | | must | aim | reached |\n|---|---|---|---|---|");
        Table
    }

    pub(crate) fn row(&self, name: &str, value: &str) {
        println!("| {name} | {value} | | | |");
    }

    /// A row that is left out when nothing is known.
    pub(crate) fn row_if(&self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.row(name, &value);
        }
    }

    /// A figure beside its bound, which is in the same unit.
    pub(crate) fn figure(&self, name: &str, figure: f64, shown: &str, bound: Option<Bound>) {
        println!("| {name} | {shown} | {} | {} |", Bound::columns(bound), Bound::verdict(bound, figure));
    }
}

/// The table of queries. What is remembered once it was asked is judged by its first answer too.
pub(crate) fn print_queries(measured: &[Measured]) {
    println!("\n## Queries (warm, over HTTP kept alive)\n");
    println!("| | first ms | median ms | p99 ms | runs | must | aim | reached |\n|---|---|---|---|---|---|---|---|");
    for query in measured {
        let (first, median, worst) = (query.first.milliseconds(500), query.times.milliseconds(500), query.times.milliseconds(990));
        let (bound, runs) = (of_query(&query.name), query.times.runs());
        let verdict = match Bound::verdict(bound, median) {
            warm if bound.is_some() && is_remembered(&query.name) => format!("first {}, warm {warm}", Bound::verdict(bound, first)),
            warm => warm.to_owned(),
        };
        println!("| {} | {first:.2} | {median:.2} | {worst:.2} | {runs} | {} | {verdict} |", query.name, Bound::columns(bound));
    }
}

/// The table of queries on an idle server and on one that takes in all that it can.
pub(crate) fn print_under_ingest(idle: &[Measured], under: &[Measured], stored: &Ingest) {
    let rate = stored.events as f64 / stored.time.as_secs_f64();
    println!("\n## Queries under ingest ({rate:.0} events/s, p99 of a request {:.1} ms)\n", stored.requests.milliseconds(990));
    println!(
        "| | idle median ms | under ingest: median | p99 | runs | p99 / idle median | must | aim | reached |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (idle, under) in idle.iter().zip(under) {
        let (before, median, worst) = (idle.times.milliseconds(500), under.times.milliseconds(500), under.times.milliseconds(990));
        let ratio = worst / before.max(1e-3);
        let (columns, verdict) = (Bound::columns(UNDER_INGEST), Bound::verdict(UNDER_INGEST, ratio));
        println!(
            "| {} | {before:.2} | {median:.2} | {worst:.2} | {} | {ratio:.1} | {columns} | {verdict} |",
            idle.name,
            under.times.runs()
        );
    }
}

/// The medians of the same queries over more and more events, and how much longer the last ones took than the first.
pub(crate) fn print_growth(measured: &[(u64, Vec<Measured>)]) {
    let [(_, first), .., (_, last)] = measured else { return };
    println!("\n## The same queries as the log grows\n");
    let sizes: Vec<String> = measured.iter().map(|(events, _)| format!("{} events, median ms", trail_rig::grouped(*events))).collect();
    println!("| | {} | last / first | must | aim | reached |\n|---|{}---|---|---|---|", sizes.join(" | "), "---|".repeat(sizes.len()));
    for (at, (first, last)) in first.iter().zip(last).enumerate() {
        let medians = measured.iter().filter_map(|(_, all)| all.get(at)).map(|query| query.times.milliseconds(500));
        let shown: Vec<String> = medians.map(|median| format!("{median:.2}")).collect();
        let ratio = last.times.milliseconds(500) / first.times.milliseconds(500).max(1e-3);
        let bound = of_growth(&first.name);
        // How many events match is another number for each size.
        let name = first.name.split(" (").next().unwrap_or_default();
        println!("| {name} | {} | {ratio:.2} | {} | {} |", shown.join(" | "), Bound::columns(bound), Bound::verdict(bound, ratio));
    }
}
