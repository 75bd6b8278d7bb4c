//! What delivers to one sink: again and again until it is there, and what is known and counted of it meanwhile.

pub mod backoff;
mod beginning;
pub mod live;
pub mod segments;
pub mod sending;
pub mod tally;
pub mod worker;
