//! Sinks that keep objects under names: a folder, a bucket, a container.
//!
//! Problem: a reader of a bucket must see objects in their order and miss none, and a repeat after a crash must not leave two. Mechanism:
//! [`mod@format`] turns a batch into objects whose names and bytes follow from the batch alone, with dense numbers that sort; [`store`] puts
//! bytes under a name; [`sink`] joins the two. Limits: whoever else writes under the same prefix can confuse readers, not the trail.

pub mod actiontrail;
pub mod cloudtrail;
pub mod digest;
pub mod folder;
pub mod format;
pub mod formats;
pub mod layout;
pub mod manifest;
pub mod ndjson;
pub mod owner;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod probe;
#[cfg(feature = "object-stores")]
pub mod remote;
#[cfg(test)]
mod sample;
pub mod segments;
pub mod sink;
pub mod store;
