//! Sorted terms of several inputs into one dictionary, and for each input where its terms went.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::segment::dictionary::walk::TermWalk;
use crate::segment::dictionary::writer::DictionaryWriter;
use crate::segment::file::component::Component;
use crate::segment::file::writer::SegmentFileWriter;
use crate::segment::merge::write::Breath;
use crate::segment::read::opened::Segment;

/// How many terms are merged between two breaths.
const BREATH_TERMS: u32 = 2_048;

/// The dictionary of the merged segment: written while it is made.
pub(super) struct Terms<'a> {
    inputs: &'a [Arc<Segment>],
    walks: Vec<TermWalk<'a>>,
    dictionary: DictionaryWriter,
    pages: Vec<u8>,
}

/// Where the terms of one input went: for each of a group of terms its place in the merged group.
pub(super) type Places = Vec<u32>;

/// The next term of an input.
struct Front {
    input: usize,
    /// Its first bytes as a number, which orders most terms.
    start: u64,
    terms: Range<u32>,
    places: Places,
}

impl<'a> Terms<'a> {
    /// Begins the component.
    pub(super) fn new(inputs: &'a [Arc<Segment>], file: &mut SegmentFileWriter) -> Result<Terms<'a>> {
        let walks = inputs.iter().map(|input| input.dictionary().map(TermWalk::new)).collect::<Result<_>>()?;
        file.start(Component::Dictionary, 0)?;
        Ok(Terms { inputs, walks, dictionary: DictionaryWriter::default(), pages: Vec::new() })
    }

    /// How many terms there are up to now.
    pub(super) fn len(&self) -> u32 {
        self.dictionary.len()
    }

    /// Calls `visit` with each term of an input's range.
    pub(super) fn for_each(&mut self, input: usize, terms: Range<u32>, mut visit: impl FnMut(&[u8])) -> Result<()> {
        let Some(walk) = self.walks.get_mut(input) else { return Ok(()) };
        for ordinal in terms {
            load(self.inputs, input, walk, ordinal)?;
            visit(walk.term());
        }
        Ok(())
    }

    /// Merges one group of terms from each of several inputs; returns for each of them where its terms went.
    pub(super) fn merge(
        &mut self,
        groups: &[(usize, Range<u32>)],
        file: &mut SegmentFileWriter,
        breathe: &mut Breath<'_>,
    ) -> Result<Vec<Places>> {
        let mut done: Vec<(usize, Places)> = Vec::new();
        let mut fronts = Vec::with_capacity(groups.len());
        for (input, terms) in groups {
            let places = Vec::with_capacity(terms.len());
            fronts.push(Front { input: *input, start: 0, terms: terms.clone(), places });
        }
        fronts.iter_mut().try_for_each(|front| self.load(front))?;
        let first = self.dictionary.len();
        loop {
            // An input without terms has an empty place at the end.
            done.extend(fronts.extract_if(.., |front| front.terms.is_empty()).map(|front| (front.input, front.places)));
            let Some(least) = self.least(&fronts) else { break };
            self.take(&mut fronts, least, first)?;
            if self.dictionary.len().is_multiple_of(BREATH_TERMS) {
                self.write_pages(file)?;
                breathe()?;
            }
        }
        self.write_pages(file)?;
        done.sort_unstable_by_key(|(input, _)| *input);
        Ok(done.into_iter().map(|(_, places)| places).collect())
    }

    fn least(&self, fronts: &[Front]) -> Option<usize> {
        let mut least: Option<(usize, &Front)> = None;
        for (at, front) in fronts.iter().enumerate() {
            if least.is_none_or(|(_, least)| self.is_below(front, least)) {
                least = Some((at, front));
            }
        }
        least.map(|(at, _)| at)
    }

    fn is_below(&self, a: &Front, b: &Front) -> bool {
        a.start < b.start || (a.start == b.start && self.term(a) < self.term(b))
    }

    fn term(&self, front: &Front) -> &[u8] {
        self.walks.get(front.input).map(TermWalk::term).unwrap_or_default()
    }

    /// Takes the least term from all inputs that have it.
    fn take(&mut self, fronts: &mut [Front], least: usize, first: u32) -> Result<()> {
        let Some(front) = fronts.get(least) else { return Ok(()) };
        let (start, walk) = (front.start, front.input);
        let Some(term) = self.walks.get(walk).map(TermWalk::term) else { return Ok(()) };
        let place = self.dictionary.push(term)? - first;
        // Those in front of it are above it.
        let mut holders = [0u64; 4];
        for (at, front) in fronts.iter().enumerate().skip(least) {
            if front.start == start && (at == least || self.term(front) == self.walks.get(walk).map(TermWalk::term).unwrap_or_default())
                && let Some(word) = holders.get_mut(at / 64)
            {
                *word |= 1 << (at % 64);
            }
        }
        for (at, front) in fronts.iter_mut().enumerate().skip(least) {
            if holders.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1) {
                front.places.push(place);
                front.terms.start += 1;
                self.load(front)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, front: &mut Front) -> Result<()> {
        if front.terms.is_empty() {
            return Ok(());
        }
        let Some(walk) = self.walks.get_mut(front.input) else { return Ok(()) };
        load(self.inputs, front.input, walk, front.terms.start)?;
        front.start = start_of(walk.term());
        Ok(())
    }

    fn write_pages(&mut self, file: &mut SegmentFileWriter) -> Result<()> {
        self.pages.clear();
        self.dictionary.take_pages(&mut self.pages);
        file.write(&self.pages)
    }

    /// Ends the component.
    pub(super) fn finish(mut self, file: &mut SegmentFileWriter) -> Result<()> {
        self.pages.clear();
        self.dictionary.finish(&mut self.pages)?;
        file.write(&self.pages)?;
        file.end().map(|_| ())
    }
}

fn load(inputs: &[Arc<Segment>], input: usize, walk: &mut TermWalk<'_>, ordinal: u32) -> Result<()> {
    walk.load(ordinal).map_err(|e| match inputs.get(input) {
        Some(segment) => segment.locate(e.in_component("dictionary")),
        None => e,
    })
}

/// The first 8 bytes as a number, filled up with zeros: never greater for a lesser term.
fn start_of(term: &[u8]) -> u64 {
    match term.first_chunk::<8>() {
        Some(start) => u64::from_be_bytes(*start),
        None => {
            let mut start = [0; 8];
            start.iter_mut().zip(term).for_each(|(slot, byte)| *slot = *byte);
            u64::from_be_bytes(start)
        }
    }
}
