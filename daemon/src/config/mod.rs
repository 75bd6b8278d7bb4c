//! The configuration: one TOML file, the environment and the flags, checked whole.
//!
//! Later sources win: built-in default, file, environment (`TRAILD_...`), flags. Every problem of all sources is reported at
//! once, unknown names with the line and the nearest known name. [`SETTINGS`] is the one table of what can be set.

mod file;
mod json;
mod load;
mod memory;
mod settings;
mod tables;
mod units;

pub use load::{ConfigError, Overrides};
pub use memory::memory_of_system;
pub use settings::{Config, LogFormat, SETTINGS, Setting};
pub(crate) use tables::is_key_id;
pub use tables::{KeyEntry, Scope, TrailEntry};
pub use units::{parse_duration, parse_size};
