//! `nats`: messages of a NATS JetStream stream.
//!
//! [`sink`] publishes batches and waits for the stream's acknowledgements, over a [`session`] with a server; [`protocol`] is the part of
//! NATS's own protocol that publishing needs; [`probe`] finds out whether it would go well.

pub mod probe;
pub mod protocol;
pub mod session;
pub mod sink;
