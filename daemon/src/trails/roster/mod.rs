//! All trails: what can be done with them, what each is made of, and what is shown of it.

pub mod all;
pub mod backfill;
mod carry;
mod crew;
mod making;
pub mod status;
pub mod surroundings;
pub mod trail;
mod unread;
mod waiting;
