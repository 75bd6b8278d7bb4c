//! Where events go.
//!
//! Problem: object stores and log services differ in what they take, how they fail and whether a repeat is harmless. Mechanism: one trait,
//! [`seam::Sink`], takes a batch and says what became of it; [`registry`] is the table of the kinds that there are, each in a file of its own
//! with its members and its defaults. The order, the retries and the position are the worker's, so that no sink has its own idea of them.

#[cfg(feature = "object-stores")]
pub mod azblob;
pub mod batch;
pub mod discreet;
pub mod elasticsearch;
pub mod event_id;
pub mod fault;
pub mod file;
#[cfg(feature = "object-stores")]
pub mod gcs;
pub mod http;
pub mod kafka;
pub mod kind;
pub mod nats;
pub mod object;
#[cfg(feature = "object-stores")]
pub mod oss;
pub mod otlp;
pub mod protobuf;
pub mod registry;
#[cfg(feature = "object-stores")]
pub mod s3;
pub mod seam;
pub mod sls;
pub mod syslog;
pub mod webhook;
