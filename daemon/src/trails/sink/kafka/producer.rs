//! [`Producer`]: the numbers by which brokers know a repeat.
//!
//! A broker remembers the last batches of a producer in each partition by the numbers of their records, and takes one that it has for
//! delivered without keeping it again. So a batch is repeated under the numbers that it had. They move only when all of it is there. They
//! are kept with the position for one purpose: the batch that was begun before a crash. After it, and after every other start, there is a new
//! producer: numbers that a data directory brought back from a backup would make brokers take new events for old ones. Limits: a
//! broker forgets a producer that was silent for a day or so; a repeat after that is not known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::trails::sink::kafka::records::Numbers;

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// The number that a broker gave.
    pub id: i64,
    /// Its generation.
    pub epoch: i16,
    /// For which brokers and topic.
    pub place: String,
    /// The number of the next record, for each partition that had one.
    #[serde(default)]
    pub next: BTreeMap<i32, i32>,
}

impl Producer {
    /// The one that was kept for a place.
    #[must_use]
    pub fn kept(state: Option<&Value>, place: &str) -> Option<Producer> {
        let producer: Producer = serde_json::from_value(state?.clone()).ok()?;
        (producer.place == place && producer.id >= 0).then_some(producer)
    }

    /// What is kept.
    #[must_use]
    pub fn state(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// The numbers of the next records of a partition.
    #[must_use]
    pub fn numbers(&self, partition: i32) -> Numbers {
        Numbers { producer: self.id, epoch: self.epoch, first: self.next.get(&partition).copied().unwrap_or(0) }
    }

    /// So many records are in a partition. Numbers go round after 2^31 - 1.
    pub fn advance(&mut self, partition: i32, records: usize) {
        let next = self.next.entry(partition).or_default();
        *next = ((i64::from(*next) + records as i64) & i64::from(i32::MAX)) as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_for_their_place_and_go_round() {
        let mut producer = Producer { id: 7, epoch: 0, place: "b/t".into(), next: BTreeMap::new() };
        producer.advance(3, 10);
        assert_eq!((producer.numbers(3).first, producer.numbers(0).first), (10, 0));
        let state = producer.state();
        assert_eq!(Producer::kept(state.as_ref(), "b/t"), Some(producer.clone()));
        assert_eq!(Producer::kept(state.as_ref(), "b/u"), None);
        assert_eq!(Producer::kept(Some(&serde_json::json!({"x": 1})), "b/t"), None);
        producer.next.insert(3, i32::MAX);
        producer.advance(3, 2);
        assert_eq!(producer.numbers(3).first, 1);
    }
}
