//! Trails: what the log delivers to other places.
//!
//! Problem: events must reach object stores and log services completely, in order, once, whatever happens to the network, the sink or this
//! process; and none of that may slow down ingest. Mechanism: a trail is a filter, sinks, and for each sink a position in the log that is
//! kept durably. For each sink a worker reads the log behind its position ([`source`], once for all that are at the same place), cuts batches
//! ([`gather`]), and hands them to the sink one after the other, again and again until the sink says that it has them ([`worker`]); only then
//! the position moves. What a sink names is named by the batch, so that a repeat overwrites itself. Limits: a sink that cannot recognise repeats gets a batch again when
//! its answer was lost; a trail whose sink is away longer than the retention loses what is dropped, and says so.
//!
//! From top to bottom: [`roster`], all trails; [`trail`], one of them; [`worker`], one of its sinks; [`store`] and [`kept`], what survives a
//! restart; [`definition`], what its author writes; [`sink`], where events go.

pub mod archive;
pub mod backfill;
pub mod backoff;
pub mod definition;
pub mod gather;
pub mod kept;
pub mod keyring;
pub mod ledger;
pub mod live;
pub mod roster;
pub mod segments;
pub mod setting;
pub mod sink;
pub mod source;
pub mod status;
pub mod store;
pub mod tally;
pub mod trail;
pub mod worker;
