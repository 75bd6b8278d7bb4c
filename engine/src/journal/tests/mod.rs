//! Tests of the journal as a whole, on a disk in memory that fails and loses power on demand.

mod crashes;
mod damage;
mod disk;
mod golden;
mod log;
mod round_trips;
mod search;
