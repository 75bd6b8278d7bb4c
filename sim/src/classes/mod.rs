//! The rows of the fault matrix that run in process, one file each.

mod class;
mod clock_jump;
mod expiry;
mod failed_call;
mod failed_sync;
mod format;
mod full_disk;
mod open_damage;
mod power_cut;
mod trusted_days;
mod wrong_byte;
mod wrong_page;

pub use class::{ALL, Class};
pub use power_cut::again;
