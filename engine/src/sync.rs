//! The door to the locks by which the threads of a log wait for each other.
//!
//! They are those of the standard library. With the feature `models` they are those of `shuttle`, whose scheduler lets one thread go on at a
//! time and chooses which at every step: so the tests in `tests/models.rs` run the code as it is through thousands of interleavings, each of
//! which can be repeated. There a wait has no end in time, so that a wake-up that is lost shows as a deadlock. Locks inside of which
//! nobody waits for anybody (caches, pools) are not of interest and are always the standard library's.

#[cfg(feature = "models")]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, mpsc};
#[cfg(feature = "models")]
pub(crate) use shuttle::thread::{Builder, JoinHandle};
#[cfg(not(feature = "models"))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, mpsc};
#[cfg(not(feature = "models"))]
pub(crate) use std::thread::{Builder, JoinHandle};
