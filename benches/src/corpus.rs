//! [`Corpus`]: the real events that generated ones are made from.

use crate::entity::Pools;
use crate::error::CorpusError;
use crate::population::Pool;
use crate::random::mix;
use crate::template::Template;

/// The real CloudTrail corpus, 3,322 events; its sources and licences are in `corpus/LICENSE.md`.
const REAL: &[u8] = include_bytes!("../corpus/cloudtrail.ndjson.zst");
const REAL_BYTES_MAX: usize = 8 << 20;
/// A few of them, together with rarer shapes, in plain text.
const SMALL: &[u8] = include_bytes!("../../tests/fixtures/corpus/cloudtrail.ndjson");

/// Templates from a small corpus of events, ready to be filled.
#[derive(Debug, Clone)]
pub struct Corpus {
    templates: Vec<Template>,
    pools: Pools,
}

impl Corpus {
    /// Reads events, one JSON object a line. Lines that are no object, or in which nothing can be replaced, are left out.
    ///
    /// # Errors
    /// When no line is usable.
    pub fn from_ndjson(bytes: &[u8]) -> Result<Corpus, CorpusError> {
        let mut pools = Pools::default();
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let templates: Vec<Template> = lines.filter_map(|line| Template::read(line, &mut pools)).collect();
        if templates.is_empty() {
            return Err(CorpusError::new("the corpus has no usable event"));
        }
        Ok(Corpus { templates, pools })
    }

    /// The embedded small corpus: a few hundred CloudTrail events of many shapes.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn small() -> Result<Corpus, CorpusError> {
        Corpus::from_ndjson(SMALL)
    }

    /// The embedded real corpus: 3,322 CloudTrail events, neighbours as they were recorded.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn real() -> Result<Corpus, CorpusError> {
        Corpus::from_ndjson(&real_ndjson()?)
    }

    /// How many events of the corpus are used.
    #[must_use]
    pub fn templates_count(&self) -> usize {
        self.templates.len()
    }

    pub(crate) fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// Splits so many resources over the kinds by how often each is mentioned.
    pub(crate) fn pools(&self, resources: u64, seed: u64) -> Vec<Pool> {
        let mentions: u64 = self.pools.kinds.iter().map(|(_, mentions)| mentions).sum();
        let share = |m: u64| (u128::from(resources) * u128::from(m) / u128::from(mentions.max(1))) as u64;
        let pool = |(number, (kind, m)): (usize, &(_, u64))| Pool::new(Clone::clone(kind), share(*m).max(3), mix(seed) ^ number as u64);
        self.pools.kinds.iter().enumerate().map(pool).collect()
    }
}

/// The text of the embedded real corpus, one event a line.
///
/// # Errors
/// None in a build that passed its tests.
pub fn real_ndjson() -> Result<Vec<u8>, CorpusError> {
    zstd::bulk::decompress(REAL, REAL_BYTES_MAX).map_err(|e| CorpusError::new(format!("the embedded corpus cannot be unpacked: {e}")))
}

/// The text of the embedded small corpus, one event a line.
#[must_use]
pub fn small_ndjson() -> &'static [u8] {
    SMALL
}
