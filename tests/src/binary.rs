//! [`binary`]: the `traild` that is tested, and commands that run it.
//!
//! Cargo tells the path of a binary only to tests of its own package. So the binary is built once a process, by the cargo that runs
//! the tests, unless `TRAIL_TEST_BIN` names one. It is asked for as a by-product of a test of its package, over the whole workspace:
//! so cargo takes the same features as for all tests, and builds nothing twice. Limit: it is always built with the dev profile.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The root of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary under test.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("TRAIL_TEST_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--workspace", "--test", "http", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = command.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "cargo: {}", output.status);
    let messages = output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let binaries = messages.filter(|m| m["target"]["name"] == "traild" && m["target"]["kind"][0] == "bin");
    let path = binaries.filter_map(|m| m["executable"].as_str().map(PathBuf::from)).next_back();
    path.expect("cargo named no executable")
}

/// A command of the binary without any setting of the caller's environment.
pub fn traild() -> Command {
    clean(Command::new(binary()))
}

/// Takes every setting of `traild` out of the environment that a command will see.
#[must_use]
pub fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRAILD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end; the exit code, standard output and standard error.
///
/// # Panics
/// When it cannot be started or ends by a signal.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let code = status.code().unwrap_or_else(|| panic!("{command:?}: {status}"));
    (code, String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}
