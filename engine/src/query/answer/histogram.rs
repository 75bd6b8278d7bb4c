//! Counts over time: buckets of one width, aligned to the epoch, from the first moment of a selection to its last.
//!
//! In a part in time order, a bucket is a range of documents, and its count the size of a range: no key is read. Elsewhere keys
//! are read once and every document is given its bucket.

use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::id::Timestamp;
use crate::index::{Postings, TimeRange};
use crate::limits::HISTOGRAM_BUCKETS_MAX;
use crate::query::answer::terms::{check_limit, most_frequent, ranked_dimension};
use crate::query::plan::part::{Asked, Selected, for_each_selected};
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::request::{Bucket, Histogram, HistogramRequest, Selection, TermCount};
use crate::query::question::sequences;
use crate::query::question::times::{read_interval, show_interval};

/// No bucket: the document is not selected.
const NO_BUCKET: u32 = u32::MAX;

/// What one term of one bucket, or one term of all, takes in memory.
const COUNT_OVERHEAD: u64 = 48;

/// Counts over time, empty buckets included. The first bucket holds the first moment of the selection and may start before it.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for a bad filter, time range, interval or dimension, and for more than [`HISTOGRAM_BUCKETS_MAX`] buckets;
/// and what the parts and the budget give.
pub fn histogram(context: &Context<'_>, selection: &Selection, request: &HistogramRequest) -> Result<Histogram> {
    let dimension = match request.dimension.as_deref() {
        Some(name) => {
            check_limit(request.limit)?;
            Some(ranked_dimension(name, context.dimensions)?.name.as_str())
        }
        None => None,
    };
    let question = Question::of(context, selection)?;
    let grid = Grid::over(&question.range, read_interval(&request.interval)?)?;
    let mut tally = Tally { grid, range: question.range, counts: vec![0; grid.buckets], terms: BucketTerms::new(context.budget) };
    for_each_selected(context, &question, |asked, selected| tally.add(asked, selected, dimension))?;
    Ok(Histogram { buckets: tally.into_buckets(request.limit), incomplete: context.budget.gaps() })
}

/// The buckets of a histogram.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// The number of the first bucket, counted from the epoch.
    first: i64,
    interval: i64,
    buckets: usize,
}

impl Grid {
    fn over(range: &TimeRange, interval: i64) -> Result<Grid> {
        let first = range.from.0.div_euclid(interval);
        if range.from >= range.to {
            return Ok(Grid { first, interval, buckets: 0 });
        }
        let last = range.to.shift(-1).0.div_euclid(interval);
        let buckets = usize::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(usize::MAX);
        if buckets > HISTOGRAM_BUCKETS_MAX {
            let span = i128::from(range.to.0) - i128::from(range.from.0);
            let least = (span / (HISTOGRAM_BUCKETS_MAX as i128 - 2)).min(i128::from(i64::MAX)) as i64;
            let minutes = (least / 60_000_000_000).saturating_add(1).saturating_mul(60_000_000_000);
            let advice = format!("the histogram has too many buckets; use an interval of at least {}", show_interval(minutes));
            return Err(Error::invalid(advice).expected(format!("at most {HISTOGRAM_BUCKETS_MAX} buckets"), buckets));
        }
        Ok(Grid { first, interval, buckets })
    }

    fn start(&self, bucket: usize) -> Timestamp {
        let number = i128::from(self.first) + bucket as i128;
        let nanos = (number * i128::from(self.interval)).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp(nanos as i64)
    }

    /// The bucket of a moment, held inside the grid.
    fn bucket(&self, time: Timestamp) -> usize {
        let number = i128::from(time.0.div_euclid(self.interval)) - i128::from(self.first);
        usize::try_from(number.max(0)).unwrap_or(usize::MAX).min(self.buckets.saturating_sub(1))
    }
}

struct Tally<'a> {
    grid: Grid,
    range: TimeRange,
    counts: Vec<u64>,
    terms: BucketTerms<'a>,
}

/// In which bucket the selected documents of a part are.
enum Places {
    /// Ranges of documents, ascending, with their buckets.
    Ranges(Vec<(usize, Range<u32>)>),
    /// For every document its bucket, or [`NO_BUCKET`].
    Documents(Vec<u32>),
}

impl Tally<'_> {
    fn add(&mut self, asked: &Asked<'_>, selected: Selected, dimension: Option<&str>) -> Result<()> {
        let places = if asked.extent.time_ordered { self.place_ranges(asked, &selected)? } else { self.place_documents(asked, &selected)? };
        let Some(dimension) = dimension.filter(|d| asked.index.has_dimension(d)) else {
            return Ok(());
        };
        let terms = &mut self.terms;
        let budget = terms.budget;
        asked.index.for_each_term(dimension, "", budget, &mut |term, postings| terms.add_postings(term, &postings, &places, &selected))
    }

    fn count(&mut self, bucket: usize, count: u64) {
        if let Some(sum) = self.counts.get_mut(bucket) {
            *sum += count;
        }
    }

    fn place_ranges(&mut self, asked: &Asked<'_>, selected: &Selected) -> Result<Places> {
        let (first, last) = (self.grid.bucket(asked.extent.time_min), self.grid.bucket(asked.extent.time_max));
        let mut ranges = Vec::new();
        for bucket in first..=last {
            self.terms.budget.check()?;
            let (from, to) = (self.grid.start(bucket).max(self.range.from), self.grid.start(bucket + 1).min(self.range.to));
            let documents = asked.index.documents_between(&TimeRange { from, to })?;
            let count = selected.count_in(&documents);
            if count > 0 {
                self.count(bucket, count);
                ranges.push((bucket, documents));
            }
        }
        Ok(Places::Ranges(ranges))
    }

    fn place_documents(&mut self, asked: &Asked<'_>, selected: &Selected) -> Result<Places> {
        let budget = self.terms.budget;
        budget.take_memory(u64::from(asked.extent.documents) * size_of::<u32>() as u64)?;
        let mut buckets = vec![NO_BUCKET; asked.extent.documents as usize];
        let mut place = |document: u32, time: Timestamp| {
            let bucket = self.grid.bucket(time);
            self.count(bucket, 1);
            if let Some(slot) = buckets.get_mut(document as usize) {
                *slot = bucket as u32;
            }
            Ok(())
        };
        match selected {
            Selected::Range(range) => sequences::for_each_key(asked.index, range.clone(), budget, |d, key| place(d, key.time))?,
            Selected::Set(set) => sequences::for_each_key(asked.index, set.iter(), budget, |d, key| place(d, key.time))?,
        }
        Ok(Places::Documents(buckets))
    }

    fn into_buckets(self, limit: usize) -> Vec<Bucket> {
        let mut terms = self.terms.into_terms(self.counts.len());
        let grid = self.grid;
        let bucket = |(i, count): (usize, u64)| {
            let own = terms.get_mut(i).map(std::mem::take).unwrap_or_default();
            Bucket { start: grid.start(i), count, terms: most_frequent(own, limit) }
        };
        self.counts.into_iter().enumerate().map(bucket).collect()
    }
}

