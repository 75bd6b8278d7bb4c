//! What an event is: its paths, its dimensions, its time, and how all of them are found in one pass over its text.

pub(crate) mod batch;
pub(crate) mod extract;
mod gather;
pub(crate) mod outline;
pub mod path;
pub(crate) mod plan;
mod reading;
pub(crate) mod scan;
pub mod schema;
pub(crate) mod shape;
mod shape_tree;
pub(crate) mod terms;
pub(crate) mod time;
mod tokens;
pub(crate) mod unescape;
pub(crate) mod values;

pub use batch::{Batch, Rejection};
pub use path::{Path, Step};
pub use reading::TermReader;
pub use schema::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Pick, Source, Take};
pub use time::{read_epoch, read_time};
