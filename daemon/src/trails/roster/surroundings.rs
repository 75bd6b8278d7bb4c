//! [`Surroundings`]: what all trails share.

use std::sync::atomic::AtomicU64;

use trail_engine::event::DimensionSchema;

use crate::backend::Backend;
use crate::metrics::Metrics;
use crate::trails::keeping::keyring::Keyring;
use crate::trails::reading::source::Source;

/// What all trails share.
#[derive(Debug)]
pub struct Surroundings {
    /// The log.
    pub backend: Backend,
    /// The log as trails read it.
    pub source: Source,
    /// Its identity.
    pub identity: String,
    /// What is indexed of events.
    pub schema: DimensionSchema,
    /// The keys that sign digests.
    pub keyring: Keyring,
    /// The counters.
    pub metrics: Metrics,
    /// The number of the next worker.
    pub workers: AtomicU64,
}
