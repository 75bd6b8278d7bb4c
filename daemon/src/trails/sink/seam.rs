//! [`Sink`]: the seam between the worker of a trail and where its events go.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use trail_engine::id::{Day, Sequence, Timestamp};
use trail_engine::{SegmentInfo, View};

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;

/// Work of a sink. Dropping it may leave the work half done; the same is then asked for again.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// What a sink takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Batches of events, by [`Sink::deliver`].
    Events,
    /// Sealed segments as they are, by [`Sink::deliver_segments`].
    Segments,
}

/// An event that a sink will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// What became of a delivery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivered {
    /// How many objects or requests it took.
    pub objects: u64,
    /// How many bytes were sent, as the sink sees them.
    pub bytes: u64,
    /// Events that were refused for good; all others arrived.
    pub refused: Vec<Refusal>,
    /// What the sink must know after a restart, kept together with the position; `None` leaves what was kept.
    pub state: Option<Value>,
}

/// How far a sink got, as its own names say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The number of its last batch.
    pub number: u64,
    /// The last sequence of it.
    pub last: Sequence,
    /// Of which log it is, where that can be told.
    pub origin: Option<Origin>,
}

/// How a batch can be held against the log: whether it is really of this one, and not of one that was set back since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The first sequence that was looked at for it.
    pub first: Sequence,
    /// The hash of its first event: [`origin_of`].
    pub hash: String,
}

/// The hash of an event by which a batch that begins with it is known: the first half of its SHA-256, in hex.
#[must_use]
pub fn origin_of(event: &[u8]) -> String {
    Sha256::digest(event).iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// A sealed segment, and its file.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// What is known of it.
    pub info: SegmentInfo,
    /// The bytes of its file.
    pub file: View,
}

/// A place that takes events. One worker calls it, one call at a time, in the order of the sequences.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// What it takes.
    fn feed(&self) -> Feed {
        Feed::Events
    }

    /// Whether it keeps batches under names of their own: then a batch is noted before it is sent, so that after a crash the same
    /// sequences are sent under the same number.
    fn names_batches(&self) -> bool {
        false
    }

    /// Delivers a batch. A repeat of the same batch must be harmless where the place allows it.
    ///
    /// # Errors
    /// When not all of it arrived; then the whole is asked for again. Events that will never be taken are no error but part of the answer.
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered>;

    /// Delivers sealed segments of one day, at least one, in the order of their sequences; only asked of those with [`Feed::Segments`].
    ///
    /// # Errors
    /// As [`Sink::deliver`].
    fn deliver_segments<'a>(&'a self, _segments: &'a [Sealed]) -> Work<'a, Delivered> {
        Box::pin(async { Err(Fault::refused("no segment can be delivered here")) })
    }

    /// Whether the sink is set up well: does what a delivery does, as far as the protocol lets that leave nothing behind which a reader takes for an event.
    ///
    /// # Errors
    /// With what must be mended.
    fn probe(&self) -> Work<'_, ()>;

    /// How far the sink got before, for a trail that begins and may have lost its position or be set back; `None` where the sink cannot tell, or has nothing
    /// from that day on, which is the one of the last batch that the trail knows of.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn mark<'a>(&'a self, _trail: &'a str, _since: Option<Day>) -> Work<'a, Option<Mark>> {
        Box::pin(async { Ok(None) })
    }

    /// What is due at a time whether there are events or not, such as an hourly digest. Asked for at least once a minute.
    ///
    /// # Errors
    /// As [`Sink::deliver`].
    fn upkeep(&self, _now: Timestamp) -> Work<'_, Delivered> {
        Box::pin(async { Ok(Delivered::default()) })
    }
}
