//! [`SpareHead`]: the memory of a flushed head, kept for the next one.
//!
//! A head fills its memory once and is dropped. Memory that goes back to the operating system comes back as pages that the kernel
//! clears one by one, which was a tenth of all work while events came at full speed. So the last flushed head is kept, and the next
//! begins in its memory. When nothing was flushed for a while it is let go: a quiet log holds no memory for a rush.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::DimensionSchema;
use crate::head::Head;
use crate::id::Sequence;

/// How long it is kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// At most one head that is done with.
#[derive(Debug, Default)]
pub(crate) struct SpareHead(Mutex<Option<(Arc<Head>, Duration)>>);

impl SpareHead {
    /// Keeps a head that is no part of the log any more; `now` is the clock's elapsed time.
    pub(crate) fn keep(&self, head: Arc<Head>, now: Duration) {
        self.set(Some((head, now)));
    }

    /// A new head, in the memory of the one that was kept if nobody reads that any more.
    pub(crate) fn head(&self, first_sequence: Sequence, schema: &DimensionSchema, bytes_max: u64) -> Head {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept.and_then(|(head, _)| Arc::try_unwrap(head).ok()) {
            Some(head) => Head::recycled(first_sequence, head.into_state()),
            None => Head::new(first_sequence, schema, bytes_max),
        }
    }

    /// Lets the memory go when it was not wanted for long.
    pub(crate) fn let_go(&self, now: Duration) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.set(kept.filter(|(_, since)| now.saturating_sub(*since) < KEPT_FOR));
    }

    fn set(&self, head: Option<(Arc<Head>, Duration)>) {
        // Dropping a head takes a while: not under the lock.
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), head);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::extract::Extractor;
    use crate::id::Timestamp;

    fn fill(head: &Head, extractor: &Extractor, text: &str) {
        let (batch, rejected) = extractor.prepare(&mut std::iter::once(text.as_bytes())).unwrap();
        assert_eq!(rejected, []);
        head.append(&batch, Timestamp(7), &|_| true).unwrap();
    }

    #[test]
    fn a_head_in_used_memory_knows_nothing_of_the_one_before() {
        let schema = DimensionSchema::default();
        let extractor = Extractor::new(schema.clone());
        let (spare, fresh) = (SpareHead::default(), Head::new(Sequence(9), &schema, 1 << 20));
        let used = Head::new(Sequence(1), &schema, 1 << 20);
        (0..100).for_each(|i| fill(&used, &extractor, &format!(r#"{{"id":"{i}","old":{i},"time":"2026-01-01T00:00:00Z"}}"#)));
        spare.keep(Arc::new(used), Duration::ZERO);
        let again = spare.head(Sequence(9), &schema, 1 << 20);
        for head in [&again, &fresh] {
            fill(head, &extractor, r#"{"id":"5","new":[true]}"#);
        }
        assert_eq!(format!("{:?}", again.read().shreds.paths()), format!("{:?}", fresh.read().shreds.paths()));
        assert_eq!(again.read().bytes(), fresh.read().bytes());
        assert_eq!((again.first_sequence, again.read().documents(), again.read().time_max), (Sequence(9), 1, Timestamp(7)));
        let mut text = Vec::new();
        again.read().shreds.text(0, &mut text);
        assert_eq!(text, br#"{"id":"5","new":[true]}"#);
    }

    #[test]
    fn memory_that_is_read_or_not_wanted_is_not_used() {
        let schema = DimensionSchema::default();
        let spare = SpareHead::default();
        let read = Arc::new(Head::new(Sequence(1), &schema, 1 << 20));
        spare.keep(read.clone(), Duration::ZERO);
        assert_eq!(spare.head(Sequence(4), &schema, 1 << 20).first_sequence, Sequence(4));
        assert_eq!(Arc::strong_count(&read), 1);
        spare.keep(read.clone(), Duration::from_secs(5));
        spare.let_go(Duration::from_secs(34));
        assert_eq!(Arc::strong_count(&read), 2);
        spare.let_go(Duration::from_secs(35));
        assert_eq!(Arc::strong_count(&read), 1);
    }
}
