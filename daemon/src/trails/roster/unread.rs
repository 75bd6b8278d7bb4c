//! [`Unread`]: a trail that is there and cannot be taken up, shown all the same, so that somebody mends it.

use serde_json::{Value, json};
use trail_engine::error::Error;

use crate::trails::keeping::kept::Kept;

/// A trail that is there and cannot be taken up.
#[derive(Debug)]
pub(super) struct Unread {
    /// Why, and what to do.
    pub(super) problem: String,
    /// What is kept of it, where its definition alone no longer reads; `None` when its file is damaged.
    pub(super) kept: Option<Kept>,
}

impl Unread {
    /// One whose file is damaged.
    pub(super) fn damaged(problem: String) -> Unread {
        Unread { problem, kept: None }
    }

    /// One whose definition no longer reads.
    pub(super) fn unreadable(problem: String, kept: Kept) -> Unread {
        Unread {
            problem: format!("the definition does not read any more; change it with PUT, or in the configuration: {problem}"),
            kept: Some(kept),
        }
    }

    fn state(&self) -> &'static str {
        if self.kept.is_none() { "damaged" } else { "unreadable" }
    }

    /// What is shown of it.
    pub(super) fn shown(&self, name: &str) -> Value {
        json!({ "name": name, "state": self.state(), "problem": self.problem, "sinks": [] })
    }

    /// Said to who wants to do with it what only a whole trail can.
    pub(super) fn refusal(&self, name: &str) -> Error {
        Error::invalid(format!("trail `{name}` is {}: {}", self.state(), self.problem))
    }
}
