//! Trails: what the log delivers to other places.
//!
//! Problem: events must reach object stores and log services completely, in order, once, whatever happens to the network, the sink or this
//! process; and none of that may slow down ingest. Mechanism: a trail is a filter, sinks, and for each sink a position in the log that is
//! kept durably. For each sink a worker reads the log behind its position ([`reading::source`], once for all that are at the same place), cuts batches
//! ([`reading::gather`]), and hands them to the sink one after the other, again and again until the sink says that it has them ([`work::worker`]); only then
//! the position moves. What a sink names is named by the batch, so that a repeat overwrites itself. Limits: a sink that cannot recognise repeats gets a batch again when
//! its answer was lost; a trail whose sink is away longer than the retention loses what is dropped, and says so.
//!
//! From top to bottom: [`roster`], all trails and each of them; [`work`], what delivers to one sink; [`reading`], the log as they read it; [`definition`],
//! what the author of a trail writes; [`sink`], where events go; [`keeping`], what survives a restart. [`archive`] reads back what a trail put somewhere.

pub mod archive;
pub mod definition;
pub mod keeping;
pub mod reading;
pub mod roster;
pub mod setting;
pub mod sink;
pub mod work;
