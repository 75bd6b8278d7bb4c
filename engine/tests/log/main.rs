//! The whole engine through its public face: what a caller may rely on, in memory and on a file system.
//!
//! Every generated test prints its seed when it fails; `TRAIL_SEED` repeats it, `TRAIL_FILTERS` sets how many filters are asked.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alone;
mod compaction;
mod concurrent;
mod damaged;
mod faults;
mod golden;
mod inspect;
mod lifecycle;
mod oracle;
mod repair;
mod roundtrip;
mod shared;
mod strays;
mod support;
mod unique;
