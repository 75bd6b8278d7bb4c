//! [`Segment`]: an opened segment file.
//!
//! Opening reads the footer and the two small components that say what the segment covers. Everything else is read in place when it is
//! asked for, and compared with its checksum the first time. Of a file that is read by calls, what was read is kept until the segment, or
//! [`Segment::forget_blocks`], lets go of it: for who goes through all of a segment once.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::id::SegmentId;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::layout::{self, Layout};
use crate::segment::block::predictions::Predictions;
use crate::segment::block::units::{Block, BlockDirectory, Verified};
use crate::segment::cache::{Cache, Caches};
use crate::segment::dictionary::reader::Dictionary;
use crate::segment::documents::event_ids::EventIds;
use crate::segment::documents::received::Received;
use crate::segment::documents::sequences::Sequences;
use crate::segment::documents::timestamps::Timestamps;
use crate::segment::file::component::Component;
use crate::segment::file::reader::{Part, SegmentFile};
use crate::segment::file::source::Source;
use crate::segment::meta::{DimensionEntry, Meta, read_dimensions};
use crate::segment::postings::lists::PostingsReader;
use crate::storage::View;

/// About as much of the map is touched where a block is read.
const BLOCK_BYTES: u64 = 128 << 10;

/// An immutable, indexed range of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    file: SegmentFile,
    /// Blocks that were read by calls; none of a map.
    held: Box<[OnceLock<Result<Vec<u8>>>]>,
    meta: Meta,
    dimensions: Vec<DimensionEntry>,
    layout: OnceLock<Layout>,
    predictions: OnceLock<Predictions>,
    verified: Verified,
    caches: Arc<Caches>,
}

impl Segment {
    /// Opens a segment file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] or [`crate::ErrorKind::Unsupported`], with the place.
    pub(crate) fn open(source: Source, name: &str, caches: Arc<Caches>) -> Result<Segment> {
        if let Source::View(view) = &source {
            caches.resident.watch(view);
        }
        let file = SegmentFile::open(source, name)?;
        let part = file.part(Component::Meta, 0)?;
        let meta = Meta::read(part.bytes()?).map_err(|e| part.locate(e))?;
        let part = file.part(Component::Dimensions, 0)?;
        let dimensions = read_dimensions(part.bytes()?).map_err(|e| part.locate(e))?;
        Ok(Segment::of(file, meta, dimensions, caches))
    }

    fn of(file: SegmentFile, meta: Meta, dimensions: Vec<DimensionEntry>, caches: Arc<Caches>) -> Segment {
        let blocks = (meta.documents as usize).div_ceil(BLOCK_DOCUMENTS);
        let by_calls = matches!(file.source(), Source::Calls(..));
        let held = (0..if by_calls { blocks } else { 0 }).map(|_| OnceLock::new()).collect();
        let (layout, predictions, verified) = (OnceLock::new(), OnceLock::new(), Verified::new(blocks));
        Segment { file, held, meta, dimensions, layout, predictions, verified, caches }
    }

    /// Of a file that is read by calls: the same segment, with nothing of it held. `None` for a map, which holds nothing.
    pub(crate) fn again(&self) -> Option<Segment> {
        let by_calls = matches!(self.file.source(), Source::Calls(..));
        by_calls.then(|| Segment::of(self.file.again(), self.meta.clone(), self.dimensions.clone(), self.caches.clone()))
    }

    /// Lets go of the blocks that were read by calls.
    pub(crate) fn forget_blocks(&mut self) {
        self.held.iter_mut().for_each(|block| drop(block.take()));
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.file.id()
    }

    pub(crate) fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// The bytes of the file, where they are mapped.
    pub(crate) fn view(&self) -> Option<&View> {
        match self.file.source() {
            Source::View(view) => Some(view),
            Source::Calls(..) => None,
        }
    }

