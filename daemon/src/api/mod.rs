//! The HTTP interfaces: the native one, and what all of them share.
//!
//! [`native::routes`] is a table; the server makes its router from it and [`openapi`] its document, so that neither can say
//! something else than the other. Interfaces never import each other.

pub mod body;
pub mod cloudtrail;
pub mod context;
pub mod encoding;
pub mod native;
pub mod openapi;
pub mod paid;
pub mod params;
pub mod refusal;
pub mod route;
pub mod split;
pub mod stream;
