//! [`Head`] and its [`State`]: appending.

use std::sync::PoisonError;

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use crate::error::Result;
use crate::event::batch::{Batch, Prepared};
use crate::event::values::NONE;
use crate::event::{DimensionKind, DimensionSchema, Path};
use crate::id::{Sequence, Timestamp};
use crate::shred::{Columns, KnownHere, Shreds, TermRows};
use crate::sync::{RwLock, RwLockReadGuard};

/// The mutable index of a contiguous range of sequences.
///
/// One thread appends; any number read. Readers hold the lock for one question at a time, and ignore documents beyond those that
/// were visible when they began.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) first_sequence: Sequence,
    state: RwLock<State>,
}

/// Everything a head knows. Append-only.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) shreds: Shreds,
    /// The event time of every document.
    pub(crate) times: Vec<Timestamp>,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    /// Where documents with another receive time begin, and that time.
    pub(crate) received: Vec<(u32, Timestamp)>,
    /// Documents whose event time is the receive time.
    pub(crate) without_time: RoaringBitmap,
    pub(crate) dimensions: Vec<DimensionState>,
    /// The terms of keyword dimensions: one column for each dimension.
    pub(crate) terms: Columns,
    /// The length of all events' text.
    pub(crate) event_bytes: u64,
    known: Known,
}

/// What of the batch that is appended has been met here so far.
#[derive(Debug, Default)]
struct Known {
    here: KnownHere,
    /// For each term of the batch its code, or [`NONE`].
    terms: Vec<u32>,
    /// How many of the terms are at hand, in the order in which the batch has them.
    touched: usize,
}

/// So many terms are brought to hand at once.
const AHEAD: usize = 32;

impl Known {
    fn reset(&mut self, batch: &Batch) {
        self.here.reset(batch);
        self.terms.clear();
        self.terms.resize(batch.terms.len(), NONE);
        self.touched = 0;
    }
}

/// The index of one dimension.
#[derive(Debug)]
pub(crate) struct DimensionState {
    pub(crate) name: String,
    pub(crate) paths: Vec<Path>,
    pub(crate) entries: Entries,
}

/// What a dimension's terms lead to.
#[derive(Debug)]
pub(crate) enum Entries {
    /// For every document, its terms.
    Keyword(TermRows),
    /// Pairs of term hash and document.
    Unique(HashTable<(u64, u32)>),
}

/// The most memory that room is reserved for beforehand.
const RESERVED_BYTES_MAX: usize = 256 << 20;

impl DimensionState {
    fn bytes(&self) -> usize {
        match &self.entries {
            Entries::Keyword(rows) => rows.bytes(),
            // A table doubles, so that it is hardly half full on average.
            Entries::Unique(table) => table.len() * 2 * (size_of::<(u64, u32)>() + 1),
        }
    }
}

impl Head {
    /// A head that will grow to about `bytes_max` bytes.
    pub(crate) fn new(first_sequence: Sequence, schema: &DimensionSchema, bytes_max: u64) -> Head {
        let mut state = State::new(schema);
        state.reserve(usize::try_from(bytes_max).unwrap_or(usize::MAX).min(RESERVED_BYTES_MAX));
        Head { first_sequence, state: RwLock::new(state) }
    }

    /// A head in the memory of one that is done with; both have the same schema.
    pub(crate) fn recycled(first_sequence: Sequence, mut state: State) -> Head {
        state.clear();
        Head { first_sequence, state: RwLock::new(state) }
    }

    /// Takes the head apart for [`Head::recycled`].
    pub(crate) fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at the state. Nothing in it can be left half-made by a panic: what is appended becomes visible by its last step.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the events of a batch for which `keep` says so.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] when the head is full; the caller froze it too late.
    pub(crate) fn append(&self, batch: &Batch, received_at: Timestamp, keep: &dyn Fn(usize) -> bool) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = std::mem::take(&mut state.known);
        known.reset(batch);
        let mut kept = batch.events.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, event)| event);
        state.shreds.meet(batch, kept.clone(), &mut known.here);
        let appended = kept.try_for_each(|event| state.push(batch, event, received_at, &mut known));
        state.known = known;
        appended
    }
}

impl State {
    fn new(schema: &DimensionSchema) -> State {
        let mut terms = Columns::always_distinct();
        let dimensions = schema.dimensions.iter().map(|dimension| {
            terms.add();
            let entries = match dimension.kind {
                DimensionKind::Keyword => Entries::Keyword(TermRows::default()),
                DimensionKind::Unique => Entries::Unique(HashTable::new()),
            };
            DimensionState { name: dimension.name.clone(), paths: schema.paths_of(&dimension.name), entries }
        });
        State {
            dimensions: dimensions.collect(),
            terms,
            shreds: Shreds::default(),
            times: Vec::new(),
            time_min: Timestamp::MAX,
            time_max: Timestamp::MIN,
            received: Vec::new(),
            without_time: RoaringBitmap::new(),
            event_bytes: 0,
            known: Known::default(),
        }
    }

