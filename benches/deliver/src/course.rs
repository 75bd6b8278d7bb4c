//! The course: each part on a server of its own, a table as it goes.

use std::path::PathBuf;

use trail_rig::{Result, now};

use crate::arguments::Arguments;
use crate::ground::Ground;
use crate::{beside_ingest, catching_up, full_ingest, prompt, sealed};

/// Measures one part, and prints its rows.
type Part = fn(&Ground<'_>) -> Result<()>;

/// Measures and prints.
///
/// # Errors
/// For what cannot be started or stored, and for everything that is not delivered exactly once.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let beside = |given: &Option<PathBuf>, name: &str, package: &str| given.clone().map_or_else(|| beside_this(name, package), Ok);
    let ground =
        Ground { arguments, binary: beside(&arguments.binary, "traild", "traild")?, load: beside(&arguments.load, "load", "trail-load")? };
    let start = now();
    println!("## Deliveries of {} events\n\n| | measured | wanted |\n|---|---|---|", trail_rig::grouped(arguments.events));
    let parts: [(&str, Part); 6] = [
        ("folder", catching_up::one_trail),
        ("filters", catching_up::ten_trails),
        ("segments", sealed::measure),
        ("ingest", beside_ingest::measure),
        ("full", full_ingest::measure),
        ("service", prompt::measure),
    ];
    for (name, measure) in parts.into_iter().filter(|(name, _)| arguments.wants(name)) {
        eprintln!("{:.0} s: {name}", start.elapsed().as_secs_f64());
        measure(&ground).map_err(|failure| format!("{name}: {failure}"))?;
    }
    Ok(())
}

fn beside_this(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("there is no {}: run `cargo build --release -p {package}`, or say where it is", path.display()).into())
}
