//! Programs of the Python packages that the tests use as the other side, at the versions of `tests/requirements.txt`.
//!
//! They stand in a folder of their own, which `tests/run` fills; `TRAIL_TEST_PYTHON` names another.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::binary::root;
use crate::table;

/// The class of what is delivered.
const DELIVERIES: u32 = 14;

/// The folder with the programs of the packages, whether they are installed or not.
#[must_use]
pub fn programs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::env::var_os("TRAIL_TEST_PYTHON").map_or_else(|| target.join("python"), PathBuf::from).join("bin")
}

/// A program of the packages; `None` when it is not installed.
#[must_use]
pub fn program(name: &str) -> Option<Command> {
    let path = programs().join(name);
    let mut command = Command::new(&path);
    command.stdin(Stdio::null());
    path.exists().then_some(command)
}

/// Says that a test cannot run, because a program is not there: in the one table, where everybody sees it, under the name of the test's file.
///
/// # Panics
/// When `CI=true`: what is not tested there is tested nowhere.
pub fn skip(name: &str) {
    let program = std::env::current_exe().unwrap();
    let stem = program.file_stem().unwrap().to_string_lossy();
    // Behind the name stands the hash of the build.
    let file = stem.rsplit_once('-').map_or(&*stem, |(file, _)| file);
    table::skip(DELIVERIES, file, &format!("{name} is not installed; tests/run does it"));
}
