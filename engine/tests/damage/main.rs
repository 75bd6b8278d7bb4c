//! Every file of a log, damaged byte by byte and cut short: right answers, or an error or report that says where; never a panic, a
//! changed event, a loss that nobody is told of, or an allocation that the file does not justify.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocator;
#[expect(dead_code, reason = "the clock stands still here")]
#[path = "../log/support/clock.rs"]
mod clock;
mod directory;
mod judge;
#[expect(dead_code, reason = "the disk itself has no faults here")]
#[path = "../log/support/memory.rs"]
mod memory;
#[path = "../log/support/random.rs"]
mod random;
mod sweep;
