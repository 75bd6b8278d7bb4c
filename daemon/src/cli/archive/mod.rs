//! Commands about archives: [`command`], what is in one and whether it is whole; [`restore`], a data directory made of one; [`place`], where it is.

pub mod command;
pub mod place;
pub mod restore;
