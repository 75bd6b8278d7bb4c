//! The native HTTP API, version 1: one file a subject, one table of routes.

mod aggregate;
mod digest_keys;
mod health;
mod incomplete;
mod ingest;
mod opening;
mod outcome;
mod page;
mod parameters;
mod range;
mod routes;
mod search;
mod segments;
mod tail;
mod trails;

pub use ingest::store;
pub use opening::while_opening;
pub use routes::routes;
