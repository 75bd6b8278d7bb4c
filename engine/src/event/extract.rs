//! [`Extractor`]: events to batches: validate, shred, find id, time and terms, all in one pass over the text.
//!
//! The text is scanned once. Its shape, a few hundred bytes, is hashed and looked up among the shapes seen before; the plan kept with
//! it names the leaves to read. Keys are parsed only when a shape is new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::batch::{Batch, Prepared, Rejection};
use super::outline::outline;
use super::plan::TermPlan;
use super::scan::{Fault, Leaf, scan};
use super::schema::DimensionSchema;

use super::shape::Shape;
use super::terms;
use crate::codec::checksum::hash64;
use crate::error::{Error, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, EVENT_LEAVES_MAX, LEAF_BYTES_MAX, SHAPE_BYTES_MAX, SHAPES_MAX};

/// Reads events by a schema. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Extractor {
    schema: DimensionSchema,
    shapes: RwLock<Known>,
    whole: Arc<Shape>,
    /// Batches whose buffers can be used again: memory that is touched for the first time costs more than the work done in it.
    used: Mutex<Vec<Batch>>,
}

/// How many used batches are kept, and how large each may be.
const USED_BATCHES_MAX: usize = 16;
const USED_BATCH_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<u64, Arc<Shape>, foldhash::fast::FixedState>,
    bytes: usize,
}

impl Extractor {
    pub(crate) fn new(schema: DimensionSchema) -> Extractor {
        Extractor { schema, shapes: RwLock::default(), whole: Arc::new(Shape::whole()), used: Mutex::default() }
    }

    pub(crate) fn schema(&self) -> &DimensionSchema {
        &self.schema
    }

    /// Reads events, each the bytes of one JSON object; bad ones become rejections.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when there are more events or bytes than a batch may have.
    pub(crate) fn prepare(&self, events: &mut dyn Iterator<Item = &[u8]>) -> Result<(Batch, Vec<Rejection>)> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut batch, mut rejections, mut shape) = (used.unwrap_or_default(), Vec::new(), Vec::new());
        for (index, text) in events.enumerate() {
            let text = trim(text);
            if index >= BATCH_EVENTS_MAX || batch.text.len() + text.len().min(EVENT_BYTES_MAX) > BATCH_BYTES_MAX {
                return Err(Error::invalid("the batch is too large")
                    .expected(format_args!("at most {BATCH_EVENTS_MAX} events and {BATCH_BYTES_MAX} bytes"), "more"));
            }
            if let Err((code, message)) = self.push(text, &mut shape, &mut batch) {
                rejections.push(Rejection { index, code, message });
            }
        }
        Ok((batch, rejections))
    }

    /// Takes back a batch that is done with.
    pub(crate) fn recycle(&self, mut batch: Batch) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() < USED_BATCHES_MAX && batch.capacity_bytes() <= USED_BATCH_BYTES_MAX {
            batch.clear();
            used.push(batch);
        }
    }

    fn push(&self, text: &[u8], shape_text: &mut Vec<u8>, batch: &mut Batch) -> std::result::Result<(), (&'static str, String)> {
        if text.len() > EVENT_BYTES_MAX {
            return Err(("too_large", format!("the event has {} bytes; at most {EVENT_BYTES_MAX} are taken", text.len())));
        }
        let utf8 = simdutf8::compat::from_utf8(text)
            .map_err(|e| ("invalid_utf8", format!("the event is not UTF-8 at byte {}", e.valid_up_to())))?;
        shape_text.clear();
        let first_leaf = batch.leaves.len();
        if let Err((at, fault)) = scan(text, shape_text, &mut batch.leaves) {
            batch.leaves.truncate(first_leaf);
            return Err(explain(at, fault));
        }
        let leaves = batch.leaves.get(first_leaf..).unwrap_or_default();
        let keep_whole = leaves.len() > EVENT_LEAVES_MAX || leaves.iter().any(|l| (l.end - l.start) as usize > LEAF_BYTES_MAX);
        let (shape, known) = self.shape(shape_text, keep_whole);
        let first_term = batch.terms.len() as u32;
        let time = terms::event_time(&shape.plan, utf8, leaves);
        let id_hash = terms::collect(&shape.plan, utf8, leaves, &mut batch.terms, &mut batch.term_text);
        let shape = if known { shape } else { self.keep_whole(text, first_leaf, &mut batch.leaves) };
        let start = batch.text.len() as u32;
        batch.text.extend_from_slice(text);
        batch.events.push(Prepared {
            text: start..batch.text.len() as u32,
            shape,
            leaves: first_leaf as u32..batch.leaves.len() as u32,
            terms: first_term..batch.terms.len() as u32,
            time,
            id_hash,
        });
        Ok(())
    }

    /// Replaces the leaves of an event by one: the whole event.
    fn keep_whole(&self, text: &[u8], first_leaf: usize, leaves: &mut Vec<Leaf>) -> Arc<Shape> {
        leaves.truncate(first_leaf);
        leaves.push(Leaf { start: 0, end: text.len() as u32 });
        self.whole.clone()
    }

    /// The shape with this text, and whether events of it are shredded. Odd ones are worked out and forgotten.
    fn shape(&self, text: &[u8], odd: bool) -> (Arc<Shape>, bool) {
        let hash = hash64(text);
        if !odd {
            let known = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(shape) = known.by_hash.get(&hash)
                && *shape.text == *text
            {
                return (shape.clone(), true);
            }
        }
        let outline = outline(text);
        let plan = TermPlan::new(&self.schema, &outline);
        let shape = Arc::new(Shape { text: text.into(), hash, slots: outline.slots.into_boxed_slice(), plan });
        if !odd {
            self.remember(&shape);
        }
        (shape, !odd)
    }

    /// Keeps a shape for the next event. When there are too many, all are forgotten: drifting sources cannot fill the memory, and
    /// the shapes in use are back after one event each.
    fn remember(&self, shape: &Arc<Shape>) {
        let mut known = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if known.by_hash.len() >= SHAPES_MAX || known.bytes >= SHAPE_BYTES_MAX {
            *known = Known::default();
        }
        known.bytes += shape.text.len();
        known.by_hash.insert(shape.hash, shape.clone());
    }
}

/// JSON's white space around the object is not part of it.
fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_space(b)).map_or(start, |end| end + 1);
    text.get(start..end).unwrap_or_default()
}

fn explain(at: usize, fault: Fault) -> (&'static str, String) {
    match fault {
        Fault::Syntax(reason) => ("invalid_json", format!("{reason} at byte {at}")),
        Fault::NotAnObject => ("not_an_object", "an event must be a JSON object, and this is none".to_owned()),
        Fault::Depth => ("too_deep", format!("more than {} levels of nesting at byte {at}", crate::limits::JSON_DEPTH_MAX)),
    }
}
