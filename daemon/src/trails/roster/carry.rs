//! What the sinks of a trail that was changed go on from.

use serde_json::Value;
use trail_engine::event::DimensionSchema;

use crate::trails::definition::Definition;
use crate::trails::keeping::kept::{Kept, Progress};

/// The sinks of a definition as it is shown, without how they are batched.
fn sinks_of(shown: &Value) -> Vec<Value> {
    let plain = |sink: &Value| {
        let mut sink = sink.clone();
        if let Some(members) = sink.as_object_mut() {
            members.remove("batch");
        }
        sink
    };
    shown.get("sinks").and_then(Value::as_array).into_iter().flatten().map(plain).collect()
}

/// What each sink of a new definition goes on from. A sink that was there goes on where it was. Where there are as many as before, one that was
/// changed goes on behind the position of the one in its place, as a new one. Others begin where the new definition says.
pub(super) fn carried_over(kept: &Kept, new: &Definition, schema: &DimensionSchema) -> Vec<Progress> {
    // Without what may be rotated.
    let read = Definition::read(&kept.definition, None, schema).map(|old| old.shown());
    let old = sinks_of(&read.unwrap_or_else(|_| kept.definition.clone()));
    let new = sinks_of(&new.shown());
    let as_many = old.len() == new.len();
    let carry = |(i, sink): (usize, &Value)| {
        let same = old.iter().position(|other| other == sink);
        let in_place = old.get(i).filter(|other| as_many && other.get("type") == sink.get("type"));
        match (same, in_place) {
            (Some(at), _) => kept.sinks.get(at).cloned().unwrap_or_default(),
            (None, Some(_)) => {
                // What the sink keeps for itself goes along: it knows where that was, and whether it is still worth anything.
                let known = kept.sinks.get(i);
                let (position, sink) = (known.and_then(|known| known.position), known.and_then(|known| known.sink.clone()));
                Progress { position, sink, ..Progress::default() }
            }
            (None, None) => Progress::default(),
        }
    };
    new.iter().enumerate().map(carry).collect()
}
