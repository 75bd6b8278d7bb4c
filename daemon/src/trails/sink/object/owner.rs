//! Which log delivers a trail to a place, said there once: `traild-owner-TRAIL.json`.
//!
//! Sequences begin anew in every log, and so do the numbers and ids in the names of objects: two logs that deliver a trail of one name to one place would
//! take each other's objects for their own, or overwrite them. Limits: read and then written, so that two logs that begin in the same moment are told apart only by what
//! each object says of its origin, where the store keeps that.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::store::{Object, ObjectStore};

/// What the name of the object begins with.
const OWNER: &str = "traild-owner-";

/// Who delivers what.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The identity of the log.
    pub log: &'a str,
    /// The name of the trail.
    pub trail: &'a str,
    /// What is delivered, and from where.
    pub purpose: &'a str,
}

impl Owner<'_> {
    /// Says who delivers to a place; the number of the last object that was there when this log began to deliver this. `found` is that of the last
    /// object that is there now.
    ///
    /// # Errors
    /// For an operator when another log delivers there; when the store cannot be asked.
    pub async fn claim(&self, store: &dyn ObjectStore, found: u64) -> Result<u64, Fault> {
        let Owner { log, trail, purpose } = self;
        let key = format!("{OWNER}{trail}.json");
        if let Some(bytes) = store.get(&key).await? {
            let owner: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let says = |member: &str| owner.get(member).and_then(Value::as_str).unwrap_or_default();
            if says("log") != *log {
                let place = store.place();
                return Err(Fault::setup(format!(
                    "another log delivers a trail `{trail}` to {place}: give this one another name or prefix, or remove {key} there if that log is gone"
                )));
            }
            if says("purpose") == *purpose {
                return Ok(owner.get("number").and_then(Value::as_u64).unwrap_or(u64::MAX));
            }
        }
        let owner = json!({ "log": log, "trail": trail, "purpose": purpose, "number": found });
        let object = Object { key, bytes: Bytes::from(owner.to_string()), content_type: "application/json", metadata: Vec::new() };
        if let Err(fault) = store.put(&object).await {
            // What came altered would be another log's at the next attempt.
            let _ = store.remove(&object.key).await;
            return Err(fault);
        }
        Ok(found)
    }
}
