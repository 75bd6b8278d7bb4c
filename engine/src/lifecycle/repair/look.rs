//! [`Look`]: finding everything that is wrong with a directory, writing nothing.
//!
//! **Problem.** An operator wants to know all of it at once: a catalog that is damaged must not hide a damaged segment, nor a bad sector
//! the rest of its file. And what cannot be read now is not damaged for that: it may be readable on another machine, or from a copy.
//!
//! **Mechanism.** Every file is read through by calls ([`through`](super::through)). Then segments are taken apart, each by itself; where the catalog is
//! of no use, one is made from what they say of themselves. At last the log is opened for reading over that catalog, which tells about
//! journal and strays. What is damaged and what the system did not give are told apart throughout.
//!
//! **Limits.** Memory: one component of a segment, or one block beside its dictionary; of the journal all that is in no segment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::flush::open_segment;
use crate::lifecycle::live::catalog::{CATALOG, Catalog, CatalogEntry};
use crate::lifecycle::recovery::open::recover;
use crate::lifecycle::repair::catalog::{Examined, rebuilt};
use crate::lifecycle::repair::meter::{Meter, Metered};
use crate::lifecycle::repair::overlay::Overlay;
use crate::lifecycle::repair::salvage::count_readable;
use crate::lifecycle::repair::through::{in_words, is_live, read_through};
use crate::lifecycle::statistics::stats;
use crate::options::Options;
use crate::segment::cache::Caches;
use crate::segment::read::verify::verify_with;
use crate::storage::Storage;

/// How much decoded dictionary is kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// What is looked at, and with what.
pub(crate) struct Look<'a> {
    /// Read by calls alone.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: &'a Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: &'a Budget,
    pub(crate) meter: Arc<Meter>,
}

/// What was found; each line begins with the file that it is about.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The catalog as it is or must be made.
    pub(crate) catalog: Catalog,
    /// Whether the catalog is damaged and still there.
    pub(crate) bad_catalog: bool,
    /// The segments of the catalog.
    pub(crate) segments: Vec<Examined>,
    /// What is wrong.
    pub(crate) found: Vec<String>,
    /// What the system did not let be read.
    pub(crate) unread: Vec<String>,
    /// What needs nobody.
    pub(crate) notes: Vec<String>,
    /// How many events the directory has, in segments and journal, as far as it is known.
    pub(crate) events: u64,
    /// The files of which it was said where they cannot be read.
    told: BTreeSet<String>,
    /// The checksums of the others.
    whole: BTreeMap<String, u32>,
}

/// Whether an error says that bytes are wrong or gone, and not that they could not be had.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
}

impl Looked {
    /// Takes what the system refused; where that is known byte by byte, nothing more is said.
    fn refused(&mut self, error: &Error) -> Result<()> {
        if error.kind() == ErrorKind::Cancelled {
            return Err(error.duplicate());
        }
        let is_told = error.kind() == ErrorKind::Io && error.path().is_some_and(|path| self.told.contains(path));
        let line = in_words(error);
        if !is_told && !self.unread.contains(&line) {
            self.unread.push(line);
        }
        Ok(())
    }
}

