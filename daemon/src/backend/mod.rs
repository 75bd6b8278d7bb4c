//! The only place where async meets the engine.
//!
//! Problem: the engine blocks (it computes and reads files), the server must not. Mechanism: every call of the engine runs on a
//! bounded number of blocking threads, queries apart from ingest so that neither starves the other (`schedule` says how many there are
//! of which kind, and why); appends are handed to the engine's writer, whose answer comes back through a channel. A query whose client
//! went away is cancelled. A log that nobody asks for a minute lets its caches go. Bodies are paid
//! for from one budget of bytes before they are read, answers from another before they are sent. Limits: what does not fit into a pool's queue or the budget is refused
//! as busy, it never waits unbounded.

mod background;
mod budget;
mod engine;
mod hands;
mod lanes;
mod line;
mod pool;
mod rest;
mod schedule;
mod space;

pub use background::Background;
pub use budget::{ByteBudget, Reservation};
pub use engine::{Appended, Backend, Rejected};
pub use hands::Hands;
pub use lanes::Lanes;
pub use pool::Pool;
pub use schedule::Schedule;
pub use space::Space;
