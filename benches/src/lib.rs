//! Audit events in any number, made from a small corpus of real ones, for tests, benches and load.
//!
//! Random JSON compresses, indexes and parses unlike real events. So each event made here is a real one whose shape is
//! untouched: the keys, their order, the types and the rare fields stay. Replaced, wherever they stand in the event, are:
//! ids (fresh), times (a daily rhythm, slightly late), the actor's name, principal, key and address (users by Zipf's law,
//! each with keys and addresses of its own), names of resources (pools by Zipf's law) and opaque tokens (fresh, so that
//! compression is not flattered). Sessions of one actor are interleaved.
//!
//! The same corpus, parameters and seed give the same bytes everywhere: the random numbers and the logarithms come from
//! code that does not change with the platform. Nothing is kept of what was made, so 100 million events cost no memory.
//! Where even making them is too slow, a [`Batch`] of them is made new in place.
//!
//! It follows a first generator in Python, seed 1, 20,000 events of the real corpus over three days; distinct values, that one's
//! first: users 728 and 810, access keys 1,333 and 1,420, principals 969 and 1,071, addresses 1,385 and 1,550, request ids
//! 19,964 and 19,967, event names 285 and 285, buckets 1,102 and 1,131, instances 642 and 554, roles 850 and 898; 25.7 and 25.6
//! MB. One core makes about 1.3 million such events a second (optimised; 1,270 bytes an event).
//!
//! [`Census`] and [`Questions`] say what a log of these events must answer, so that benches check what they measure.
//!
//! ```
//! use trail_corpus::{Corpus, Generator, Parameters};
//! let corpus = Corpus::small()?;
//! let mut generator = Generator::new(&corpus, &Parameters { events: 10, ..Parameters::default() })?;
//! let mut event = Vec::new();
//! while let Some(time) = generator.next_event(&mut event) {
//!     assert!(event.starts_with(b"{") && time.event <= time.arrival);
//!     event.clear();
//! }
//! # Ok::<(), trail_corpus::CorpusError>(())
//! ```

mod batch;
mod census;
mod corpus;
mod entity;
mod error;
mod facts;
mod generator;
mod parameters;
mod population;
mod questions;
mod random;
mod renewal;
mod rhythm;
mod template;
mod text;

pub use batch::Batch;
pub use census::{Census, Tally, most_frequent, text_counts};
pub use corpus::{Corpus, real_ndjson, small_ndjson};
pub use error::CorpusError;
pub use facts::Facts;
pub use generator::{EventTime, Generator};
pub use parameters::Parameters;
pub use questions::{Asked, Questions};
pub use renewal::Renewer;

/// Seconds since 1970-01-01T00:00:00Z of a text like `2026-11-22T08:00:00Z`, for [`Parameters::end`].
#[must_use]
pub fn read_end(text: &str) -> Option<i64> {
    (text.len() == 20 && text.ends_with('Z')).then(|| text::read_seconds(text)).flatten()
}
