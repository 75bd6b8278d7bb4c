//! [`Extractor`]: events to batches: validate, shred, find id, time and terms, all in one pass over the text.
//!
//! The text is read once, along the shapes seen before ([`ShapeTree`]); only an event of a new shape is scanned, and its keys parsed.
//! The plan kept with the shape names the leaves that say something to a dimension.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::batch::{Batch, Prepared, Rejection};
use super::gather::{Event, Gathering, event_time};
use super::outline::{ColumnPath, outline};
use super::plan::TermPlan;
use super::scan::{Leaf, scan};
use super::schema::DimensionSchema;
use super::shape::Shape;
use super::shape_tree::ShapeTree;
use super::tokens::Fault;
use super::values::{Numbering, Values};
use crate::codec::checksum::hash64;
use crate::error::{Error, Result};
use crate::id::Timestamp;
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, EVENT_LEAVES_MAX, LEAF_BYTES_MAX, SHAPE_BYTES_MAX, SHAPES_MAX};

/// Reads events by a schema. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Extractor {
    schema: DimensionSchema,
    shapes: RwLock<Known>,
    whole: Arc<Shape>,
    /// Batches whose buffers can be used again: memory that is touched for the first time costs more than the work done in it.
    used: Mutex<Used>,
    used_bytes_max: usize,
}

/// Batches that can be used again, and the memory that they hold.
#[derive(Debug, Default)]
struct Used {
    batches: Vec<Batch>,
    bytes: usize,
}

/// How many used batches are kept, and how large each may be.
const USED_BATCHES_MAX: usize = 256;
const USED_BATCH_BYTES_MAX: usize = 8 << 20;
/// How large all of them may be together, where nothing else is said.
const USED_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
struct Known {
    tree: ShapeTree,
    shapes: usize,
    /// One copy of every path, so that shapes that share a column can be seen to do so.
    paths: HashSet<Arc<ColumnPath>, foldhash::fast::FixedState>,
    bytes: usize,
}

impl Known {
    fn path(&mut self, path: Arc<ColumnPath>) -> Arc<ColumnPath> {
        if let Some(known) = self.paths.get(&path) {
            return known.clone();
        }
        self.paths.insert(path.clone());
        path
    }
}

/// What the reading of a batch needs for a moment.
#[derive(Debug, Default)]
struct Scratch {
    shape: Vec<u8>,
    leaves: Vec<Leaf>,
    numbering: Numbering,
}

