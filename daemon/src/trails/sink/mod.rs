//! Where events go.
//!
//! Problem: object stores and log services differ in what they take, how they fail and whether a repeat is harmless. Mechanism: one trait,
//! [`seam::Sink`], takes a batch and says what became of it; [`registry`] is the table of the kinds that there are, each in a file of its own
//! with its members and its defaults. The order, the retries and the position are the worker's, so that no sink has its own idea of them.

pub mod batch;
pub mod elasticsearch;
pub mod fault;
pub mod file;
pub mod http;
pub mod kind;
pub mod nats;
pub mod object;
pub mod otlp;
pub mod protobuf;
pub mod registry;
pub mod seam;
pub mod sls;
pub mod syslog;
pub mod webhook;
