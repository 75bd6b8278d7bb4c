//! [`Batch`]: events that were read and indexed on the caller's thread and wait to be appended.

use std::ops::Range;
use std::sync::Arc;

use super::scan::Leaf;
use super::shape::Shape;
use crate::id::Timestamp;

/// Events that were read and indexed on the caller's thread and wait to be appended.
#[derive(Debug, Default)]
pub struct Batch {
    /// The text of all events, back to back.
    pub(crate) text: Vec<u8>,
    pub(crate) events: Vec<Prepared>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) terms: Vec<Term>,
    /// The text of all terms, back to back.
    pub(crate) term_text: Vec<u8>,
}

/// One event of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Its text, in [`Batch::text`].
    pub(crate) text: Range<u32>,
    pub(crate) shape: Arc<Shape>,
    /// Its leaves, in [`Batch::leaves`]; their offsets count from the start of the event.
    pub(crate) leaves: Range<u32>,
    /// Its terms, in [`Batch::terms`].
    pub(crate) terms: Range<u32>,
    /// Its event time, if one can be read.
    pub(crate) time: Option<Timestamp>,
    /// [`crate::codec::checksum::hash64`] of its id, if it has one.
    pub(crate) id_hash: Option<u64>,
}

/// A term of a dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) dimension: u16,
    /// Its text, in [`Batch::term_text`].
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Batch {
    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of its events' text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn text_of(&self, event: &Prepared) -> &[u8] {
        self.text.get(event.text.start as usize..event.text.end as usize).unwrap_or_default()
    }

    pub(crate) fn leaves_of(&self, event: &Prepared) -> &[Leaf] {
        self.leaves.get(event.leaves.start as usize..event.leaves.end as usize).unwrap_or_default()
    }

    pub(crate) fn terms_of(&self, event: &Prepared) -> impl Iterator<Item = (u16, &str)> {
        let terms = self.terms.get(event.terms.start as usize..event.terms.end as usize).unwrap_or_default();
        terms.iter().map(|term| (term.dimension, self.term(*term)))
    }

    fn term(&self, term: Term) -> &str {
        // Terms are pushed as whole strings, so the range is always text.
        self.term_text.get(term.start as usize..term.end as usize).and_then(|t| std::str::from_utf8(t).ok()).unwrap_or_default()
    }
}

/// An event that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its number among the events that were given, from 0.
    pub index: usize,
    /// `invalid_json`, `not_an_object`, `too_large`, `too_deep` or `invalid_utf8`.
    pub code: &'static str,
    /// What is wrong, with the byte.
    pub message: String,
}
