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

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A number with thousands marked.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"].map(str::to_owned));
        assert_eq!(mebibytes(3 << 20), "3 MiB");
    }
}
