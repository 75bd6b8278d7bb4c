//! Tests of the journal as a whole, on a disk in memory that fails and loses power on demand.

mod ahead;
mod crashes;
mod damage;
#[expect(dead_code, unused_imports, unreachable_pub, reason = "the house's one simulated disk, of which the journal needs a part")]
#[path = "../../../../sim/src/disk/mod.rs"]
mod disk;
mod golden;
mod log;
mod round_trips;
mod search;