/// The counts of terms in buckets; a term is kept once, by number.
struct BucketTerms<'a> {
    budget: &'a Budget,
    numbers: HashMap<String, u32, RandomState>,
    counts: HashMap<(u32, u32), u64, RandomState>,
}

impl<'a> BucketTerms<'a> {
    fn new(budget: &'a Budget) -> BucketTerms<'a> {
        BucketTerms { budget, numbers: HashMap::default(), counts: HashMap::default() }
    }

    fn add_postings(&mut self, term: &str, postings: &Postings<'_>, places: &Places, selected: &Selected) -> Result<()> {
        let found = count_by_bucket(postings, places, selected)?;
        if found.is_empty() {
            return Ok(());
        }
        let number = self.number(term)?;
        for (bucket, count) in found {
            let budget = self.budget;
            *match self.counts.entry((bucket, number)) {
                hashbrown::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                hashbrown::hash_map::Entry::Vacant(entry) => {
                    budget.take_memory(COUNT_OVERHEAD)?;
                    entry.insert(0)
                }
            } += count;
        }
        Ok(())
    }

    fn number(&mut self, term: &str) -> Result<u32> {
        if let Some(number) = self.numbers.get(term) {
            return Ok(*number);
        }
        self.budget.take_memory(term.len() as u64 + COUNT_OVERHEAD)?;
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(term.to_owned(), number);
        Ok(number)
    }

    fn into_terms(self, buckets: usize) -> Vec<Vec<TermCount>> {
        let mut names = vec![String::new(); self.numbers.len()];
        for (term, number) in self.numbers {
            if let Some(name) = names.get_mut(number as usize) {
                *name = term;
            }
        }
        let mut terms: Vec<Vec<TermCount>> = vec![Vec::new(); buckets];
        for ((bucket, number), count) in self.counts {
            if let (Some(own), Some(term)) = (terms.get_mut(bucket as usize), names.get(number as usize)) {
                own.push(TermCount { term: term.clone(), count });
            }
        }
        terms
    }
}

/// How many selected documents of a term are in each bucket; buckets without any are left out.
fn count_by_bucket(postings: &Postings<'_>, places: &Places, selected: &Selected) -> Result<Vec<(u32, u64)>> {
    let mut found: Vec<(u32, u64)> = Vec::new();
    let mut add = |bucket: u32, count: u64| match found.last_mut() {
        Some((last, sum)) if *last == bucket => *sum += count,
        _ if count > 0 => found.push((bucket, count)),
        _ => {}
    };
    match (places, postings) {
        (Places::Ranges(ranges), Postings::Sorted(documents)) => {
            for (bucket, range) in ranges {
                let start = documents.partition_point(|d| *d < range.start);
                let inside = documents.iter().skip(start).take_while(|d| **d < range.end);
                add(*bucket as u32, inside.filter(|d| selected.contains(**d)).count() as u64);
            }
        }
        (Places::Ranges(ranges), Postings::Roaring { .. }) => {
            let own = selected.intersect(postings.to_bitmap()?);
            ranges.iter().for_each(|(bucket, range)| add(*bucket as u32, own.range_cardinality(range.clone())));
        }
        (Places::Documents(buckets), _) => {
            for document in postings.to_bitmap()? {
                match buckets.get(document as usize) {
                    Some(bucket) if *bucket != NO_BUCKET => add(*bucket, 1),
                    _ => {}
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_aligned_and_bounded() {
        let range = |from, to| TimeRange { from: Timestamp(from), to: Timestamp(to) };
        let grid = Grid::over(&range(-15, 25), 10).unwrap();
        assert_eq!((grid.buckets, grid.start(0), grid.bucket(Timestamp(-1))), (5, Timestamp(-20), 1));
        assert_eq!(Grid::over(&range(0, 20), 10).unwrap().buckets, 2);
        assert_eq!(Grid::over(&range(5, 5), 10).unwrap().buckets, 0);
        let error = Grid::over(&range(0, 30 * 86_400_000_000_000), 1_000_000_000).unwrap_err();
        assert!(error.message().contains("at least 5m"), "{error}");
        assert!(Grid::over(&TimeRange::ALL, 1).is_err());
        assert!(Grid::over(&TimeRange::ALL, i64::MAX).unwrap().start(0) >= Timestamp::MIN);
    }
}
