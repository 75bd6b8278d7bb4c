//! An append-only, segmented, indexed log engine for audit events.

#![deny(missing_docs)]

pub mod audit_log;
pub mod budget;
pub mod clock;
pub(crate) mod codec;
pub mod error;
pub mod event;
pub(crate) mod head;
pub mod id;
pub mod index;
pub(crate) mod journal;
pub(crate) mod lifecycle;
pub mod limits;
pub mod matcher;
pub mod options;
pub mod query;
pub(crate) mod segment;
pub(crate) mod shred;
pub mod status;
pub mod storage;
pub mod threads;

pub use audit_log::AuditLog;
pub use error::{Error, ErrorKind, Result};
pub use event::{Batch, Rejection};
pub use lifecycle::commit::{OnDone, Receipt};
pub use options::Options;
pub use status::{DimensionInfo, Health, SegmentInfo, Stats};
pub use storage::View;
