//! [`Bound`]: what a figure must be and what is aimed at, as it stands beside it.
//!
//! They are those of a machine with two cores and nothing else to do; on another they are only somewhere to begin.

/// What a figure must at most, or at least, be, and what is aimed at. Shown, never demanded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) must: f64,
    pub(crate) aim: f64,
    /// Whether more is better.
    pub(crate) least: bool,
}

/// At most this.
pub(crate) const fn at_most(must: f64, aim: f64) -> Option<Bound> {
    Some(Bound { must, aim, least: false })
}

/// At least this.
pub(crate) const fn at_least(must: f64, aim: f64) -> Option<Bound> {
    Some(Bound { must, aim, least: true })
}

impl Bound {
    /// The columns "must" and "aim".
    pub(crate) fn columns(bound: Option<Bound>) -> String {
        bound.map_or(" | ".to_owned(), |bound| format!("{} | {}", bound.must, bound.aim))
    }

    /// What a figure reaches, for the column behind it.
    pub(crate) fn verdict(bound: Option<Bound>, figure: f64) -> &'static str {
        let reaches = |bound: Bound, limit: f64| if bound.least { figure >= limit } else { figure <= limit };
        match bound {
            None => "",
            Some(bound) if reaches(bound, bound.aim) => "aim",
            Some(bound) if reaches(bound, bound.must) => "must",
            Some(_) => "**missed**",
        }
    }
}

/// Whether what is asked is judged by its first answer too: tests of texts are remembered from then on.
pub(crate) fn is_remembered(name: &str) -> bool {
    matches!(name.split(' ').next(), Some("Q7" | "Q7b" | "Q7c" | "Q7d" | "Q7e" | "Q7f"))
}

/// The bounds of the median of a query, in milliseconds, by the first word of its name.
pub(crate) fn of_query(name: &str) -> Option<Bound> {
    match name.split(' ').next().unwrap_or_default() {
        "Q1" => at_most(0.6, 0.3),
        "Q2" | "Q3" => at_most(2.0, 1.0),
        "Q4" => at_most(0.5, 0.1),
        "Q4b" => at_most(3.0, 1.0),
        "Q5" => at_most(2.0, 0.5),
        "Q6" => at_most(3.0, 1.5),
        "Q6b" => at_most(1.0, 0.3),
        "Q7" => at_most(5.0, 2.0),
        "Q7c" => at_most(300.0, 100.0),
        "Q7d" => at_most(30.0, 10.0),
        "Q8" | "Q8b" => at_most(25.0, 12.0),
        _ => None,
    }
}

/// The p99 of a query under ingest, as a multiple of its idle median.
pub(crate) const UNDER_INGEST: Option<Bound> = at_most(10.0, 4.0);

/// What a query may take longer in a log that has grown, by the first word of its name.
pub(crate) fn of_growth(name: &str) -> Option<Bound> {
    match name.split(' ').next().unwrap_or_default() {
        "Q1" | "Q2" | "Q3" | "Q8" | "Q8b" => at_most(1.5, 1.1),
        _ => None,
    }
}

/// The same as [`of_ingest`], as a multiple of what zstd -3 takes for the same bytes: of requests of a thousand.
pub(crate) fn of_multiple(batch: usize) -> Option<Bound> {
    if batch == 1_000 { at_most(4.0, 2.8) } else { None }
}

/// CPU seconds for a million events, flush and compaction included, by how many there are in a request.
pub(crate) fn of_ingest(batch: usize) -> Option<Bound> {
    match batch {
        1 => at_most(35.0, 25.0),
        10 => at_most(12.0, 8.0),
        1_000 => at_most(8.0, 5.5),
        _ => None,
    }
}

/// Events a second, generator included: of requests of a thousand.
pub(crate) fn of_rate(batch: usize) -> Option<Bound> {
    if batch == 1_000 { at_least(120_000.0, 200_000.0) } else { None }
}

/// The median and the 99th percentile of a request of one event over 64 connections, in milliseconds.
pub(crate) fn of_latency(batch: usize, connections: usize) -> [Option<Bound>; 2] {
    if (batch, connections) == (1, 64) { [at_most(2.0, 1.0), at_most(10.0, 5.0)] } else { [None, None] }
}

/// The most memory while this many events are stored, in MiB: of thirty million.
pub(crate) fn of_memory(events: u64) -> Option<Bound> {
    if events >= 30_000_000 { at_most(500.0, 300.0) } else { None }
}

/// What is in memory when nobody has asked for a minute, in MiB: of thirty million, so of fewer too.
pub(crate) const AT_REST: Option<Bound> = at_most(150.0, 80.0);
/// Of a log whose days are over, all files.
pub(crate) const BYTES_AN_EVENT: Option<Bound> = at_most(95.0, 85.0);
/// In milliseconds.
pub(crate) const ID_IN_PROCESS: Option<Bound> = at_most(0.3, 0.1);
pub(crate) const CLEAN_START: Option<Bound> = at_most(300.0, 100.0);
pub(crate) const FULL_START: Option<Bound> = at_most(2_000.0, 700.0);
/// In MB/s of raw events, of one core.
pub(crate) const FLUSHING: Option<Bound> = at_least(250.0, 450.0);
pub(crate) const MERGING: Option<Bound> = at_least(400.0, 800.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_reaches_the_aim_or_what_must_be_or_nothing() {
        let verdicts = |bound, figures: [f64; 3]| figures.map(|figure| Bound::verdict(bound, figure));
        assert_eq!(verdicts(at_most(2.0, 1.0), [1.0, 2.0, 2.1]), ["aim", "must", "**missed**"]);
        assert_eq!(verdicts(at_least(250.0, 450.0), [450.0, 250.0, 249.0]), ["aim", "must", "**missed**"]);
        assert_eq!((Bound::verdict(None, 7.0), Bound::columns(None), Bound::columns(FLUSHING)), ("", " | ".into(), "250 | 450".into()));
    }

    #[test]
    fn a_bound_holds_for_the_load_that_it_was_set_for() {
        assert_eq!((of_rate(1_000), of_rate(10)), (at_least(120_000.0, 200_000.0), None));
        assert_eq!((of_latency(1, 64)[1], of_latency(1, 2)), (at_most(10.0, 5.0), [None, None]));
        assert_eq!((of_memory(30_000_000), of_memory(1_000_000)), (at_most(500.0, 300.0), None));
    }

    #[test]
    fn queries_are_known_by_their_first_word() {
        assert_eq!(of_query("Q4b top 10 event names of one service"), at_most(3.0, 1.0));
        assert_eq!(
            (of_query("newest 50 of all, with what arrives"), of_growth("Q4 top"), of_growth("Q8 1,000")),
            (None, None, at_most(1.5, 1.1))
        );
    }
}
