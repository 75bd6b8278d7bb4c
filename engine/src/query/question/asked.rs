//! [`Question`]: a selection made ready: filter read, matchers compiled, times resolved.
//!
//! Time and sequence ranges that every selected event must be in are taken out of the filter and become the range of the
//! question, because a range can pass over whole parts and narrow the documents of others without reading anything.

use std::ops::{Bound, Range};

use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::id::{Sequence, Timestamp};
use crate::index::TimeRange;
use crate::matcher::{Matcher, TextMatcher};
use crate::query::filter::{Comparison, Field, Filter, Test};
use crate::query::question::context::Context;
use crate::query::question::request::Selection;
use crate::query::question::times::Moment;

/// From where a selection starts when it does not say.
const FROM_DEFAULT: Moment = Moment::Now(-30 * 86_400 * 1_000_000_000);

/// A selection made ready.
pub(crate) struct Question {
    /// The filter as it was understood.
    pub(crate) filter: Filter,
    /// The event times asked for, the filter's own included.
    pub(crate) range: TimeRange,
    /// The sequences asked for: the filter's own, as far as they are visible.
    pub(crate) sequences: Range<u64>,
    /// What is left of the filter.
    pub(crate) condition: Condition,
    /// `range` as a comparison, for parts where documents are not ordered by time.
    pub(crate) range_leaf: Leaf,
    /// `sequences` as a comparison, for parts where documents are not ordered by sequence.
    pub(crate) sequences_leaf: Leaf,
    /// How many leaves there are: their numbers are below this.
    pub(crate) leaves: usize,
}

/// A filter with compiled comparisons.
pub(crate) enum Condition {
    All,
    Nothing,
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Leaf(Leaf),
}

/// One comparison.
pub(crate) struct Leaf {
    /// Its number in the question.
    pub(crate) number: usize,
    /// Its canonical text.
    pub(crate) label: String,
    pub(crate) test: LeafTest,
}

pub(crate) enum LeafTest {
    Dimension(String, Matcher),
    Path(Path, Matcher),
    Text(TextMatcher),
    EventTime(TimeRange),
    ReceivedAt(TimeRange),
    Sequences(Range<u64>),
}

impl Question {
    /// Reads a selection.
    pub(crate) fn of(context: &Context<'_>, selection: &Selection) -> Result<Question> {
        let range = read_range(selection, context.now)?;
        Question::within(context, &selection.q, range, context.now, context.upper)
    }

    /// The question of a filter within a range of event times that is already resolved.
    pub(crate) fn within(context: &Context<'_>, q: &str, range: TimeRange, now: Timestamp, upper: Sequence) -> Result<Question> {
        let filter = Filter::parse(q, context.dimensions)?;
        let mut compiler = Compiler { now, leaves: 2 };
        let visible = 0..upper.0.saturating_add(1);
        let mut ranges = (range, visible);
        let condition = compiler.whole(&filter, &mut ranges)?;
        let (range, sequences) = ranges;
        Ok(Question {
            filter,
            range_leaf: Leaf { number: 0, label: "the time range".into(), test: LeafTest::EventTime(range) },
            sequences_leaf: Leaf { number: 1, label: "the visible sequences".into(), test: LeafTest::Sequences(sequences.clone()) },
            leaves: compiler.leaves,
            range,
            sequences,
            condition,
        })
    }
}

/// The range of event times that a selection asks for.
pub(crate) fn read_range(selection: &Selection, now: Timestamp) -> Result<TimeRange> {
    let from = selection.from.as_deref().map_or(Ok(FROM_DEFAULT), Moment::parse)?.resolve(now);
    let to = match selection.to.as_deref() {
        Some(to) => Moment::parse(to)?.resolve(now),
        // The present moment itself is inside.
        None => now.shift(1),
    };
    if from > to {
        return Err(Error::invalid(format!(
            "the time range ends at {to}, before it starts at {from}; `from` is now-30d when it is not given"
        )));
    }
    Ok(TimeRange { from, to })
}

struct Compiler {
    now: Timestamp,
    leaves: usize,
}

impl Compiler {
    /// Compiles a filter; ranges of times and sequences that hold for all of it narrow `ranges` instead.
    fn whole(&mut self, filter: &Filter, ranges: &mut (TimeRange, Range<u64>)) -> Result<Condition> {
        match filter {
            Filter::And(all) => all.iter().map(|f| self.whole(f, ranges)).collect::<Result<Vec<_>>>().map(Condition::And),
            Filter::Compare(Comparison { field: Field::EventTime, test: Test::Times { low, high } }) => {
                let own = self.time_range(low, high);
                ranges.0 = TimeRange { from: ranges.0.from.max(own.from), to: ranges.0.to.min(own.to) };
                Ok(Condition::All)
            }
            Filter::Compare(Comparison { field: Field::Sequence, test: Test::Sequences { low, high } }) => {
                let own = sequence_range(low, high);
                ranges.1 = ranges.1.start.max(own.start)..ranges.1.end.min(own.end);
                Ok(Condition::All)
            }
            other => self.condition(other),
        }
    }

