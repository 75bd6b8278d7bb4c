//! [`Ledger`]: what a server promised, kept outside of it.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use crate::wrong::Wrong;

/// A batch of events as it was sent, one event with an id of its own a line.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Ids in the order of the request.
    pub ids: Vec<String>,
    /// Bytes in the order of the request.
    pub events: Vec<Vec<u8>>,
    /// The sequence of the first event, when an answer said that all of them were taken.
    pub first_sequence: OnceLock<u64>,
}

impl Batch {
    /// Events that no answer has come for.
    #[must_use]
    pub fn new(ids: Vec<String>, events: Vec<Vec<u8>>) -> Batch {
        Batch { ids, events, first_sequence: OnceLock::new() }
    }

    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.events.join(&b'\n')
    }
}

/// What was sent, and whether the server said that it keeps it.
#[derive(Debug, Clone)]
struct Entry {
    batch: Batch,
    is_promised: bool,
}

/// Every batch that was ever sent, once, however often it was sent.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// Which batch begins with an id.
    places: HashMap<String, usize>,
    last_promised: Option<usize>,
    /// How many events were stored before all of these and are not in what it is held against.
    before: u64,
}

impl Ledger {
    /// A batch was sent and acknowledged.
    pub fn promised(&mut self, batch: Batch) {
        let first = batch.first_sequence.clone();
        let at = self.place(batch);
        let entry = &mut self.entries[at];
        entry.is_promised = true;
        // An answer to a repeat says nothing of where they are.
        if first.get().is_some() {
            entry.batch.first_sequence = first;
        }
        self.last_promised = Some(at);
    }

    /// A batch was sent; whether it is kept is not known.
    pub fn unknown(&mut self, batch: &Batch) {
        self.place(batch.clone());
    }

    /// So many events were stored before its first, and are taken out of what it is held against: see [`crate::old_day::OldDay::taken_out`].
    pub fn begins_behind(&mut self, events: u64) {
        self.before = events;
    }

    /// Where a batch stands: at the end, when it was not sent before.
    fn place(&mut self, batch: Batch) -> usize {
        let first = batch.ids.first().expect("a batch has an event");
        if let Some(at) = self.places.get(first) {
            assert!(self.entries[*at].batch.events == batch.events, "two batches begin with {first}");
            return *at;
        }
        self.places.insert(first.clone(), self.entries.len());
        self.entries.push(Entry { batch, is_promised: false });
        self.entries.len() - 1
    }

    /// The last promise is not counted on: whoever gave it could not know better. Its batch may be there or not.
    pub fn forget_last(&mut self) {
        if let Some(at) = self.last_promised.take() {
            self.entries[at].is_promised = false;
            self.entries[at].batch.first_sequence.take();
        }
    }

    fn all_promised(&self) -> impl Iterator<Item = &Batch> {
        self.entries.iter().filter(|entry| entry.is_promised).map(|entry| &entry.batch)
    }

    /// How many events are promised.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all_promised().map(|batch| batch.events.len()).sum()
    }

    /// Whether nothing is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all_promised().next().is_none()
    }

    /// Holds everything that a server returns against the ledger: every promised event is there once, with its bytes; of a batch that is not
    /// promised there is all or nothing; nothing is there that was never sent, or twice; sequences are dense from 1, and those that the answers named; the order of
    /// a batch is the order of its sequences.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check(&self, stored: &[(u64, Vec<u8>)]) -> Result<(), Wrong> {
        // First what is gone: it leaves holes in the sequences too.
        let there: HashSet<&[u8]> = stored.iter().map(|(_, event)| event.as_slice()).collect();
        let mut promised = self.all_promised().flat_map(|batch| batch.ids.iter().zip(&batch.events));
        if let Some((id, _)) = promised.find(|(_, event)| !there.contains(event.as_slice())) {
            return Err(Wrong::Lost(format!("the acknowledged event {id} is not there as it was sent")));
        }
        dense(stored)?;
        let places = self.places_of(stored)?;
        self.entries.iter().try_for_each(|entry| whole_and_in_order(&entry.batch, &places))?;
        self.all_promised().try_for_each(|batch| where_the_answer_said(batch, self.before, &places))
    }

    /// The sequence of every event that is there.
    fn places_of<'a>(&self, stored: &'a [(u64, Vec<u8>)]) -> Result<HashMap<&'a [u8], u64>, Wrong> {
        let sent: HashSet<&[u8]> = self.entries.iter().flat_map(|entry| &entry.batch.events).map(Vec::as_slice).collect();
        let mut places = HashMap::new();
        for (sequence, event) in stored {
            if !sent.contains(event.as_slice()) {
                return Err(Wrong::Altered(format!("sequence {sequence} was never sent: {}", String::from_utf8_lossy(event))));
            }
            if let Some(other) = places.insert(event.as_slice(), *sequence) {
                return Err(Wrong::Altered(format!("sequences {other} and {sequence} are the same event")));
            }
        }
        Ok(places)
    }
}

fn dense(stored: &[(u64, Vec<u8>)]) -> Result<(), Wrong> {
    let mut sequences: Vec<u64> = stored.iter().map(|(sequence, _)| *sequence).collect();
    sequences.sort_unstable();
    match sequences.iter().enumerate().find(|(i, s)| *i as u64 + 1 != **s) {
        Some((at, sequence)) => Err(Wrong::Altered(format!("sequence {sequence} stands at place {} of {}", at + 1, sequences.len()))),
        None => Ok(()),
    }
}