    /// The length of the file in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file.source().len()
    }

    /// Compares the checksum of the whole file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`]; what reading says.
    pub(crate) fn check_whole(&self, wanted: u32) -> Result<()> {
        let found = self.file.source().checksum(0..self.file_bytes()).map_err(|e| self.locate(e))?;
        self.compare_whole(found, wanted)
    }

    /// The same for a checksum that was computed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn compare_whole(&self, found: u32, wanted: u32) -> Result<()> {
        if found == wanted {
            return Ok(());
        }
        let error = Error::corrupt("the file's checksum differs from the catalog's");
        Err(self.locate(error.expected(format_args!("crc32 {wanted:08x}"), format_args!("{found:08x}"))))
    }

    /// Gives back the pages of a map.
    pub(crate) fn release(&self) {
        self.view().into_iter().for_each(View::release);
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn dimensions(&self) -> &[DimensionEntry] {
        &self.dimensions
    }

    /// A dimension with its ordinal.
    pub(crate) fn dimension(&self, name: &str) -> Option<(u16, &DimensionEntry)> {
        (0u16..).zip(&self.dimensions).find(|(_, d)| d.name == name)
    }

    /// The columns and shapes; read once.
    pub(crate) fn layout(&self) -> Result<&Layout> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let (columns, shapes) = (self.file.part(Component::Columns, 0)?, self.file.part(Component::Shapes, 0)?);
        let layout = layout::read(columns.bytes()?, shapes.bytes()?).map_err(|e| e.in_file(self.file.name()))?;
        Ok(self.layout.get_or_init(|| layout))
    }

    /// Which columns are predicted from others; read once.
    pub(crate) fn predictions(&self) -> Result<&Predictions> {
        if let Some(predictions) = self.predictions.get() {
            return Ok(predictions);
        }
        let layout = self.layout()?;
        let predictions = self.component(Component::Predictions, 0, |bytes| Predictions::read(bytes, layout))?;
        Ok(self.predictions.get_or_init(|| predictions))
    }

    fn component<'a, T>(&'a self, component: Component, ordinal: u16, read: impl FnOnce(&'a [u8]) -> Result<T>) -> Result<T> {
        let part = self.file.part(component, ordinal)?;
        if !part.is_verified() {
            let bytes = part.bytes()?;
            self.caches.resident.touch(bytes.len() as u64);
        }
        read(part.bytes()?).map_err(|e| part.locate(e))
    }

    pub(crate) fn timestamps(&self) -> Result<Timestamps<'_>> {
        self.component(Component::Timestamps, 0, Timestamps::read)
    }

    pub(crate) fn sequences(&self) -> Result<Sequences<'_>> {
        self.component(Component::Sequences, 0, Sequences::read)
    }

    pub(crate) fn received(&self) -> Result<Received<'_>> {
        self.component(Component::Received, 0, Received::read)
    }

    pub(crate) fn dictionary(&self) -> Result<Dictionary<'_>> {
        self.component(Component::Dictionary, 0, |bytes| Dictionary::read(bytes, self.id(), &self.caches.pages))
    }

    pub(crate) fn postings(&self, ordinal: u16) -> Result<PostingsReader<'_>> {
        self.component(Component::Postings, ordinal, |bytes| PostingsReader::read(bytes, self.meta.documents))
    }

    pub(crate) fn unique_index(&self, ordinal: u16) -> Result<EventIds<'_>> {
        self.component(Component::UniqueIndex, ordinal, |bytes| EventIds::read(bytes, self.meta.documents))
    }

    pub(crate) fn block_directory(&self) -> Result<BlockDirectory<'_>> {
        self.component(Component::BlockDirectory, 0, |bytes| BlockDirectory::read(bytes, self.meta.documents))
    }

    pub(crate) fn block<'a>(&'a self, directory: &'a BlockDirectory<'a>, number: usize) -> Result<Block<'a>> {
        let blocks = self.file.part(Component::Blocks, 0)?;
        let opened = if blocks.is_in_place() {
            self.caches.resident.touch(BLOCK_BYTES);
            Block::open(blocks.bytes()?, directory, number, &self.verified)
        } else {
            self.held_block(blocks, directory, number).and_then(|bytes| Block::of(bytes, directory, number, &self.verified))
        };
        opened.map_err(|e| e.in_file(self.file.name()))
    }

    /// The bytes of a block, read by a call the first time. What could not be read is not asked for again: a disk may take seconds for its no.
    fn held_block(&self, blocks: &Part, directory: &BlockDirectory<'_>, number: usize) -> Result<&[u8]> {
        let slot = self.held.get(number).ok_or_else(|| Error::corrupt("there is no such block"))?;
        let read = || blocks.stretch(directory.place(number)?);
        let held = slot.get_or_init(|| read().map_err(|e| e.in_component(format!("block {number}"))));
        held.as_deref().map_err(Error::duplicate)
    }

    /// The unfolded units of all segments.
    pub(crate) fn units(&self) -> &Cache<Vec<u8>> {
        &self.caches.units
    }

    /// The caches that all segments share.
    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Names this file in an error.
    pub(crate) fn locate(&self, error: Error) -> Error {
        error.in_file(self.file.name())
    }
}
