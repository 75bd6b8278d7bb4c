//! What operators write in a trail: [`members`], objects read strictly; [`secret`], values that are never shown again; [`watched`], files whose change is seen.

pub mod members;
pub mod secret;
pub mod watched;
