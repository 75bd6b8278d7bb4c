//! [`Wrong`]: what is wrong, by the column of the table in which it counts.

use std::fmt;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// An acknowledged event is gone.
    Lost(String),
    /// An event is not what was sent, stands twice, at another place, or was never sent.
    Altered(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Wrong::Lost(text) | Wrong::Altered(text) | Wrong::Other(text)) = self;
        f.write_str(text)
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Wrong {
        Wrong::Other(text)
    }
}
