//! The small corpus that the tests stand on.

use std::path::PathBuf;

use crate::binary::root;

/// The files of events that must all be accepted.
pub const GOOD: [&str; 5] = ["cloudtrail", "actiontrail", "k8s_audit", "gcp_audit", "edge"];

/// A time range that no event is out of, as parameters.
pub const ALWAYS: &str = "from=1700-01-01T00:00:00Z&to=2200-01-01T00:00:00Z";

/// A file of the corpus.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    root().join(format!("tests/fixtures/corpus/{name}.ndjson"))
}

/// Its bytes.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Its lines without the space around them, blank ones too; split at line feeds only.
#[must_use]
pub fn lines(name: &str) -> Vec<Vec<u8>> {
    let bytes = bytes(name);
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    text.split(|b| *b == b'\n').map(|line| line.trim_ascii().to_vec()).collect()
}
