//! HTTP as the log services speak it.
//!
//! Problem: every service is a POST that may be slow, redirected, refused, answered in part or not at all, and each sink would have its own idea of
//! that. Mechanism: [`address`] takes a URL apart and keeps out what must not be in one; [`tls`] and [`connection`] make a connection within a
//! time; [`caller`] sends one request at a time over a kept connection and reads a bounded answer; [`verdict`] says what a status means.
//! Limits: HTTP/1.1 only, no redirects, no proxies, no compressed answers.

pub mod address;
pub mod caller;
pub mod connection;
pub mod members;
pub mod tls;
pub mod verdict;
