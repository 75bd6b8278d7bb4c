//! All trails: what can be done with them, what each is made of, and what is shown of it.

pub mod all;
pub mod backfill;
pub mod status;
pub mod trail;
