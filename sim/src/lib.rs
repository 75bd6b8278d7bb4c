//! A simulated disk and clock, and the fault classes that the engine is put through on them.
//!
//! [`disk`] is the one simulated disk of the house: the engine's own tests use it too. [`classes`] are the rows of the fault matrix that run
//! in process; the binary `trail-sim` runs them, counts, and prints the table. Everything follows from a seed: a failure prints the command
//! that repeats it.

pub mod allocator;
pub mod classes;
pub mod clock;
pub mod contents;
pub mod damage;
pub mod disk;
pub mod kept;
pub mod ledger;
pub mod progress;
pub mod random;
pub mod released;
pub mod runner;
pub mod scenario;
pub mod subject;
pub mod table;
pub mod workload;

// The engine's unit tests read the room `disk` as one of their own, where this is their own room.
use trail_engine::storage;
