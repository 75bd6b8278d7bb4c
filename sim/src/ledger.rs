//! [`Ledger`]: what was sent and what was acknowledged, kept outside of the log; and the verdict on what a log has after a fault.
//!
//! What was acknowledged must be there, with its bytes and at its sequence, unless its day is over the retention. What is there must have been
//! sent, stand once, and, of a batch that was not acknowledged, with all of the batch or not at all. A fault is no damage: the log must say
//! nothing of missing parts, and what it verifies must be whole.

use std::collections::{BTreeMap, HashMap, HashSet};

use trail_engine::budget::Cancel;
use trail_engine::id::{Day, Timestamp};
use trail_engine::index::StoredEvent;
use trail_engine::{AuditLog, Receipt};

use crate::subject::{RETENTION_DAYS, read_all};

/// The number of a batch, in the order of sending.
pub type BatchId = usize;

/// A batch of events that were not sent before.
#[derive(Debug, Clone)]
struct Sent {
    events: Vec<Vec<u8>>,
    /// The day on which it may have been received at the earliest, by the wall clock; what is retained is counted from there.
    day: Day,
    acknowledged: bool,
    /// The sequence of its first event, where all of them were new when they were acknowledged.
    first: Option<u64>,
}

/// What was sent and acknowledged up to some moment.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    batches: Vec<Sent>,
    places: HashMap<Vec<u8>, BatchId>,
}

/// What is wrong with a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged events that are not there.
    pub lost: u64,
    /// Events that nobody sent, that stand twice, or that stand at another place than was said.
    pub altered: u64,
    /// Everything that is wrong, in words.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Whether all is right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Notes something that is wrong.
    pub fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    /// Notes events that are gone in silence.
    pub fn lost_events(&mut self, count: u64, what: String) {
        self.lost += count;
        self.wrong.push(what);
    }

    /// Notes an event that is not what was sent.
    pub fn altered_event(&mut self, what: String) {
        self.altered(what);
    }

    fn lost(&mut self, what: String) {
        self.lost += 1;
        self.wrong.push(what);
    }

    fn altered(&mut self, what: String) {
        self.altered += 1;
        self.wrong.push(what);
    }

    /// Takes over what another found, as seen at some moment.
    pub fn join(&mut self, other: Verdict, when: &str) {
        self.lost += other.lost;
        self.altered += other.altered;
        self.wrong.extend(other.wrong.into_iter().map(|what| format!("{when}: {what}")));
    }
}

impl Ledger {
    /// A batch is about to be sent, at a time.
    pub fn sent(&mut self, events: Vec<Vec<u8>>, now: Timestamp) -> BatchId {
        let id = self.batches.len();
        self.places.extend(events.iter().map(|event| (event.clone(), id)));
        self.batches.push(Sent { events, day: now.day(), acknowledged: false, first: None });
        id
    }

    /// A batch was acknowledged.
    ///
    /// # Panics
    /// When the receipt does not count all of its events.
    pub fn acknowledged(&mut self, id: BatchId, receipt: &Receipt) {
        let batch = &mut self.batches[id];
        assert_eq!(receipt.accepted + receipt.duplicates, batch.events.len() as u64, "the receipt of batch {id}: {receipt:?}");
        batch.acknowledged = true;
        batch.first = receipt.first_sequence.filter(|_| receipt.duplicates == 0).map(|first| first.0);
    }

    /// The same where the answer for a batch is not known.
    #[must_use]
    pub fn without_answer(&self, id: BatchId) -> Ledger {
        let mut ledger = self.clone();
        ledger.batches[id].acknowledged = false;
        ledger
    }

    /// The events of a batch.
    #[must_use]
    pub fn events(&self, id: BatchId) -> &[Vec<u8>] {
        &self.batches[id].events
    }

    /// Whether a batch's day is not over the retention at a time.
    #[must_use]
    pub fn is_kept(&self, id: BatchId, now: Timestamp) -> bool {
        !self.batches[id].is_due(now)
    }

    /// Whether a batch was acknowledged.
    #[must_use]
    pub fn is_acknowledged(&self, id: BatchId) -> bool {
        self.batches[id].acknowledged
    }

