//! [`Filter`]: what a query in the query language says, as a tree.
//!
//! Trees are kept flat: an `And` in an `And` is one `And`, a double `Not` is none. Two texts that differ only in spelling become
//! equal filters, and the printed form of a filter reads back as an equal one.

use std::net::IpAddr;
use std::ops::Bound;

use crate::event::path::Path;
use crate::query::question::times::Moment;

/// A condition on events.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every event; written `*`, or nothing at all.
    All,
    /// All of these hold.
    And(Vec<Filter>),
    /// At least one of these holds.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// A comparison of a field.
    Compare(Comparison),
    /// A text anywhere in the event, whatever its case.
    Text(String),
}

/// A test on the values of a field; it holds when any value of the event passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Which values.
    pub field: Field,
    /// The test.
    pub test: Test,
}

/// Where the values of a comparison come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// A declared dimension.
    Dimension(String),
    /// Any path into the event.
    Path(Path),
    /// The event time; tested only by [`Test::Exists`] and [`Test::Times`].
    EventTime,
    /// The receive time; tested only by [`Test::Exists`] and [`Test::Times`].
    ReceivedAt,
    /// The sequence; tested only by [`Test::Exists`] and [`Test::Sequences`].
    Sequence,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// There is a value other than `null`.
    Exists,
    /// It is this.
    Exact {
        /// The value.
        value: String,
        /// Whether case is ignored.
        ignore_case: bool,
    },
    /// It is these pieces with anything between them. At least two; only the first and last may be empty.
    Wildcard {
        /// The literal pieces.
        pieces: Vec<String>,
        /// Whether case is ignored.
        ignore_case: bool,
    },
    /// It matches a regular expression as a whole.
    Regex {
        /// The pattern.
        pattern: String,
        /// Whether case is ignored.
        ignore_case: bool,
    },
    /// It is an address or a network inside this network.
    Network {
        /// The network's address.
        network: IpAddr,
        /// How many bits of it count.
        bits: u8,
    },
    /// It is a number in this range.
    Numbers {
        /// The lower end.
        low: Bound<f64>,
        /// The upper end.
        high: Bound<f64>,
    },
    /// It is a time in this range.
    Times {
        /// The lower end.
        low: Bound<Moment>,
        /// The upper end.
        high: Bound<Moment>,
    },
    /// It is a sequence in this range.
    Sequences {
        /// The lower end.
        low: Bound<u64>,
        /// The upper end.
        high: Bound<u64>,
    },
}

impl Filter {
    /// All of these, in flat form.
    #[must_use]
    pub fn all_of(filters: impl IntoIterator<Item = Filter>) -> Filter {
        let mut all = Vec::new();
        for filter in filters {
            match filter {
                Filter::All => {}
                Filter::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        match all.len() {
            0 => Filter::All,
            1 => all.pop().unwrap_or(Filter::All),
            _ => Filter::And(all),
        }
    }

    /// Any of these, in flat form; of nothing: no event.
    #[must_use]
    pub fn any_of(filters: impl IntoIterator<Item = Filter>) -> Filter {
        let mut any = Vec::new();
        for filter in filters {
            match filter {
                Filter::All => return Filter::All,
                Filter::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        match any.len() {
            0 => Filter::negate(Filter::All),
            1 => any.pop().unwrap_or(Filter::All),
            _ => Filter::Or(any),
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negate(filter: Filter) -> Filter {
        match filter {
            Filter::Not(inner) => *inner,
            other => Filter::Not(Box::new(other)),
        }
    }
}
