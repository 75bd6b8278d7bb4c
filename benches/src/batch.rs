//! [`Batch`]: events one after the other in one text, which are made new in place again and again.
//!
//! To make an event costs about 0.8 µs; to make the values of one new that is there already costs a part of that, and no memory is moved. A load
//! generator makes a few ten thousand events once, and sends any number of different ones.
//!
//! Limits: users, their keys and addresses, and the shapes of events are those that were made; ids, times, tokens and resources are new every
//! time. The times follow no daily rhythm: the caller says the span.

use crate::generator::Generator;
use crate::renewal::{Place, Renewer};

/// Events, each with the same text before it and a line feed behind.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    text: Vec<u8>,
    places: Vec<Place>,
    /// For each event, where its text and its places end.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// The generator's next events, each with `before` in front of it; fewer, or none, when the generator has no more.
    #[must_use]
    pub fn make(generator: &mut Generator<'_>, events: usize, before: &[u8]) -> Batch {
        let mut batch = Batch::default();
        while batch.ends.len() < events && batch.add(generator, before) {}
        // Growing leaves up to as much again unused.
        batch.text.shrink_to_fit();
        batch.places.shrink_to_fit();
        batch.ends.shrink_to_fit();
        batch
    }

    fn add(&mut self, generator: &mut Generator<'_>, before: &[u8]) -> bool {
        let start = self.text.len();
        self.text.extend_from_slice(before);
        if generator.next_places(&mut self.text, &mut self.places).is_none() {
            self.text.truncate(start);
            return false;
        }
        self.text.push(b'\n');
        self.ends.push((self.text.len(), self.places.len()));
        true
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> usize {
        self.ends.len()
    }

    /// How much memory it holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.places.capacity() * size_of::<Place>() + self.ends.capacity() * size_of::<(usize, usize)>()
    }

    /// The first so many events, or all when there are fewer.
    #[must_use]
    pub fn text(&self, events: usize) -> &[u8] {
        let end = events.checked_sub(1).map_or(0, |last| self.ends.get(last).map_or(self.text.len(), |ends| ends.0));
        self.text.get(..end).unwrap_or_default()
    }

    /// Makes every event new; they reach a log at even distances from `from` until before `to` (seconds since 1970-01-01T00:00:00Z), and
    /// happened up to five minutes before.
    pub fn renew(&mut self, renewer: &mut Renewer, from: i64, to: i64) {
        let count = self.ends.len() as i64;
        let mut places = self.places.as_slice();
        let mut used = 0;
        for ((_, end), number) in self.ends.iter().zip(0..count) {
            let (own, rest) = places.split_at_checked(end - used).unwrap_or((places, &[]));
            (places, used) = (rest, *end);
            renewer.renew(&mut self.text, own, from + (to - from) * number / count);
        }
    }
}
