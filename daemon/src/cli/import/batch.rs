//! [`Batch`]: events that are sent at once, with the place each came from.

use std::ops::Range;
use std::sync::Arc;

use super::piece::Place;

/// A batch is full with this many events ...
pub const EVENTS: usize = 1_000;

/// ... or this many bytes.
pub const BYTES: usize = 1 << 20;

/// Where an event came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the input.
    pub input: Arc<str>,
    /// The place in it.
    pub place: Place,
}

/// Events in the order of the input.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    ends: Vec<usize>,
    origins: Vec<Origin>,
    /// Whether an event is spread over lines.
    multiline: bool,
}

impl Batch {
    /// Adds an event, which must be valid JSON.
    pub fn push(&mut self, event: &[u8], origin: Origin) {
        self.multiline |= memchr::memchr(b'\n', event).is_some();
        self.text.extend_from_slice(event);
        self.ends.push(self.text.len());
        self.origins.push(origin);
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether it should be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= EVENTS || self.text.len() >= BYTES
    }

    /// The text of one event; empty for none.
    #[must_use]
    pub fn event(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|&end| self.text.get(start..end)).unwrap_or_default()
    }

    /// Where one event came from.
    #[must_use]
    pub fn origin(&self, index: usize) -> Option<&Origin> {
        self.origins.get(index)
    }

    /// The body of a request with some of the events, and its type: a line each, or an array when events have lines of their own.
    #[must_use]
    pub fn body(&self, events: Range<usize>) -> (Vec<u8>, &'static str) {
        let (open, between, close, content_type): (&[u8], u8, &[u8], _) = match self.multiline {
            true => (b"[", b',', b"]", "application/json"),
            false => (b"", b'\n', b"", "application/x-ndjson"),
        };
        let mut body = Vec::with_capacity(self.text.len() + self.len() + 2);
        body.extend_from_slice(open);
        for index in events.clone() {
            if index > events.start {
                body.push(between);
            }
            body.extend_from_slice(self.event(index));
        }
        body.extend_from_slice(close);
        (body, content_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { input: "f".into(), place: Place { line: 1, byte: 0 } }
    }

    #[test]
    fn bodies_keep_events_verbatim() {
        let mut batch = Batch::default();
        for event in ["{\"a\" : 1}", "{}", "{\"b\":2}"] {
            batch.push(event.as_bytes(), origin());
        }
        assert_eq!(batch.body(0..3), (b"{\"a\" : 1}\n{}\n{\"b\":2}".to_vec(), "application/x-ndjson"));
        batch.push(b"{\n}", origin());
        assert_eq!(batch.body(2..4), (b"[{\"b\":2},{\n}]".to_vec(), "application/json"));
        assert_eq!(batch.event(4), b"");
    }

    #[test]
    fn is_full_by_events_and_by_bytes() {
        let mut batch = Batch::default();
        (0..EVENTS).for_each(|_| batch.push(b"{}", origin()));
        assert!(batch.is_full());
        let mut batch = Batch::default();
        batch.push(&vec![b' '; BYTES], origin());
        assert!(batch.is_full());
    }
}
