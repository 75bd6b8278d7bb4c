//! The `traild` that is measured: the one that is given, or a release build of this tree.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use trail_rig::Result;

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Finds it, or builds it.
///
/// # Errors
/// When it is not there, or cannot be built.
pub(crate) fn traild(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        let path = std::path::absolute(path)?;
        return if path.is_file() { Ok(path) } else { Err(format!("there is no {}", path.display()).into()) };
    }
    eprintln!("building traild");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", "traild", "--message-format", "json", "--manifest-path", TREE]);
    let out = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !out.status.success() {
        return Err("traild cannot be built".into());
    }
    let text = String::from_utf8(out.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.find(|path| path.ends_with("traild")).ok_or_else(|| "the build of traild made no program".into())
}
