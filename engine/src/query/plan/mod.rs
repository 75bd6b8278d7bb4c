//! From a filter to the documents of each part: [`steps`] orders the work by what it costs, [`evaluate`] does it, [`part`] goes through
//! the parts of the log, [`explain`] tells.

pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod part;
pub(crate) mod steps;