impl Look<'_> {
    /// Finds everything.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no log; when the directory itself cannot be listed; [`ErrorKind::Unsupported`] for a catalog of
    /// another version; cancellation.
    pub(crate) fn run(&self) -> Result<Looked> {
        let names = self.storage.list().map_err(|e| Error::io("cannot list the directory", e))?;
        let mut looked = Looked {
            catalog: Catalog::new(self.clock.now()),
            bad_catalog: false,
            segments: Vec::new(),
            found: Vec::new(),
            unread: Vec::new(),
            notes: Vec::new(),
            events: 0,
            told: BTreeSet::new(),
            whole: BTreeMap::new(),
        };
        self.read_files(&names, &mut looked)?;
        let caches = Arc::new(Caches::new(CACHE_BYTES));
        match self.load(&names, &mut looked)? {
            Some(catalog) => {
                for entry in &catalog.segments {
                    let examined = self.examine(entry, &caches, &looked.whole)?;
                    self.report(examined, &mut looked)?;
                }
                looked.catalog = catalog;
            }
            None => {
                let rebuilt = rebuilt(&*self.storage, &caches, self.clock.now(), self.budget, &|name, bytes| self.meter.pass(name, bytes))?;
                rebuilt.refused.iter().try_for_each(|error| looked.refused(error))?;
                for examined in rebuilt.segments {
                    self.report(examined, &mut looked)?;
                }
                looked.catalog = rebuilt.catalog;
            }
        }
        self.look_at_journal(&mut looked)?;
        self.meter.settle();
        Ok(looked)
    }

    /// Reads every file through.
    fn read_files(&self, names: &[String], looked: &mut Looked) -> Result<()> {
        let mut live: Vec<&String> = names.iter().filter(|name| is_live(name)).collect();
        live.sort();
        for name in &live {
            // Read through, and then taken apart; the catalog is small.
            let length = self.storage.open(name).and_then(|file| file.length()).unwrap_or(0);
            self.meter.expect(if name.as_str() == CATALOG { length } else { 2 * length });
        }
        for name in live {
            let refusals = read_through(&*self.storage, name, self.budget, &self.meter)?;
            if !refusals.unread.is_empty() {
                looked.told.insert(name.clone());
            }
            looked.whole.extend(refusals.whole.map(|whole| (name.clone(), whole)));
            looked.unread.extend(refusals.unread);
            looked.notes.extend(refusals.notes);
        }
        Ok(())
    }

    /// The catalog; `None` where one must be made.
    fn load(&self, names: &[String], looked: &mut Looked) -> Result<Option<Catalog>> {
        match Catalog::load(&*self.storage) {
            Ok(Some(catalog)) => return Ok(Some(catalog)),
            Ok(None) if !names.iter().any(|name| name.starts_with("segment-") || name.starts_with("journal-")) => {
                return Err(Error::new(ErrorKind::NotFound, "there is no log in the directory"));
            }
            Ok(None) => looked.found.push(format!("{CATALOG} is missing")),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                looked.bad_catalog = true;
                looked.found.push(error.to_string());
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(error) => looked.refused(&error)?,
        }
        Ok(None)
    }

    fn examine(&self, entry: &CatalogEntry, caches: &Arc<Caches>, whole: &BTreeMap<String, u32>) -> Result<Examined> {
        let segment = match open_segment(&*self.storage, entry, caches) {
            Ok(segment) => segment,
            Err(error) => return Ok(Examined { entry: *entry, segment: None, errors: vec![error] }),
        };
        let name = entry.file_name();
        let mut errors = verify_with(&segment, self.budget, &|bytes| self.meter.pass(&name, bytes))?;
        if let Some(whole) = whole.get(&name).filter(|_| errors.is_empty()) {
            errors.extend(segment.compare_whole(*whole, entry.crc32).err());
        }
        Ok(Examined { entry: *entry, segment: Some(Arc::new(segment)), errors })
    }

    /// Takes what is wrong with a segment; only damage stays with it.
    fn report(&self, mut examined: Examined, looked: &mut Looked) -> Result<()> {
        let (damage, refused): (Vec<Error>, Vec<Error>) = examined.errors.drain(..).partition(is_damage);
        refused.iter().try_for_each(|error| looked.refused(error))?;
        if !damage.is_empty() || !refused.is_empty() {
            let lines = if damage.is_empty() { &mut looked.unread } else { &mut looked.found };
            match &examined.segment {
                Some(segment) => {
                    lines.extend(damage.iter().map(ToString::to_string));
                    lines.push(readable_part(&examined.entry, count_readable(segment, self.budget)?));
                }
                None if damage.is_empty() => lines.push(format!("{}: {}", examined.entry.file_name(), none_readable(&examined.entry))),
                None => lines.extend(damage.iter().map(|error| format!("{error}; {}", none_readable(&examined.entry)))),
            }
        }
        looked.segments.push(Examined { errors: damage, ..examined });
        Ok(())
    }

    /// What opening says about everything but the segments that were examined.
    fn look_at_journal(&self, looked: &mut Looked) -> Result<()> {
        let below: Arc<dyn Storage> = Arc::new(Metered { below: self.storage.clone(), meter: self.meter.clone() });
        let overlay = Arc::new(Overlay::new(below, looked.catalog.encode()));
        let options = Options { read_only: true, ..self.options.clone() };
        let (shared, _) = match recover(overlay, options, self.clock.clone()) {
            Ok(recovered) => recovered,
            Err(error) => {
                looked.events = looked.catalog.segments.iter().map(|entry| u64::from(entry.documents)).sum();
                return looked.refused(&error);
            }
        };
        let is_known = |problem: &String| looked.catalog.segments.iter().any(|entry| problem.starts_with(&entry.file_name()));
        let problems = shared.problems.list().0;
        looked.found.extend(problems.into_iter().filter(|problem| !is_known(problem)));
        looked.notes.extend(shared.problems.notes());
        looked.events = stats(&shared).events;
        Ok(())
    }
}

/// In words, how much of a segment can be read.
fn readable_part(entry: &CatalogEntry, readable: u64) -> String {
    let (first, last) = (entry.first_sequence, entry.end_sequence().0.saturating_sub(1));
    format!("{}: {readable} of {} events, sequences {first} to {last}, can still be read", entry.file_name(), entry.documents)
}

/// In words, that nothing of a segment can be.
fn none_readable(entry: &CatalogEntry) -> String {
    let (first, last) = (entry.first_sequence, entry.end_sequence().0.saturating_sub(1));
    format!("none of its {} events, sequences {first} to {last}, can be read", entry.documents)
}