/// Of a batch there is all or nothing, in its order. That a promised one is there is known before.
fn whole_and_in_order(batch: &Batch, places: &HashMap<&[u8], u64>) -> Result<(), Wrong> {
    let of_batch: Vec<Option<u64>> = batch.events.iter().map(|event| places.get(event.as_slice()).copied()).collect();
    let there = of_batch.iter().flatten().count();
    if there == 0 {
        return Ok(());
    }
    if let Some(at) = of_batch.iter().position(Option::is_none) {
        let (id, all) = (&batch.ids[at], batch.ids.len());
        return Err(Wrong::Altered(format!("{there} of the {all} events of a batch are there, and {id} is not")));
    }
    let mut last = 0;
    for (id, place) in batch.ids.iter().zip(of_batch.into_iter().flatten()) {
        if place <= last {
            return Err(Wrong::Altered(format!("the event {id} stands at {place}, before the one that was sent before it at {last}")));
        }
        last = place;
    }
    Ok(())
}

/// The events of a batch have the sequences that were named when they were taken.
fn where_the_answer_said(batch: &Batch, before: u64, places: &HashMap<&[u8], u64>) -> Result<(), Wrong> {
    let Some(first) = batch.first_sequence.get() else { return Ok(()) };
    for ((expected, id), event) in (first.saturating_sub(before)..).zip(&batch.ids).zip(&batch.events) {
        let place = places.get(event.as_slice());
        if place != Some(&expected) {
            return Err(Wrong::Altered(format!("the event {id} stands at {place:?}, and the answer said {expected}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(names: &[&str]) -> Batch {
        Batch::new(names.iter().map(|n| (*n).to_owned()).collect(), names.iter().map(|n| n.as_bytes().to_vec()).collect())
    }

    fn stored(names: &[&str]) -> Vec<(u64, Vec<u8>)> {
        (1..).zip(names).map(|(i, n)| (i, n.as_bytes().to_vec())).collect()
    }

    /// What is wrong, which is no loss.
    fn altered(ledger: &Ledger, there: &[&str]) -> String {
        match ledger.check(&stored(there)) {
            Err(Wrong::Altered(why)) => why,
            other => panic!("{there:?}: {other:?}"),
        }
    }

    #[test]
    fn finds_what_is_lost_doubled_changed_or_out_of_order() {
        let mut ledger = Ledger::default();
        ledger.promised(batch(&["a", "b"]));
        ledger.unknown(&batch(&["c"]));
        for good in [&["a", "b"][..], &["a", "c", "b"]] {
            assert_eq!(ledger.check(&stored(good)), Ok(()));
        }
        assert!(matches!(ledger.check(&stored(&["a"])), Err(Wrong::Lost(_))));
        assert!(matches!(ledger.check(&[(2, b"b".to_vec())]), Err(Wrong::Lost(_))));
        for (bad, reason) in [(&["a", "b", "b"][..], "the same"), (&["a", "b", "B"], "never sent"), (&["b", "a"], "before")] {
            let told = altered(&ledger, bad);
            assert!(told.contains(reason), "{bad:?}: {told}");
        }
        let told = ledger.check(&[(1, b"a".to_vec()), (3, b"b".to_vec())]).unwrap_err();
        assert!(matches!(&told, Wrong::Altered(why) if why.contains("sequence 3")), "{told:?}");
    }

    #[test]
    fn events_are_where_the_answers_said() {
        let mut ledger = Ledger::default();
        for (names, first) in [(["a", "b"], 1), (["c", "d"], 3)] {
            let batch = batch(&names);
            batch.first_sequence.set(first).unwrap();
            ledger.promised(batch);
        }
        // A repeat, of which no answer says where it is.
        ledger.promised(batch(&["a", "b"]));
        assert_eq!(ledger.check(&stored(&["a", "b", "c", "d"])), Ok(()));
        assert!(altered(&ledger, &["c", "d", "a", "b"]).contains("the answer said 1"));
        ledger.forget_last();
        assert!(altered(&ledger, &["c", "d", "a", "b"]).contains("the answer said 3"));
    }

    #[test]
    fn a_batch_without_an_answer_is_there_whole_and_in_order_or_not_at_all() {
        let mut ledger = Ledger::default();
        ledger.promised(batch(&["a"]));
        ledger.unknown(&batch(&["c", "d", "e"]));
        for good in [&["a"][..], &["c", "d", "e", "a"], &["c", "a", "d", "e"]] {
            assert_eq!(ledger.check(&stored(good)), Ok(()));
        }
        for part in [&["a", "c"][..], &["a", "e"], &["a", "c", "e"], &["d", "e", "a"]] {
            assert!(altered(&ledger, part).contains("of the 3 events of a batch are there"), "{part:?}");
        }
        assert!(altered(&ledger, &["a", "d", "c", "e"]).contains("before"));
    }

    #[test]
    fn an_answer_that_comes_at_last_or_is_taken_back_counts() {
        let mut ledger = Ledger::default();
        ledger.promised(batch(&["a"]));
        (0..3).for_each(|_| ledger.unknown(&batch(&["c", "d"])));
        assert_eq!((ledger.len(), ledger.check(&stored(&["a"]))), (1, Ok(())));
        ledger.promised(batch(&["c", "d"]));
        assert_eq!(ledger.len(), 3);
        assert!(matches!(ledger.check(&stored(&["a"])), Err(Wrong::Lost(_))));
        // A refusal that came late takes nothing back.
        ledger.unknown(&batch(&["c", "d"]));
        assert!(matches!(ledger.check(&stored(&["a"])), Err(Wrong::Lost(_))));
        ledger.forget_last();
        assert_eq!((ledger.len(), ledger.check(&stored(&["a"]))), (1, Ok(())));
        assert!(altered(&ledger, &["a", "c"]).contains("of the 2 events"));
        assert!(!ledger.is_empty());
    }
}
