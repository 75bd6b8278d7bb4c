//! [`Format`]: how a batch becomes objects.

use serde_json::Value;
use trail_engine::id::{Day, Sequence, Timestamp};

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::store::Object;

/// What the name of an object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The number of its batch.
    pub number: u64,
    /// The first sequence that was looked at for it, where the name has that.
    pub first: Option<Sequence>,
    /// The last.
    pub last: Sequence,
}

/// How a batch is written. The same batch gives the same objects.
pub trait Format: Send + Sync + std::fmt::Debug {
    /// The objects of a batch, in the order in which they are put. Computes; called on a thread that may.
    ///
    /// # Errors
    /// [`Fault::refused`] when the batch cannot be written in this format.
    fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault>;

    /// The folder under which the objects of a trail are; `None` when their names do not say how far it got.
    fn folder(&self, trail: &str) -> Option<String>;

    /// What sorts before the names of all batches of a day and of later ones; `None` when names do not sort by their days.
    fn since(&self, _trail: &str, _day: Day) -> Option<String> {
        None
    }

    /// Whether names say the first sequence of a batch as well as the last: with that, and its origin, it can be held against the log.
    fn names_ranges(&self) -> bool {
        false
    }

    /// What the name of an object says of its batch; `None` when it is no object of this format, or its names do not say.
    fn mark(&self, key: &str) -> Option<Named>;

    /// Whether a name is one of this format.
    fn makes(&self, key: &str) -> bool {
        self.mark(key).is_some()
    }

    /// The objects that are due at a time whether there are events or not. Computes, and may read and write the keys of the trails; called
    /// on a thread that may.
    ///
    /// # Errors
    /// When they cannot be made.
    fn due(&self, _now: Timestamp) -> Result<Vec<Object>, Fault> {
        Ok(Vec::new())
    }

    /// Objects that this made have arrived. Gives what is to be kept with the position; `None` leaves what was kept.
    fn arrived(&self, _objects: &[Object], _now: Timestamp) -> Option<Value> {
        None
    }
}

/// One format.
#[derive(Debug)]
pub struct FormatKind {
    /// Its name.
    pub name: &'static str,
    /// Makes it for a sink.
    pub make: fn(&Order<'_>) -> Result<Box<dyn Format>, String>,
}
