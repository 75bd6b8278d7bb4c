//! Questions: the query language, how a filter is planned over an index, and how answers of several indexes become one.
//!
//! Text becomes a [`Filter`], a filter becomes a question with compiled matchers, and for every part of the log the question
//! becomes a plan: cheapest comparison first, scans only on what is left. Answers of the parts are merged by
//! (event time, sequence). Nothing here knows how a part stores its events: that is behind [`crate::index::Index`].

mod context;
mod count;
mod cursor;
mod evaluate;
mod explain;
mod fetch;
mod filter;
mod gaps;
mod histogram;
mod lookup;
mod page;
mod part;
mod plan;
mod question;
mod request;
mod sequences;
mod tail;
mod terms;
mod times;
mod top;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use context::Context;
pub use count::count;
pub use filter::{Comparison, Field, Filter, Test};
pub use histogram::histogram;
pub use lookup::{event_at, events_by_id};
pub use page::search;
pub use request::{
    Bucket, Count, Explanation, Facet, Histogram, HistogramRequest, Order, Page, PageRequest, PartExplanation, Selection, TailPage,
    TermCount, Terms, TermsRequest,
};
pub use tail::tail;
pub use terms::terms;
pub use times::{Moment, read_interval};
