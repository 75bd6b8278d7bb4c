//! [`Parting`]: a batch cut into a part for each partition, written as the brokers keep it.
//!
//! What of the batch is there already is left out: [`Arrived`] knows it by the last sequence of each partition, which is enough because the events of a partition go
//! in order.

use std::collections::BTreeMap;

use trail_engine::id::Sequence;

use crate::trails::setting::members::Members;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::event_id::event_id;
use crate::trails::sink::kafka::partition::{Key, of_key};
use crate::trails::sink::kafka::producer::Producer;
use crate::trails::sink::kafka::records::{self, Numbers, Packing, Record};

/// How events become parts.
#[derive(Debug, Clone)]
pub struct Parting {
    trail: String,
    key: Key,
    /// The one partition of all events; `None` goes by the key.
    pub partition: Option<i32>,
    packing: Packing,
}

/// What of a batch is there.
#[derive(Debug, Default, Clone)]
pub struct Arrived {
    /// The number of the batch.
    pub number: u64,
    /// The last sequence, for each partition that has some of it.
    pub last: BTreeMap<i32, Sequence>,
}

/// The events of a batch for one partition.
#[derive(Debug)]
pub struct Part {
    /// The partition.
    pub partition: i32,
    /// Their places in the batch.
    pub places: Vec<usize>,
    /// The last of their sequences.
    pub last: Sequence,
    /// What is sent.
    pub records: Vec<u8>,
}

impl Parting {
    /// How the members of a definition want it.
    #[must_use]
    pub fn read(trail: &str, members: &Members<'_>) -> Parting {
        Parting {
            trail: trail.to_owned(),
            key: if members.text("key") == Some("id") { Key::Id } else { Key::Sequence },
            partition: members.number("partition").and_then(|partition| i32::try_from(partition).ok()),
            packing: match members.text("compression") {
                Some("none") => Packing::None,
                Some("gzip") => Packing::Gzip,
                _ => Packing::Zstd,
            },
        }
    }

    /// The parts of a batch that are not there yet.
    ///
    /// # Errors
    /// When records cannot be packed.
    pub fn parts(&self, batch: &Batch, partitions: usize, arrived: &Arrived, producer: Option<&Producer>) -> std::io::Result<Vec<Part>> {
        let keys: Vec<Vec<u8>> = batch.events.iter().map(|event| self.key.of(&self.trail, event, event_id)).collect();
        let mut places: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (place, (event, key)) in batch.events.iter().zip(&keys).enumerate() {
            let partition = self.partition.unwrap_or_else(|| i32::try_from(of_key(key, partitions)).unwrap_or(0));
            if arrived.last.get(&partition).is_none_or(|last| event.sequence > *last) {
                places.entry(partition).or_default().push(place);
            }
        }
        let part = |(partition, places): (i32, Vec<usize>)| {
            let events = places.iter().filter_map(|place| Some((batch.events.get(*place)?, keys.get(*place)?)));
            let all: Vec<Record<'_>> = events.map(|(event, key)| Record { key, event, trail: &self.trail }).collect();
            let numbers = producer.map_or(Numbers::NONE, |producer| producer.numbers(partition));
            let last = all.last().map_or(Sequence::ZERO, |record| record.event.sequence);
            let records = records::batch(&all, numbers, self.packing)?;
            Ok(Part { partition, last, records, places })
        };
        places.into_iter().map(part).collect()
    }
}