    /// How many batches were sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// All of it as text, events one a line.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for batch in &self.batches {
            let first = batch.first.map_or_else(|| "-".to_owned(), |first| first.to_string());
            let head = format!("batch {} {} {first} {}", batch.day.0, u8::from(batch.acknowledged), batch.events.len());
            for line in std::iter::once(head.as_bytes()).chain(batch.events.iter().map(Vec::as_slice)) {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
        }
        text
    }

    /// Reads such a text.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Ledger> {
        let (mut ledger, mut lines) = (Ledger::default(), text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()));
        while let Some(head) = lines.next() {
            let head = std::str::from_utf8(head).ok()?;
            let mut words = head.strip_prefix("batch ")?.split(' ');
            let day = Day(words.next()?.parse().ok()?);
            let acknowledged = words.next()? == "1";
            let first = words.next()?.parse().ok();
            let count = words.next()?.parse().ok()?;
            let events: Vec<Vec<u8>> = lines.by_ref().take(count).map(<[u8]>::to_vec).collect();
            let id = ledger.batches.len();
            ledger.places.extend(events.iter().map(|event| (event.clone(), id)));
            ledger.batches.push(Sent { events, day, acknowledged, first });
        }
        Some(ledger)
    }

    /// How many events were acknowledged.
    #[must_use]
    pub fn acknowledged_events(&self) -> usize {
        self.batches.iter().filter(|batch| batch.acknowledged).map(|batch| batch.events.len()).sum()
    }

    /// Holds a log against the ledger, at a time of the wall clock.
    #[must_use]
    pub fn judge(&self, log: &AuditLog, now: Timestamp) -> Verdict {
        let mut verdict = Verdict::default();
        match read_all(log) {
            Ok((events, gaps)) => {
                self.compare(&events, now, &mut verdict);
                gaps.iter().for_each(|gap| verdict.wrong(format!("an answer is incomplete: {gap}")));
            }
            Err(error) => verdict.wrong(format!("the log cannot be read: {error:?}")),
        }
        // A log that was down for days says that retention will catch up: that is as it should be.
        let problems = log.health().problems.into_iter().filter(|problem| !problem.starts_with("the clock is"));
        problems.for_each(|problem| verdict.wrong(format!("a problem: {problem}")));
        match log.verify(&Cancel::default()) {
            Ok(errors) => errors.iter().for_each(|error| verdict.wrong(format!("verify: {error:?}"))),
            Err(error) => verdict.wrong(format!("cannot verify: {error:?}")),
        }
        verdict
    }

    /// In words, a day of which there is a part among some events of one answer, and not all that was acknowledged.
    #[must_use]
    pub fn part_of_a_day(&self, stored: &[StoredEvent]) -> Option<String> {
        let there: HashSet<&[u8]> = stored.iter().map(|event| event.text.as_slice()).collect();
        let mut days: BTreeMap<Day, (usize, usize)> = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| batch.acknowledged) {
            let (found, all) = days.entry(batch.day).or_default();
            *found += batch.events.iter().filter(|event| there.contains(event.as_slice())).count();
            *all += batch.events.len();
        }
        let part = days.into_iter().find(|(_, (found, all))| *found > 0 && found < all);
        part.map(|(day, (found, all))| format!("{found} of {all} events of {day:?} are in one answer"))
    }

    /// Holds events, in the order of sequences, against the ledger.
    pub fn compare(&self, stored: &[StoredEvent], now: Timestamp, verdict: &mut Verdict) {
        let mut found: BTreeMap<BatchId, Vec<&StoredEvent>> = BTreeMap::new();
        for pair in stored.windows(2) {
            if pair[0].sequence >= pair[1].sequence {
                verdict.altered(format!("sequence {} follows {}", pair[1].sequence, pair[0].sequence));
            }
        }
        for event in stored {
            match self.places.get(&event.text) {
                Some(id) => found.entry(*id).or_default().push(event),
                None => verdict.altered(format!("sequence {} was never sent: {}", event.sequence, String::from_utf8_lossy(&event.text))),
            }
        }
        for (id, batch) in self.batches.iter().enumerate() {
            let there = found.remove(&id).unwrap_or_default();
            batch.compare(id, &there, batch.is_due(now), verdict);
        }
    }
}

impl Sent {
    /// Whether all of its day is over the retention.
    fn is_due(&self, now: Timestamp) -> bool {
        self.day.end().0 + i64::from(RETENTION_DAYS) * Day::NANOS <= now.0
    }

    fn compare(&self, id: BatchId, there: &[&StoredEvent], is_due: bool, verdict: &mut Verdict) {
        let mut places: HashMap<&[u8], u64> = HashMap::new();
        for event in there {
            if let Some(other) = places.insert(&event.text, event.sequence.0) {
                verdict.altered(format!("sequences {other} and {} are the same event", event.sequence));
            }
        }
        let missing = self.events.iter().filter(|event| !places.contains_key(event.as_slice())).count();
        if self.acknowledged {
            for (at, event) in self.events.iter().enumerate() {
                let expected = self.first.map(|first| first + at as u64);
                match places.get(event.as_slice()) {
                    None if is_due => {}
                    None => verdict.lost(format!("event {at} of batch {id} is gone: {}", String::from_utf8_lossy(event))),
                    Some(place) if expected.is_some_and(|expected| expected != *place) => {
                        verdict.altered(format!("event {at} of batch {id} stands at {place}, not at {expected:?}"));
                    }
                    Some(_) => {}
                }
            }
        } else if missing > 0 && missing < self.events.len() && !is_due {
            verdict.altered(format!("{missing} of {} events of batch {id}, which was not acknowledged, are missing", self.events.len()));
        }
        let order: Vec<u64> = self.events.iter().filter_map(|event| places.get(event.as_slice()).copied()).collect();
        if !order.is_sorted() {
            verdict.altered(format!("the events of batch {id} are out of order: {order:?}"));
        }
    }
}
