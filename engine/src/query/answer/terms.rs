//! The most frequent terms of a dimension, or values at a path.
//!
//! Every part counts its own terms, by stored numbers alone where no filter narrows them; the counts are added by term. The counts of all
//! terms are kept until the end, so that sums and the number of distinct terms are exact; what they take is charged to the budget.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::event::schema::{Dimension, DimensionKind};
use crate::limits::TERMS_MAX;
use crate::query::filter::dimension_named;
use crate::query::plan::part::{Asked, Selected, for_each_selected};
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::request::{Facet, Selection, TermCount, Terms, TermsRequest};
use crate::query::question::sequences;

/// What a term takes in the map beside its bytes.
const TERM_OVERHEAD: u64 = 64;

/// The most frequent terms of the selected events.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for a bad filter, time range, limit, path or dimension; [`crate::ErrorKind::Limit`] when there are more
/// distinct terms than memory; and what the parts give.
pub fn terms(context: &Context<'_>, selection: &Selection, request: &TermsRequest) -> Result<Terms> {
    check_limit(request.limit)?;
    let facet = match &request.facet {
        Facet::Dimension(name) => Ok(ranked_dimension(name, context.dimensions)?.name.as_str()),
        Facet::Path(path) => Err(Path::parse(path)?),
    };
    let question = Question::of(context, selection)?;
    let mut counts = Counts { counts: HashMap::default(), budget: context.budget };
    let mut total = 0;
    for_each_selected(context, &question, |asked, selected| {
        total += selected.len();
        match &facet {
            Ok(dimension) => counts.add_terms(asked, &selected, dimension, &request.prefix),
            Err(path) => counts.add_values(asked, selected, path, &request.prefix),
        }
    })?;
    Ok(Terms { incomplete: context.budget.gaps(), ..counts.into_terms(total, request.limit) })
}

/// A dimension whose terms can be ranked.
pub(crate) fn ranked_dimension<'d>(name: &str, dimensions: &'d [Dimension]) -> Result<&'d Dimension> {
    let dimension = dimension_named(name, dimensions)?;
    if dimension.kind == DimensionKind::Unique {
        return Err(Error::invalid(format!("`{name}` has a term of its own for nearly every event, so that its terms cannot be ranked")));
    }
    Ok(dimension)
}

pub(crate) fn check_limit(limit: usize) -> Result<()> {
    if limit == 0 || limit > TERMS_MAX {
        return Err(Error::invalid("`limit` is out of range").expected(format!("1 to {TERMS_MAX}"), limit));
    }
    Ok(())
}

/// The first `limit` of these: most first, ties in byte order.
pub(crate) fn most_frequent(mut terms: Vec<TermCount>, limit: usize) -> Vec<TermCount> {
    let order = |a: &TermCount, b: &TermCount| b.count.cmp(&a.count).then_with(|| a.term.cmp(&b.term));
    if limit < terms.len() {
        terms.select_nth_unstable_by(limit, order);
        terms.truncate(limit);
    }
    terms.sort_unstable_by(order);
    terms
}

struct Counts<'a> {
    counts: HashMap<String, u64, RandomState>,
    budget: &'a Budget,
}

impl Counts<'_> {
    fn add(&mut self, term: &str, count: u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        if let Some(sum) = self.counts.get_mut(term) {
            *sum += count;
            return Ok(());
        }
        self.budget.take_memory(term.len() as u64 + TERM_OVERHEAD)?;
        self.counts.insert(term.to_owned(), count);
        Ok(())
    }

    fn add_terms(&mut self, asked: &Asked<'_>, selected: &Selected, dimension: &str, prefix: &str) -> Result<()> {
        if !asked.index.has_dimension(dimension) {
            return Ok(());
        }
        let documents = asked.extent.documents;
        let budget = self.budget;
        match selected {
            Selected::Range(range) if *range == (0..documents) => {
                asked.index.for_each_term_count(dimension, prefix, budget, &mut |term, count| self.add(term, count))
            }
            Selected::Range(range) => {
                let set = sequences::set_of(range.clone());
                asked.index.for_each_term_count_in(dimension, prefix, &set, budget, &mut |term, count| self.add(term, count))
            }
            Selected::Set(set) => {
                asked.index.for_each_term_count_in(dimension, prefix, set, budget, &mut |term, count| self.add(term, count))
            }
        }
    }

    fn add_values(&mut self, asked: &Asked<'_>, selected: Selected, path: &Path, prefix: &str) -> Result<()> {
        let budget = self.budget;
        asked.index.for_each_value(path, &selected.into_set(), budget, &mut |value, count| {
            if value.starts_with(prefix) { self.add(value, count) } else { Ok(()) }
        })
    }

    fn into_terms(self, total: u64, limit: usize) -> Terms {
        let distinct = self.counts.len() as u64;
        let sum: u64 = self.counts.values().sum();
        let terms = most_frequent(self.counts.into_iter().map(|(term, count)| TermCount { term, count }).collect(), limit);
        let named: u64 = terms.iter().map(|t| t.count).sum();
        Terms { total, terms, other: sum - named, distinct, incomplete: Vec::new() }
    }
}
