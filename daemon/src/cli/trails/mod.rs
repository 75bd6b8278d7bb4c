//! `traild trail`: what the log delivers to other places.

pub mod command;
pub mod definition;
pub mod shown;
