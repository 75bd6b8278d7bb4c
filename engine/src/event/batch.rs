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
    /// The leaf whose decoded value it is, as it is; [`NO_LEAF`] for a term that was made some other way.
    pub(crate) leaf: u32,
}

/// In place of a leaf's number.
pub(crate) const NO_LEAF: u32 = u32::MAX;

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

    /// Forgets the events and keeps the buffers.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.events.clear();
        self.leaves.clear();
        self.terms.clear();
        self.term_text.clear();
    }

    /// The memory of the buffers, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let events = self.events.capacity() * size_of::<Prepared>();
        let parts = self.leaves.capacity() * size_of::<Leaf>() + self.terms.capacity() * size_of::<Term>();
        self.text.capacity() + self.term_text.capacity() + events + parts
    }

    pub(crate) fn text_of(&self, event: &Prepared) -> &[u8] {
        self.text.get(event.text.start as usize..event.text.end as usize).unwrap_or_default()
    }

    pub(crate) fn leaves_of(&self, event: &Prepared) -> &[Leaf] {
        self.leaves.get(event.leaves.start as usize..event.leaves.end as usize).unwrap_or_default()
    }

    pub(crate) fn terms_of(&self, event: &Prepared) -> &[Term] {
        self.terms.get(event.terms.start as usize..event.terms.end as usize).unwrap_or_default()
    }

    /// The text of a term, which is UTF-8.
    pub(crate) fn term(&self, term: &Term) -> &[u8] {
        self.term_text.get(term.start as usize..term.end as usize).unwrap_or_default()
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
