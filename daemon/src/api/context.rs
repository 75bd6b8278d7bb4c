//! [`Context`]: what every handler can reach.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::trails::roster::all::Trails;

/// What every handler can reach.
#[derive(Debug)]
pub struct Context {
    /// The log.
    pub backend: Backend,
    /// What the log delivers; none on a server that only reads.
    pub trails: Option<Trails>,
    /// The settings.
    pub config: Arc<Config>,
    /// The counters.
    pub metrics: Metrics,
    /// The OpenAPI document, rendered.
    pub openapi: Bytes,
    /// Becomes true when the server stops: endless answers end then.
    pub stopping: watch::Receiver<bool>,
}
