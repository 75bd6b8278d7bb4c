//! [`Segment`]: an opened segment file.
//!
//! Opening reads the footer and the two small components that say what the segment covers. Everything else is read in place when it is
//! asked for, and compared with its checksum the first time.

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
use crate::segment::file::reader::SegmentFile;
use crate::segment::meta::{DimensionEntry, Meta, read_dimensions};
use crate::segment::postings::lists::PostingsReader;
use crate::storage::View;

/// About as much of the map is touched where a block is read.
const BLOCK_BYTES: u64 = 128 << 10;

/// An immutable, indexed range of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    file: SegmentFile,
    view: View,
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
    pub(crate) fn open(view: View, name: &str, caches: Arc<Caches>) -> Result<Segment> {
        let file = SegmentFile::open(view.clone(), name)?;
        caches.resident.watch(&view);
        let part = file.part(Component::Meta, 0)?;
        let meta = Meta::read(part.bytes()?).map_err(|e| part.locate(e))?;
        let part = file.part(Component::Dimensions, 0)?;
        let dimensions = read_dimensions(part.bytes()?).map_err(|e| part.locate(e))?;
        let verified = Verified::new((meta.documents as usize).div_ceil(BLOCK_DOCUMENTS));
        Ok(Segment { file, view, meta, dimensions, layout: OnceLock::new(), predictions: OnceLock::new(), verified, caches })
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.file.id()
    }

    pub(crate) fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// The bytes of the file.
    pub(crate) fn view(&self) -> &View {
        &self.view
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
        self.caches.resident.touch(BLOCK_BYTES);
        Block::open(blocks.bytes()?, directory, number, &self.verified).map_err(|e| e.in_file(self.file.name()))
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