    fn reserve(&mut self, bytes: usize) {
        self.shreds.reserve(bytes);
        self.terms.reserve(bytes / 16, bytes / 768);
        self.times.reserve(bytes / 512);
    }

    /// Forgets the events and keeps the memory and the dimensions.
    fn clear(&mut self) {
        self.shreds.clear();
        self.terms.clear();
        self.times.clear();
        self.time_min = Timestamp::MAX;
        self.time_max = Timestamp::MIN;
        self.received.clear();
        self.without_time.clear();
        self.event_bytes = 0;
        for dimension in &mut self.dimensions {
            self.terms.add();
            match &mut dimension.entries {
                Entries::Keyword(rows) => rows.clear(),
                Entries::Unique(table) => table.clear(),
            }
        }
    }

    fn push(&mut self, batch: &Batch, event: &Prepared, received_at: Timestamp, known: &mut Known) -> Result<()> {
        let document = self.shreds.len();
        self.shreds.push(batch, event, &mut known.here)?;
        let newest = batch.terms_of(event).iter().max().map_or(0, |newest| *newest as usize + 1);
        while known.touched < newest {
            self.touch_ahead(batch, known);
        }
        for number in batch.terms_of(event) {
            self.push_term(batch, *number, document, known);
        }
        if event.time.is_none() {
            self.without_time.insert(document);
        }
        if self.received.last().is_none_or(|(_, last)| *last != received_at) {
            self.received.push((document, received_at));
        }
        let time = event.time.unwrap_or(received_at);
        self.time_min = self.time_min.min(time);
        self.time_max = self.time_max.max(time);
        self.event_bytes += u64::from(event.text.end - event.text.start);
        self.times.push(time);
        Ok(())
    }

    /// Brings the next terms of a batch to hand, as [`Columns::touch`] does.
    fn touch_ahead(&mut self, batch: &Batch, known: &mut Known) {
        let numbers = known.touched as u32..(known.touched + AHEAD).min(batch.terms.len()) as u32;
        let terms = || numbers.clone().filter_map(|number| batch.term(number)).map(|(term, _)| (term.dimension, term.hash));
        let mut uniques = 0;
        for (dimension, hash) in terms() {
            if let Some(DimensionState { entries: Entries::Unique(table), .. }) = self.dimensions.get(usize::from(dimension)) {
                uniques += u32::from(table.find(hash, |(known, _)| *known == hash).is_some());
            }
        }
        std::hint::black_box(uniques);
        let is_keyword =
            |dimension: u16| matches!(self.dimensions.get(usize::from(dimension)), Some(d) if matches!(d.entries, Entries::Keyword(_)));
        self.terms.touch(terms().filter(|(dimension, _)| is_keyword(*dimension)).map(|(dimension, hash)| (u32::from(dimension), hash)));
        known.touched += AHEAD;
    }

    fn push_term(&mut self, batch: &Batch, number: u32, document: u32, known: &mut Known) {
        let Some((term, text)) = batch.term(number) else { return };
        let Some(dimension) = self.dimensions.get_mut(usize::from(term.dimension)) else { return };
        match &mut dimension.entries {
            Entries::Unique(table) => {
                table.insert_unique(term.hash, (term.hash, document), |(hash, _)| *hash);
            }
            Entries::Keyword(rows) => {
                let Some(slot) = known.terms.get_mut(number as usize) else { return };
                if *slot == NONE {
                    *slot = self.terms.intern(u32::from(term.dimension), text, term.hash, 1).unwrap_or(NONE);
                }
                if *slot != NONE {
                    rows.push(document, *slot);
                }
            }
        }
    }

    /// How many documents there are.
    pub(crate) fn documents(&self) -> u32 {
        self.times.len() as u32
    }

    /// When a document was received.
    pub(crate) fn received_at(&self, document: u32) -> Timestamp {
        let run = self.received.partition_point(|(first, _)| *first <= document);
        run.checked_sub(1).and_then(|run| self.received.get(run)).map_or(Timestamp::default(), |(_, at)| *at)
    }

    /// The documents whose event id has this hash.
    pub(crate) fn with_id_hash(&self, hash: u64) -> impl Iterator<Item = u32> {
        let ids = self.dimensions.iter().find(|d| d.name == crate::event::schema::EVENT_ID);
        let table = ids.and_then(|d| match &d.entries {
            Entries::Unique(table) => Some(table),
            Entries::Keyword(_) => None,
        });
        table.into_iter().flat_map(move |table| table.iter_hash(hash)).filter(move |(h, _)| *h == hash).map(|(_, document)| *document)
    }

    /// The memory that is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let dimensions: usize = self.dimensions.iter().map(DimensionState::bytes).sum();
        self.shreds.bytes() + self.terms.bytes() + dimensions + self.times.len() * 8 + self.received.len() * 16
    }
}
