//! Commands that show a figure or a list that a server answers with.

pub mod count;
pub mod histogram;
pub mod segments;
pub mod stats;
pub mod terms;
