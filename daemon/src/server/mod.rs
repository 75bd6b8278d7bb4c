//! The HTTP server: connections and their limits, who may do what, and the way to stop.
//!
//! [`Server`] binds and opens the log, [`serve`] does all of it. The head of every request is looked at by `heads`; then `front` takes the request through `observe` (id, metrics, access log,
//! shape of errors, guard against foreign web pages) and then, once its route is known, through `gate` (keys and scopes).

mod auth;
mod connection;
mod descriptors;
mod failures;
mod front;
mod gate;
mod heads;
mod listen;
mod logs;
mod observe;
mod origin;
mod router;

pub use listen::{ServeError, Server, serve};
pub use logs::init as init_logs;
