//! Questions: the query language, how a filter is planned over an index, and how answers of several indexes become one.
//!
//! Text becomes a [`Filter`], a filter becomes a question with compiled matchers, and for every part of the log the question
//! becomes a plan: cheapest comparison first, scans only on what is left. Answers of the parts are merged by
//! (event time, sequence). Nothing here knows how a part stores its events: that is behind [`crate::index::Index`].

mod answer;
mod filter;
mod plan;
mod question;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use answer::count::count;
pub use answer::histogram::histogram;
pub use answer::lookup::{event_at, events_by_id};
pub use answer::page::search;
pub use answer::tail::{follow, tail};
pub use answer::terms::terms;
pub use filter::{Comparison, Field, Filter, Test};
pub use question::context::Context;
pub use question::request::{
    Bucket, Count, Explanation, Facet, FollowPage, Followed, Histogram, HistogramRequest, Order, Page, PageRequest, PartExplanation,
    Selection, TailPage, TermCount, Terms, TermsRequest,
};
pub use question::times::{Moment, read_interval};