    fn condition(&mut self, filter: &Filter) -> Result<Condition> {
        let mut each = |filters: &[Filter]| filters.iter().map(|f| self.condition(f)).collect::<Result<Vec<_>>>();
        match filter {
            Filter::All => Ok(Condition::All),
            Filter::And(all) => each(all).map(Condition::And),
            Filter::Or(any) => each(any).map(Condition::Or),
            Filter::Not(inner) => self.condition(inner).map(|c| Condition::Not(Box::new(c))),
            Filter::Compare(comparison) => self.comparison(comparison, filter),
            Filter::Text(text) => Ok(self.leaf(LeafTest::Text(TextMatcher::new(text)?), filter)),
        }
    }

    fn leaf(&mut self, test: LeafTest, filter: &Filter) -> Condition {
        let number = self.leaves;
        self.leaves += 1;
        Condition::Leaf(Leaf { number, label: filter.to_string(), test })
    }

    fn comparison(&mut self, comparison: &Comparison, filter: &Filter) -> Result<Condition> {
        let test = match (&comparison.field, &comparison.test) {
            (Field::EventTime | Field::ReceivedAt | Field::Sequence, Test::Exists) => return Ok(Condition::All),
            (Field::Sequence, Test::Sequences { low, high }) => LeafTest::Sequences(sequence_range(low, high)),
            (Field::EventTime, Test::Times { low, high }) => LeafTest::EventTime(self.time_range(low, high)),
            (Field::ReceivedAt, Test::Times { low, high }) => LeafTest::ReceivedAt(self.time_range(low, high)),
            (Field::Dimension(name), test) => LeafTest::Dimension(name.clone(), self.matcher(test)?),
            (Field::Path(path), test) => LeafTest::Path(path.clone(), self.matcher(test)?),
            (field, _) => return Err(Error::invalid(format!("`{field}` cannot be tested like this: {filter}"))),
        };
        let empty = match &test {
            LeafTest::EventTime(range) | LeafTest::ReceivedAt(range) => range.from >= range.to,
            LeafTest::Sequences(range) => range.is_empty(),
            _ => false,
        };
        Ok(if empty { Condition::Nothing } else { self.leaf(test, filter) })
    }

    fn matcher(&self, test: &Test) -> Result<Matcher> {
        Ok(match test {
            Test::Exists => Matcher::any(),
            Test::Exact { value, ignore_case: false } => Matcher::exact(value.as_str()),
            Test::Exact { value, ignore_case: true } => Matcher::ignoring_case(value)?,
            Test::Wildcard { pieces, ignore_case } => Matcher::wildcard(pieces, *ignore_case)?,
            Test::Regex { pattern, ignore_case } => Matcher::regex(pattern, *ignore_case)?,
            Test::Network { network, bits } => Matcher::network(*network, *bits),
            Test::Numbers { low, high } => Matcher::numbers(*low, *high),
            Test::Times { low, high } => Matcher::times(low.map(|m| m.resolve(self.now)), high.map(|m| m.resolve(self.now))),
            Test::Sequences { .. } => return Err(Error::invalid("only `sequence` can be compared with sequences")),
        })
    }

    fn time_range(&self, low: &Bound<Moment>, high: &Bound<Moment>) -> TimeRange {
        let at = |moment: &Moment| moment.resolve(self.now);
        let from = match low {
            Bound::Unbounded => Timestamp::MIN,
            Bound::Included(low) => at(low),
            Bound::Excluded(low) => at(low).shift(1),
        };
        let to = match high {
            Bound::Unbounded => Timestamp::MAX,
            Bound::Included(high) => at(high).shift(1),
            Bound::Excluded(high) => at(high),
        };
        TimeRange { from, to }
    }
}

fn sequence_range(low: &Bound<u64>, high: &Bound<u64>) -> Range<u64> {
    let start = match low {
        Bound::Unbounded => 0,
        Bound::Included(low) => *low,
        Bound::Excluded(low) => low.saturating_add(1),
    };
    let end = match high {
        Bound::Unbounded => u64::MAX,
        Bound::Included(high) => high.saturating_add(1),
        Bound::Excluded(high) => *high,
    };
    start..end
}
