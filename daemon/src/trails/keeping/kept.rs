//! [`Kept`]: what of a trail survives a restart.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trail_engine::id::Sequence;

/// The version of the form in which trails are kept.
pub const VERSION: u32 = 1;

/// Whether a trail delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was never started.
    Fresh,
    /// It delivers.
    Enabled,
    /// It was stopped; its position stays.
    Disabled,
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Enabled => "enabled",
            State::Disabled => "disabled",
        }
    }
}

/// A batch that was begun: after a crash exactly these sequences are delivered again under the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The number of the batch.
    pub number: u64,
    /// The first sequence that was looked at.
    pub first: u64,
    /// The last sequence that was looked at.
    pub last: u64,
    /// The filter that its events passed: the trail may have another by now.
    #[serde(default)]
    pub filter: String,
}

/// How far one sink got.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Everything up to this sequence that matches is in the sink or in the dead letters; `None` before the first start.
    pub position: Option<u64>,
    /// The number of the last batch.
    pub number: u64,
    /// The UTC day of the last batch, in days since the epoch: a sink that says how far it got is asked from there on.
    pub day: Option<i32>,
    /// A batch that was begun and of which it is not known whether it arrived.
    pub pending: Option<Pending>,
    /// Events that arrived.
    pub delivered_events: u64,
    /// Objects or requests that they took.
    pub delivered_objects: u64,
    /// Bytes of these.
    pub delivered_bytes: u64,
    /// Events that the sink refused for good.
    pub dead_letters: u64,
    /// Sequences that were dropped or damaged before they could be delivered.
    pub lost_sequences: u64,
    /// When the last batch arrived, in milliseconds since the epoch.
    pub last_delivery_at_ms: Option<i64>,
    /// What the sink itself must know.
    pub sink: Option<Value>,
}

/// A past range that is delivered again or for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// Its number within the trail, from 1.
    pub id: u64,
    /// The range as it was asked for, in milliseconds since the epoch: received from ...
    pub from_ms: i64,
    /// ... until before.
    pub to_ms: i64,
    /// Its first sequence.
    pub first: u64,
    /// Its last sequence.
    pub last: u64,
    /// Whether it was cancelled; it can go on.
    pub cancelled: bool,
    /// How far each sink got.
    pub sinks: Vec<Progress>,
}

impl Backfill {
    /// Whether every sink has all of it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sinks.iter().all(|sink| sink.position.is_some_and(|position| position >= self.last))
    }
}

/// A trail as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// [`VERSION`].
    pub version: u32,
    /// Its definition, as [`crate::trails::definition::Definition::kept`] writes it.
    pub definition: Value,
    /// Whether it delivers.
    pub state: State,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// When it was started or stopped last.
    pub changed_at_ms: i64,
    /// How far each sink got, in the order of the definition.
    pub sinks: Vec<Progress>,
    /// How many backfills were made; their numbers are never given again.
    #[serde(default)]
    pub backfills_made: u64,
    /// Past ranges, the oldest job first.
    #[serde(default)]
    pub backfills: Vec<Backfill>,
}

impl Kept {
    /// A trail that was never started.
    #[must_use]
    pub fn fresh(definition: Value, sinks: usize, now_ms: i64) -> Kept {
        Kept {
            version: VERSION,
            definition,
            state: State::Fresh,
            created_at_ms: now_ms,
            changed_at_ms: now_ms,
            sinks: vec![Progress::default(); sinks],
            backfills_made: 0,
            backfills: Vec::new(),
        }
    }
}

impl Progress {
    /// The position as a sequence, 0 before the first event.
    #[must_use]
    pub fn after(&self) -> Sequence {
        Sequence(self.position.unwrap_or(0))
    }
}
