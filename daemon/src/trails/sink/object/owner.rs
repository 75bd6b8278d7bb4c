//! Which log delivers a trail to a place, and how far it got, said there: `traild-owner-TRAIL.json`.
//!
//! Sequences begin anew in every log, and so do the numbers and ids in the names of objects: two logs that deliver a trail of one name to one place would
//! take each other's objects for their own, or overwrite them. Where neither the names of objects nor the store say of which batch they are, as in a folder or in
//! the layouts of vendors, the last batch is noted with it after each. Limits: read and then written, so that two logs that begin in the same moment are told apart only by what
//! each object says of its origin, where the store keeps that.

use bytes::Bytes;
use serde_json::{Value, json};
use trail_engine::id::Sequence;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::store::{Object, ObjectStore};
use crate::trails::sink::seam::{Mark, Origin};

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

/// How far a log got, and the object that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The last batch.
    pub mark: Mark,
    /// Its object.
    pub key: String,
}

/// What a place says of who delivers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The number of the last object that was there when this log began to deliver this.
    pub before: u64,
    /// How far it got since, where that is noted.
    pub note: Option<Note>,
}

impl Owner<'_> {
    /// Says who delivers to a place. `found` is the number of the last object that is there now, as far as names say it.
    ///
    /// # Errors
    /// For an operator when another log delivers there; when the store cannot be asked.
    pub async fn claim(&self, store: &dyn ObjectStore, found: u64) -> Result<Claim, Fault> {
        let Owner { log, trail, purpose } = self;
        let key = self.key();
        let mut before = found;
        if let Some(bytes) = store.get(&key).await? {
            let owner: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let says = |member: &str| owner.get(member).and_then(Value::as_str).unwrap_or_default();
            if says("log") != *log {
                let place = store.place();
                return Err(Fault::setup(format!(
                    "another log delivers a trail `{trail}` to {place}: give this one another name or prefix, or remove {key} there if that log is gone"
                )));
            }
            let note = owner.get("last").and_then(read);
            if says("purpose") == *purpose {
                let before = owner.get("number").and_then(Value::as_u64).unwrap_or(u64::MAX);
                return Ok(Claim { before, note });
            }
            before = before.max(note.map_or(0, |note| note.mark.number));
        }
        self.put(store, before, None).await?;
        Ok(Claim { before, note: None })
    }

    /// Notes how far this log got, behind what was there `before`.
    ///
    /// # Errors
    /// When it is not sure that this is there.
    pub async fn note(&self, store: &dyn ObjectStore, before: u64, note: &Note) -> Result<(), Fault> {
        self.put(store, before, Some(note)).await
    }

    fn key(&self) -> String {
        format!("{OWNER}{}.json", self.trail)
    }

    async fn put(&self, store: &dyn ObjectStore, before: u64, note: Option<&Note>) -> Result<(), Fault> {
        let mut owner = json!({ "log": self.log, "trail": self.trail, "purpose": self.purpose, "number": before });
        if let Some(note) = note {
            owner["last"] = written(note);
        }
        let object =
            Object { key: self.key(), bytes: Bytes::from(owner.to_string()), content_type: "application/json", metadata: Vec::new() };
        if let Err(fault) = store.put(&object).await {
            // What came altered would be another log's at the next attempt.
            let _ = store.remove(&object.key).await;
            return Err(fault);
        }
        Ok(())
    }
}

fn written(Note { mark, key }: &Note) -> Value {
    let (first, hash) = mark.origin.as_ref().map(|origin| (origin.first.0, &origin.hash)).unzip();
    json!({ "number": mark.number, "first": first, "last": mark.last.0, "origin": hash, "key": key })
}

fn read(note: &Value) -> Option<Note> {
    let number = |member: &str| note.get(member).and_then(Value::as_u64);
    let text = |member: &str| note.get(member).and_then(Value::as_str).map(str::to_owned);
    let origin = number("first").zip(text("origin")).map(|(first, hash)| Origin { first: Sequence(first), hash });
    Some(Note { mark: Mark { number: number("number")?, last: Sequence(number("last")?), origin }, key: text("key")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let origin = Some(Origin { first: Sequence(5), hash: "ab".into() });
        let note = Note { mark: Mark { number: 41, last: Sequence(99), origin }, key: "t/x".into() };
        assert_eq!(read(&written(&note)), Some(note.clone()));
        let unknown = Note { mark: Mark { origin: None, ..note.mark }, ..note };
        assert_eq!(read(&written(&unknown)), Some(unknown));
        for other in [json!({}), json!({"number": 1, "last": 2}), json!({"number": -1, "last": 2, "key": ""}), json!(7)] {
            assert_eq!(read(&other), None, "{other}");
        }
    }
}
