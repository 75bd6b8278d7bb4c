//! Log lines: to stderr, as text or JSON, chosen by level and target.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat};

/// Starts logging for the whole process, by `log_level` and `log_format`.
///
/// # Errors
/// A sentence when the level cannot be read or logging was started before.
pub fn init(config: &Config) -> Result<(), String> {
    let targets: Targets = config.log_level.parse().map_err(|e| format!("`log_level`: {e}"))?;
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|e| e.to_string())
}
