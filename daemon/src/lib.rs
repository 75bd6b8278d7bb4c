//! `traild` as a library: the server, the command line, and what they share.
//!
//! Rooms, from top to bottom; imports only run down: [`cli`] -> [`server`] -> [`api`] -> [`backend`] -> the engine.
//! [`config`], [`keys`], [`metrics`] and [`nearest`] are the ground that all of them stand on; [`dialect`] is data.

pub mod api;
pub mod backend;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod keys;
pub mod metrics;
pub mod nearest;
pub mod server;