thread_local! {
    /// Kept between batches: a small batch costs no more than what is done in warm memory.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A thread keeps no more leaves, and no longer shapes, than these.
const LEAVES_KEPT_MAX: usize = 1 << 16;
const SHAPE_KEPT_BYTES_MAX: usize = 1 << 20;

impl Scratch {
    /// Lets the memory go when a batch needed much.
    fn trim(&mut self) {
        if self.leaves.capacity() > LEAVES_KEPT_MAX || self.shape.capacity() > SHAPE_KEPT_BYTES_MAX {
            *self = Scratch::default();
        }
        self.numbering.trim();
    }
}

impl Extractor {
    pub(crate) fn new(schema: DimensionSchema) -> Extractor {
        Extractor {
            schema,
            shapes: RwLock::default(),
            whole: Arc::new(Shape::whole()),
            used: Mutex::default(),
            used_bytes_max: USED_BYTES_MAX,
        }
    }

    /// Keeps so many bytes of used batches.
    #[must_use]
    pub(crate) fn keeping(self, used_bytes_max: usize) -> Extractor {
        Extractor { used_bytes_max, ..self }
    }

    pub(crate) fn schema(&self) -> &DimensionSchema {
        &self.schema
    }

    /// Reads events, each the bytes of one JSON object; bad ones become rejections.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when there are more events or bytes than a batch may have.
    pub(crate) fn prepare(&self, events: &mut dyn Iterator<Item = &[u8]>) -> Result<(Batch, Vec<Rejection>)> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.numbering.begin();
            let prepared = self.prepare_with(events, scratch);
            scratch.trim();
            prepared
        })
    }

    fn prepare_with(&self, events: &mut dyn Iterator<Item = &[u8]>, scratch: &mut Scratch) -> Result<(Batch, Vec<Rejection>)> {
        let (mut batch, mut rejections) = (self.used_batch(), Vec::new());
        for (index, text) in events.enumerate() {
            let text = trim(text);
            if index >= BATCH_EVENTS_MAX || batch.text.len() + text.len().min(EVENT_BYTES_MAX) > BATCH_BYTES_MAX {
                return Err(Error::invalid("the batch is too large")
                    .expected(format_args!("at most {BATCH_EVENTS_MAX} events and {BATCH_BYTES_MAX} bytes"), "more"));
            }
            if let Err((code, message)) = self.push(text, scratch, &mut batch) {
                rejections.push(Rejection { index, code, message });
            }
        }
        Ok((batch, rejections))
    }

    /// Takes back a batch that is done with.
    pub(crate) fn recycle(&self, mut batch: Batch) {
        let bytes = batch.capacity_bytes();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.batches.len() < USED_BATCHES_MAX && bytes <= USED_BATCH_BYTES_MAX && used.bytes + bytes <= self.used_bytes_max {
            batch.clear();
            used.bytes += bytes;
            used.batches.push(batch);
        }
    }

    fn used_batch(&self) -> Batch {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = used.batches.pop().unwrap_or_default();
        used.bytes = used.bytes.saturating_sub(batch.capacity_bytes());
        batch
    }

    fn push(&self, text: &[u8], scratch: &mut Scratch, batch: &mut Batch) -> std::result::Result<(), (&'static str, String)> {
        if text.len() > EVENT_BYTES_MAX {
            return Err(("too_large", format!("the event has {} bytes; at most {EVENT_BYTES_MAX} are taken", text.len())));
        }
        let utf8 = simdutf8::compat::from_utf8(text)
            .map_err(|e| ("invalid_utf8", format!("the event is not UTF-8 at byte {}", e.valid_up_to())))?;
        let (first_leaf, first_term) = (batch.numbers.len() as u32, batch.term_numbers.len() as u32);
        let shape = self.shape_of(text, scratch, batch)?;
        let start = batch.text.len() as u32;
        batch.text.extend_from_slice(text);
        let (shape, time, id_hash) = match shape {
            Some(shape) => shredded(utf8, shape, scratch, batch),
            None => self.whole(utf8, scratch, batch),
        };
        batch.events.push(Prepared {
            text: start..batch.text.len() as u32,
            shape,
            leaves: first_leaf..batch.numbers.len() as u32,
            terms: first_term..batch.term_numbers.len() as u32,
            time,
            id_hash,
        });
        Ok(())
    }

    /// Reads an event: its shape's number in the batch, or `None` if it is odd and must be kept whole; its leaves are in `scratch`.
    fn shape_of(&self, text: &[u8], scratch: &mut Scratch, batch: &mut Batch) -> std::result::Result<Option<u32>, (&'static str, String)> {
        let Scratch { shape, leaves, numbering } = scratch;
        leaves.clear();
        let known = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.tree.read(text, leaves)
            && !is_odd(leaves)
        {
            return Ok(Some(batch.values.shape(shape, numbering)));
        }
        drop(known);
        shape.clear();
        leaves.clear();
        scan(text, shape, leaves).map_err(|(at, fault)| explain(at, fault))?;
        Ok((!is_odd(leaves)).then(|| batch.values.shape(&self.new_shape(shape), numbering)))
    }

    /// Keeps an event whole: it is one value. Its shape is worked out for its terms, and forgotten.
    fn whole(&self, text: &str, scratch: &mut Scratch, batch: &mut Batch) -> Read {
        let plan = TermPlan::new(&self.schema, &outline(&scratch.shape));
        let Scratch { leaves, numbering, .. } = scratch;
        let (event, first) = (Event { text, leaves }, batch.term_numbers.len());
        let Batch { terms, term_numbers, .. } = batch;
        let table = &mut numbering.terms;
        let mut gathering = Gathering { event, numbers: &[], values: &mut [], terms, table, found: term_numbers, first };
        let (time, id_hash) = (event_time(&plan, event), gathering.run(&plan));
        let number = batch.values.shape(&self.whole, numbering);
        let leaf = Leaf { start: 0, end: text.len() as u32 };
        let start = (batch.text.len() - text.len()) as u32;
        batch.values.number(number, (&batch.text, start), &[leaf], numbering, &mut batch.numbers);
        (number, time, id_hash)
    }

    /// The shape with this text, which the tree has not.
    fn new_shape(&self, text: &[u8]) -> Arc<Shape> {
        let outline = outline(text);
        let plan = TermPlan::new(&self.schema, &outline);
        self.remember(Shape { text: text.into(), hash: hash64(text), slots: outline.slots.into_boxed_slice(), plan })
    }

    /// Keeps a shape for the next event. When there are too many, all are forgotten: drifting sources cannot fill the memory, and
    /// the shapes in use are back after one event each.
    fn remember(&self, mut shape: Shape) -> Arc<Shape> {
        let mut known = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if known.shapes >= SHAPES_MAX || known.bytes >= SHAPE_BYTES_MAX {
            *known = Known::default();
        }
        shape.slots = shape.slots.into_iter().map(|path| known.path(path)).collect();
        let shape = Arc::new(shape);
        known.shapes += 1;
        known.bytes += shape.text.len();
        known.tree.insert(&shape);
        shape
    }
}

/// An event's shape, its time, and the hash of its id.
type Read = (u32, Option<Timestamp>, Option<u64>);

/// Numbers the values of an event, whose text is the last of the batch's, and gathers its terms.
fn shredded(text: &str, shape: u32, scratch: &mut Scratch, batch: &mut Batch) -> Read {
    let Scratch { leaves, numbering, .. } = scratch;
    let (first, first_term) = (batch.numbers.len(), batch.term_numbers.len());
    let start = (batch.text.len() - text.len()) as u32;
    batch.values.number(shape, (&batch.text, start), leaves, numbering, &mut batch.numbers);
    let Batch { values: Values { values, shapes, .. }, numbers, terms, term_numbers, .. } = batch;
    let Some(plan) = shapes.get(shape as usize).map(|numbered| &numbered.shape.plan) else { return (shape, None, None) };
    let (event, numbers) = (Event { text, leaves }, numbers.get(first..).unwrap_or_default());
    let table = &mut numbering.terms;
    let mut gathering = Gathering { event, numbers, values, terms, table, found: term_numbers, first: first_term };
    (shape, event_time(plan, event), gathering.run(plan))
}

/// Whether an event must be kept whole.
fn is_odd(leaves: &[Leaf]) -> bool {
    leaves.len() > EVENT_LEAVES_MAX || leaves.iter().any(|l| (l.end - l.start) as usize > LEAF_BYTES_MAX)
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
