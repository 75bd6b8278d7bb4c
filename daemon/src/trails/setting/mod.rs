//! What operators write in a trail: [`members`], objects read strictly; [`secret`], values that are never shown again.

pub mod members;
pub mod secret;
