//! [`Batch`]: events that were read and indexed on the caller's thread and wait to be appended.

use std::ops::Range;

use super::terms::{Term, Terms};
use super::values::{NumberedShape, Value, Values};
use crate::id::Timestamp;

/// Events that were read and indexed on the caller's thread and wait to be appended.
#[derive(Debug, Default)]
pub struct Batch {
    /// The text of all events, back to back.
    pub(crate) text: Vec<u8>,
    pub(crate) events: Vec<Prepared>,
    /// The shapes and the distinct values of the events.
    pub(crate) values: Values,
    /// For each leaf of each event the number of its value.
    pub(crate) numbers: Vec<u32>,
    /// The distinct terms of the events.
    pub(crate) terms: Terms,
    /// For each term of each event its number.
    pub(crate) term_numbers: Vec<u32>,
    /// Room for the batch in the journal's form: from use to use, as the other buffers.
    pub(crate) room: Vec<u8>,
}

/// One event of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Its text, in [`Batch::text`].
    pub(crate) text: Range<u32>,
    /// The number of its shape among those of the batch.
    pub(crate) shape: u32,
    /// The values of its leaves, in [`Batch::numbers`].
    pub(crate) leaves: Range<u32>,
    /// Its terms, in [`Batch::term_numbers`].
    pub(crate) terms: Range<u32>,
    /// Its event time, if one can be read.
    pub(crate) time: Option<Timestamp>,
    /// [`crate::codec::checksum::hash64`] of its id, if it has one.
    pub(crate) id_hash: Option<u64>,
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

    /// Forgets the events and keeps the buffers.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.events.clear();
        self.values.clear();
        self.numbers.clear();
        self.terms.clear();
        self.term_numbers.clear();
        self.room.clear();
    }

    /// The memory of the buffers, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let numbers = (self.numbers.capacity() + self.term_numbers.capacity()) * size_of::<u32>();
        let events = self.events.capacity() * size_of::<Prepared>();
        self.text.capacity() + self.room.capacity() + events + numbers + self.values.capacity_bytes() + self.terms.capacity_bytes()
    }

    pub(crate) fn text_of(&self, event: &Prepared) -> &[u8] {
        self.text.get(event.text.start as usize..event.text.end as usize).unwrap_or_default()
    }

    /// The shape of an event, with its columns in this batch.
    pub(crate) fn shape_of(&self, event: &Prepared) -> Option<&NumberedShape> {
        self.values.shapes.get(event.shape as usize)
    }

    /// The numbers of an event's values, in the order of its leaves.
    pub(crate) fn numbers_of(&self, event: &Prepared) -> &[u32] {
        self.numbers.get(event.leaves.start as usize..event.leaves.end as usize).unwrap_or_default()
    }

    /// The bytes of a value.
    pub(crate) fn bytes_of(&self, value: &Value) -> &[u8] {
        self.text.get(value.start as usize..value.end as usize).unwrap_or_default()
    }

    /// The numbers of an event's terms.
    pub(crate) fn terms_of(&self, event: &Prepared) -> &[u32] {
        self.term_numbers.get(event.terms.start as usize..event.terms.end as usize).unwrap_or_default()
    }

    /// A term and its text, which is UTF-8.
    pub(crate) fn term(&self, number: u32) -> Option<(&Term, &[u8])> {
        self.terms.get(number)
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
