//! Sorted terms of several inputs into one dictionary, and for each input where its terms went.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::segment::dictionary::walk::TermWalk;
use crate::segment::dictionary::writer::DictionaryWriter;
use crate::segment::file::component::Component;
use crate::segment::file::writer::SegmentFileWriter;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::front::start_of;
use crate::segment::merge::recurring::Recurring;
use crate::segment::read::opened::Segment;

/// How many terms are merged between two breaths.
const BREATH_TERMS: u32 = 2_048;

/// The dictionary of the merged segment: written while it is made.
pub(super) struct Terms<'a> {
    inputs: &'a [Arc<Segment>],
    walks: Vec<TermWalk<'a>>,
    dictionary: DictionaryWriter,
    pages: Vec<u8>,
    /// The strings that are merged with the terms of inputs.
    recurring: Option<Arc<Recurring>>,
    taken: Vec<u8>,
}

/// In place of an input: the strings that are to be terms.
const STRINGS: usize = usize::MAX;

/// Where the terms of one input went: for each of a group of terms its place in the merged group.
pub(super) type Places = Arc<Vec<u32>>;

/// The next term of an input.
struct Front {
    input: usize,
    /// Its first bytes as a number, which orders most terms.
    start: u64,
    /// Its number.
    rank: u32,
    terms: Range<u32>,
    places: Vec<u32>,
}

impl<'a> Terms<'a> {
    /// Begins the component.
    pub(super) fn new(inputs: &'a [Arc<Segment>], file: &mut SegmentFileWriter) -> Result<Terms<'a>> {
        let walks = inputs.iter().map(|input| input.dictionary().map(TermWalk::new)).collect::<Result<_>>()?;
        file.start(Component::Dictionary, 0)?;
        Ok(Terms { inputs, walks, dictionary: DictionaryWriter::default(), pages: Vec::new(), recurring: None, taken: Vec::new() })
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

    /// Merges one group of terms from each of several inputs, and the strings that are to be terms; returns for each group where its terms
    /// went, and for the strings, by rank, at the end.
    pub(super) fn merge(
        &mut self,
        groups: &[(usize, Range<u32>)],
        recurring: Option<&Arc<Recurring>>,
        file: &mut SegmentFileWriter,
        breathe: &mut Breath<'_>,
    ) -> Result<Vec<Places>> {
        let mut done: Vec<(usize, Places)> = Vec::new();
        let mut fronts = Vec::with_capacity(groups.len() + 1);
        self.recurring = recurring.cloned();
        let strings = recurring.map(|strings| (STRINGS, 0..strings.len() as u32));
        for (input, terms) in groups.iter().cloned().chain(strings) {
            let places = Vec::with_capacity(terms.len());
            fronts.push(Front { input, start: 0, rank: terms.start, terms, places });
        }
        fronts.iter_mut().try_for_each(|front| self.load(front))?;
        let first = self.dictionary.len();
        loop {
            // An input without terms has an empty place at the end.
            done.extend(fronts.extract_if(.., |front| front.terms.is_empty()).map(|front| (front.input, Arc::new(front.places))));
            let Some(least) = self.least(&fronts) else { break };
            self.take(&mut fronts, least, first)?;
            if self.dictionary.len().is_multiple_of(BREATH_TERMS) {
                self.write_pages(file)?;
                breathe()?;
            }
        }
        self.recurring = None;
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
        match &self.recurring {
            Some(strings) if front.input == STRINGS => strings.value(strings.number_at(front.rank)),
            _ => self.walks.get(front.input).map(TermWalk::term).unwrap_or_default(),
        }
    }

    /// Takes the least term from all inputs that have it.
    fn take(&mut self, fronts: &mut [Front], least: usize, first: u32) -> Result<()> {
        let Some(front) = fronts.get(least) else { return Ok(()) };
        self.taken.clear();
        let mut taken = std::mem::take(&mut self.taken);
        taken.extend_from_slice(self.term(front));
        let (start, place) = (front.start, self.dictionary.push(&taken)? - first);
        // Those in front of it are above it.
        for front in fronts.iter_mut().skip(least) {
            if front.start == start && self.term(front) == taken {
                front.places.push(place);
                front.terms.start += 1;
                self.load(front)?;
            }
        }
        self.taken = taken;
        Ok(())
    }

    fn load(&mut self, front: &mut Front) -> Result<()> {
        if front.terms.is_empty() {
            return Ok(());
        }
        front.rank = front.terms.start;
        if let Some(walk) = self.walks.get_mut(front.input) {
            load(self.inputs, front.input, walk, front.terms.start)?;
        }
        front.start = start_of(self.term(front));
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
