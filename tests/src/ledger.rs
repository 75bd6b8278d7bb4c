//! [`Ledger`]: what a server promised, kept outside of it.

use std::collections::{HashMap, HashSet};

use crate::wrong::Wrong;

/// A batch of events as it was sent, one event with an id of its own a line.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Ids in the order of the request.
    pub ids: Vec<String>,
    /// Bytes in the order of the request.
    pub events: Vec<Vec<u8>>,
}

impl Batch {
    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.events.join(&b'\n')
    }
}

/// Every event that was ever sent, and whether the server said that it keeps it.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    sent: HashMap<Vec<u8>, bool>,
    promised: Vec<Batch>,
}

impl Ledger {
    /// A batch was sent and acknowledged.
    pub fn promised(&mut self, batch: Batch) {
        self.sent.extend(batch.events.iter().map(|event| (event.clone(), true)));
        self.promised.push(batch);
    }

    /// A batch was sent; whether it is kept is not known.
    pub fn unknown(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.sent.entry(event.clone()).or_insert(false);
        }
    }

    /// The last promise is not counted on: whoever gave it could not know better. Its events may be there or not.
    pub fn forget_last(&mut self) {
        if let Some(batch) = self.promised.pop() {
            self.sent.extend(batch.events.into_iter().map(|event| (event, false)));
        }
    }

    /// How many events are promised.
    #[must_use]
    pub fn len(&self) -> usize {
        self.promised.iter().map(|batch| batch.events.len()).sum()
    }

    /// Whether nothing is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.promised.is_empty()
    }

    /// Holds everything that a server returns against the ledger: every promised event is there once, with its bytes; nothing is
    /// there that was never sent, or twice; sequences are dense from 1; the order of a batch is the order of its sequences.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check(&self, stored: &[(u64, Vec<u8>)]) -> Result<(), Wrong> {
        // First what is gone: it leaves holes in the sequences too.
        let there: HashSet<&[u8]> = stored.iter().map(|(_, event)| event.as_slice()).collect();
        let mut promised = self.promised.iter().flat_map(|batch| batch.ids.iter().zip(&batch.events));
        if let Some((id, _)) = promised.find(|(_, event)| !there.contains(event.as_slice())) {
            return Err(Wrong::Lost(format!("the acknowledged event {id} is not there as it was sent")));
        }
        let mut sequences: Vec<u64> = stored.iter().map(|(sequence, _)| *sequence).collect();
        sequences.sort_unstable();
        if let Some((at, sequence)) = sequences.iter().enumerate().find(|(i, s)| *i as u64 + 1 != **s) {
            return Err(Wrong::Altered(format!("sequence {sequence} stands at place {} of {}", at + 1, sequences.len())));
        }
        let mut places: HashMap<&[u8], u64> = HashMap::new();
        for (sequence, event) in stored {
            if !self.sent.contains_key(event) {
                return Err(Wrong::Altered(format!("sequence {sequence} was never sent: {}", String::from_utf8_lossy(event))));
            }
            if let Some(other) = places.insert(event, *sequence) {
                return Err(Wrong::Altered(format!("sequences {other} and {sequence} are the same event")));
            }
        }
        for batch in &self.promised {
            let mut last = 0;
            for (id, event) in batch.ids.iter().zip(&batch.events) {
                let place = places.get(event.as_slice()).copied().unwrap_or_default();
                if place <= last {
                    let why = format!("the event {id} stands at {place}, before the one that was sent before it at {last}");
                    return Err(Wrong::Altered(why));
                }
                last = place;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(names: &[&str]) -> Batch {
        Batch { ids: names.iter().map(|n| (*n).to_owned()).collect(), events: names.iter().map(|n| n.as_bytes().to_vec()).collect() }
    }

    fn stored(names: &[&str]) -> Vec<(u64, Vec<u8>)> {
        (1..).zip(names).map(|(i, n)| (i, n.as_bytes().to_vec())).collect()
    }

    #[test]
    fn finds_what_is_lost_doubled_changed_or_out_of_order() {
        let mut ledger = Ledger::default();
        ledger.promised(batch(&["a", "b"]));
        ledger.unknown(&batch(&["c", "a"]));
        for good in [&["a", "b"][..], &["a", "c", "b"]] {
            assert_eq!(ledger.check(&stored(good)), Ok(()));
        }
        assert!(matches!(ledger.check(&stored(&["a"])), Err(Wrong::Lost(_))));
        assert!(matches!(ledger.check(&[(2, b"b".to_vec())]), Err(Wrong::Lost(_))));
        for (bad, reason) in [(&["a", "b", "b"][..], "the same"), (&["a", "b", "B"], "never sent"), (&["b", "a"], "before")] {
            let told = ledger.check(&stored(bad)).unwrap_err();
            assert!(matches!(&told, Wrong::Altered(why) if why.contains(reason)), "{bad:?}: {told:?}");
        }
        let told = ledger.check(&[(1, b"a".to_vec()), (3, b"b".to_vec())]).unwrap_err();
        assert!(matches!(&told, Wrong::Altered(why) if why.contains("sequence 3")), "{told:?}");
    }
}
