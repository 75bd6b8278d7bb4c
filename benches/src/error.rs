//! [`CorpusError`]: what can be wrong with a corpus or with parameters.

use std::fmt;

/// A corpus that cannot be used, or parameters that do not fit together. The message says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusError {
    message: String,
}

impl CorpusError {
    pub(crate) fn new(message: impl Into<String>) -> CorpusError {
        CorpusError { message: message.into() }
    }
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CorpusError {}
