//! What the end-to-end tests share: the binary, a server as a process, an HTTP client of a few lines, the corpus, seeds, and the
//! reader of `use` lines.

pub mod binary;
pub mod cage;
pub mod client;
pub mod fixtures;
pub mod house;
pub mod kept;
pub mod ledger;
pub mod life;
pub mod load;
pub mod mounts;
pub mod old_day;
pub mod power;
pub mod readme;
pub mod recorder;
pub mod scene;
pub mod seed;
pub mod server;
pub mod strace;
pub mod table;
pub mod victim;
