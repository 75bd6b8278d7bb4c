//! What the end-to-end tests share: the binary, a server as a process, an HTTP client of a few lines, the corpus, seeds, and the
//! reader of `use` lines.

pub mod binary;
pub mod client;
pub mod fixtures;
pub mod flaky;
pub mod house;
pub mod ledger;
pub mod load;
pub mod moto;
pub mod mounts;
pub mod python;
pub mod readme;
pub mod scene;
pub mod seed;
pub mod server;
pub mod strace;
pub mod table;
pub mod victim;
