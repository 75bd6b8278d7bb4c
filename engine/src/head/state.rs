//! [`Head`] and its [`State`]: appending.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use crate::error::Result;
use crate::event::batch::{Batch, NO_LEAF, Prepared, Term};
use crate::event::{DimensionKind, DimensionSchema, Path};
use crate::id::{Sequence, Timestamp};
use crate::shred::{Columns, Shreds, TermRows};

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
}

/// The index of one dimension.
#[derive(Debug)]
pub(crate) struct DimensionState {
    pub(crate) name: String,
    pub(crate) paths: Vec<Path>,
    pub(crate) entries: Entries,
    of_codes: CodeTerms,
}

/// For values that are terms as they are: from the value's code in its column to the term's code in its dimension. It saves hashing
/// the same text a second time.
#[derive(Debug, Default)]
struct CodeTerms(Vec<(u32, Vec<u32>)>);

impl CodeTerms {
    fn get(&self, column: u32, code: u32) -> Option<u32> {
        let (_, terms) = self.0.iter().find(|(c, _)| *c == column)?;
        terms.get(code as usize)?.checked_sub(1)
    }

    fn set(&mut self, column: u32, code: u32, term: u32) {
        if !self.0.iter().any(|(c, _)| *c == column) {
            self.0.push((column, Vec::new()));
        }
        let Some((_, terms)) = self.0.iter_mut().find(|(c, _)| *c == column) else { return };
        if terms.len() <= code as usize {
            terms.resize(code as usize + 1, 0);
        }
        if let Some(slot) = terms.get_mut(code as usize) {
            *slot = term.wrapping_add(1);
        }
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, terms)| terms.len() * 4).sum()
    }
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
        let entries = match &self.entries {
            Entries::Keyword(rows) => rows.bytes(),
            Entries::Unique(table) => table.len() * 18,
        };
        entries + self.of_codes.bytes()
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
        for (_, event) in batch.events.iter().enumerate().filter(|(i, _)| keep(*i)) {
            state.push(batch, event, received_at)?;
        }
        Ok(())
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
            DimensionState {
                name: dimension.name.clone(),
                paths: schema.paths_of(&dimension.name),
                entries,
                of_codes: CodeTerms::default(),
            }
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
            dimension.of_codes.0.clear();
            match &mut dimension.entries {
                Entries::Keyword(rows) => rows.clear(),
                Entries::Unique(table) => table.clear(),
            }
        }
    }

    fn push(&mut self, batch: &Batch, event: &Prepared, received_at: Timestamp) -> Result<()> {
        let text = batch.text_of(event);
        let document = self.shreds.len();
        self.shreds.push(&event.shape, text, batch.leaves_of(event))?;
        for term in batch.terms_of(event) {
            self.push_term(term, batch.term(term), document);
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
        self.event_bytes += text.len() as u64;
        self.times.push(time);
        Ok(())
    }

    fn push_term(&mut self, term: &Term, text: &[u8], document: u32) {
        let source = self.source_of(term, document);
        let Some(dimension) = self.dimensions.get_mut(usize::from(term.dimension)) else { return };
        match &mut dimension.entries {
            Entries::Unique(table) => {
                let hash = crate::codec::checksum::hash64(text);
                table.insert_unique(hash, (hash, document), |(hash, _)| *hash);
            }
            Entries::Keyword(rows) => {
                let known = source.and_then(|(column, code)| dimension.of_codes.get(column, code));
                let Some(code) = known.or_else(|| self.terms.intern(u32::from(term.dimension), text)) else { return };
                if let (None, Some((column, of))) = (known, source) {
                    dimension.of_codes.set(column, of, code);
                }
                rows.push(document, code);
            }
        }
    }

    /// The column and code of the value that a term repeats.
    fn source_of(&self, term: &Term, document: u32) -> Option<(u32, u32)> {
        let (shape, codes) = self.shreds.row(document);
        let row = self.shreds.shapes().get(shape as usize).filter(|row| term.leaf != NO_LEAF && !row.shape.is_whole())?;
        Some((*row.columns.get(term.leaf as usize)?, *codes.get(term.leaf as usize)?))
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
