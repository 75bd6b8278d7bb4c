//! [`Census`]: what a log of generated events must answer, counted from the events themselves.
//!
//! Problem: a quick wrong answer is worth nothing, and an answer written down by hand is wrong as soon as the generator or its
//! parameters change. So the events are made once more and counted with a plain JSON parser. Limits: about 8 s a million events, and
//! memory for every distinct value of the properties that are counted.

use std::collections::BTreeMap;

use crate::corpus::Corpus;
use crate::error::CorpusError;
use crate::facts::Facts;
use crate::generator::Generator;
use crate::parameters::Parameters;

/// The events that have something in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The latest event time among them, in seconds since 1970-01-01T00:00:00Z.
    pub newest: i64,
}

impl Tally {
    fn add(&mut self, time: i64) {
        self.newest = if self.count == 0 { time } else { self.newest.max(time) };
        self.count += 1;
    }
}

/// Events counted by the values of their properties. Events without a property are not in its map.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// All events.
    pub all: Tally,
    /// The bytes of all events.
    pub bytes: u64,
    /// The id of the event in the middle of the log.
    pub middle_id: String,
    /// By `eventName`.
    pub event_names: BTreeMap<String, Tally>,
    /// By user.
    pub users: BTreeMap<String, Tally>,
    /// By `eventSource`.
    pub services: BTreeMap<String, Tally>,
    /// By `requestParameters.bucketName`.
    pub buckets: BTreeMap<String, Tally>,
    /// By service, region and `readOnly` together.
    pub triples: BTreeMap<[String; 3], Tally>,
    /// By service: hours since 1970-01-01T00:00:00Z.
    pub hours: BTreeMap<String, BTreeMap<i64, u64>>,
    /// By service: how many events have which `eventName`.
    pub names_of_service: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Census {
    /// Makes the events and counts them.
    ///
    /// # Errors
    /// When the parameters are out of their limits, or an event has no time (events of the embedded corpora have one).
    pub fn take(corpus: &Corpus, parameters: &Parameters) -> Result<Census, CorpusError> {
        let mut census = Census::default();
        let mut generator = Generator::new(corpus, parameters)?;
        let mut event = Vec::new();
        while generator.next_event(&mut event).is_some() {
            let facts = Facts::read(&event).ok_or_else(|| CorpusError::new("a generated event is no JSON object"))?;
            census.add(facts, event.len(), parameters.events / 2)?;
            event.clear();
        }
        Ok(census)
    }

    fn add(&mut self, facts: Facts, bytes: usize, middle: u64) -> Result<(), CorpusError> {
        let time = facts.time.ok_or_else(|| CorpusError::new("an event without a time cannot be counted"))?;
        if self.all.count <= middle && !facts.id.is_empty() {
            self.middle_id = facts.id;
        }
        self.all.add(time);
        self.bytes += bytes as u64;
        if !facts.service.is_empty() {
            *entry(&mut self.hours, &facts.service).entry(time.div_euclid(3_600)).or_default() += 1;
        }
        if !facts.service.is_empty() && !facts.event_name.is_empty() {
            *entry(entry(&mut self.names_of_service, &facts.service), &facts.event_name) += 1;
        }
        let values = [
            (&mut self.event_names, facts.event_name),
            (&mut self.users, facts.user),
            (&mut self.services, facts.service.clone()),
            (&mut self.buckets, facts.bucket),
        ];
        for (map, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
            map.entry(value).or_default().add(time);
        }
        let triple = [facts.service, facts.region, facts.read_only];
        if triple.iter().all(|value| !value.is_empty()) {
            self.triples.entry(triple).or_default().add(time);
        }
        Ok(())
    }
}

/// The value of a key, made when it is new; the key is copied only then.
fn entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.entry(key.to_owned()).or_default()
}

/// How many of the generated events have each of these texts somewhere, small and capital letters being the same.
///
/// # Errors
/// When the parameters are out of their limits.
pub fn text_counts(corpus: &Corpus, parameters: &Parameters, needles: &[String]) -> Result<Vec<u64>, CorpusError> {
    let mut generator = Generator::new(corpus, parameters)?;
    let needles: Vec<String> = needles.iter().map(|needle| needle.to_ascii_lowercase()).collect();
    let finders: Vec<_> = needles.iter().map(|needle| memchr::memmem::Finder::new(needle.as_bytes())).collect();
    let (mut event, mut counts) = (Vec::new(), vec![0; needles.len()]);
    while generator.next_event(&mut event).is_some() {
        event.make_ascii_lowercase();
        for (finder, count) in finders.iter().zip(&mut counts) {
            *count += u64::from(finder.find(&event).is_some());
        }
        event.clear();
    }
    Ok(counts)
}

/// The most frequent values: most first, ties in byte order.
#[must_use]
pub fn most_frequent(counts: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = counts.collect();
    all.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    all.truncate(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let corpus = Corpus::real().unwrap();
        let parameters = Parameters { events: 2_000, ..Parameters::default() };
        let census = Census::take(&corpus, &parameters).unwrap();
        assert_eq!(census.all.count, 2_000);
        assert_eq!(census.bytes, 2_550_503 - 2_000);
        assert!(!census.middle_id.is_empty());
        for (service, tally) in &census.services {
            assert_eq!(census.hours[service].values().sum::<u64>(), tally.count, "{service}");
            assert!(tally.newest <= census.all.newest);
        }
        let (user, tally) = census.users.iter().max_by_key(|(_, tally)| tally.count).unwrap();
        let counts = text_counts(&corpus, &parameters, &[user.to_uppercase(), "no such text".into()]).unwrap();
        assert!(counts[0] >= tally.count && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn ties_go_by_bytes() {
        let counts = [("b", 2), ("a", 2), ("c", 3), ("d", 1)].map(|(name, n)| (name.to_owned(), n));
        let found = most_frequent(counts.into_iter(), 3);
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<String>(), "cab");
    }
}
