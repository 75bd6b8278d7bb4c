//! `kafka`: records of a Kafka topic, each once.
//!
//! Problem: a request whose answer was lost must not make records twice, and the order within a partition must be that of the trail. Mechanism:
//! [`sink`] gives every event a key, and with it a partition ([`partition`]), cuts a batch by partition ([`parting`]) and sends it as an idempotent producer ([`producer`]): the
//! brokers know a repeat by its numbers. [`cluster`] knows who leads which partition and keeps a [`session`] with each broker that does, past its
//! [`door`] by [`login`] and, where asked for, [`scram`]. [`frame`], [`wire`], [`messages`] and [`records`] are the bytes; [`codes`] says what an error of a broker means.
//! Limits: brokers from Kafka 2.5 on; one topic; no transactions, no Kerberos, no client certificates.

pub mod cluster;
pub mod codes;
pub mod door;
pub mod frame;
pub mod login;
pub mod messages;
pub mod parting;
pub mod partition;
pub mod producer;
pub mod records;
pub mod scram;
pub mod session;
pub mod sink;
pub mod wire;
