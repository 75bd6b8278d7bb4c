//! What of trails survives a restart: their files, what stands in them, who may change it, and the keys that lie beside them.

pub mod holds;
pub mod kept;
pub mod key_pair;
pub mod keyring;
pub mod ledger;
pub mod store;
