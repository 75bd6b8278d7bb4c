//! The native HTTP API, version 1: one file a subject, one table of routes.

mod aggregate;
mod health;
mod incomplete;
mod ingest;
mod outcome;
mod page;
mod parameters;
mod range;
mod routes;
mod search;
mod segments;
mod tail;

pub use routes::routes;
