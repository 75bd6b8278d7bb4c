//! What the end-to-end tests share: the binary, a server as a process, an HTTP client of a few lines, the corpus, seeds, and the
//! reader of `use` lines.

pub mod binary;
pub mod cage;
pub mod client;
pub mod cut;
pub mod delivery;
pub mod fixtures;
pub mod flaky;
pub mod house;
pub mod kafka;
pub mod kept;
pub mod ledger;
pub mod life;
pub mod load;
pub mod moto;
pub mod mounts;
pub mod nats;
pub mod old_day;
pub mod otlp;
pub mod power;
pub mod protobuf;
pub mod putlogs;
pub mod python;
pub mod readme;
pub mod receiver;
pub mod recorder;
pub mod rsyslog;
pub mod scene;
pub mod seed;
pub mod server;
pub mod shelf;
pub mod strace;
pub mod syslogd;
pub mod table;
pub mod victim;
pub mod wrong;
