//! The documents of the terms of one keyword dimension: the lists of all inputs under new document numbers.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::segment::merge::breath::Breath;
use crate::segment::merge::order::Order;
use crate::segment::merge::terms::Places;
use crate::segment::postings::lists::{PostingsReader, PostingsWriter};
use crate::segment::read::opened::Segment;

/// How many documents are moved between two breaths.
const BREATH_DOCUMENTS: usize = 100_000;

/// Merges the lists of a dimension with so many terms; `places` says where the terms of each input went.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the input; what `breathe` gives.
pub(super) fn merge_lists(
    inputs: &[Arc<Segment>],
    (ordinal, terms): (u16, u32),
    places: &[Places],
    order: &Order,
    breathe: &mut Breath<'_>,
) -> Result<PostingsWriter> {
    let mut lists = Vec::with_capacity(inputs.len());
    for ((number, input), places) in inputs.iter().enumerate().zip(places) {
        lists.push(Lists { input, postings: input.postings(ordinal)?, places, moved: order.moved(number), next: 0 });
    }
    let (mut writer, mut documents, mut since) = (PostingsWriter::default(), Vec::new(), 0);
    for term in 0..terms {
        documents.clear();
        for list in &mut lists {
            list.take(term, &mut documents).map_err(|e| list.input.locate(e.in_component(format!("postings {ordinal}"))))?;
        }
        // Each input gives ascending documents, so this merges runs; where days do not overlap there is but one.
        if !documents.is_sorted() {
            documents.sort();
        }
        writer.push(&documents)?;
        since += documents.len() + 1;
        if since > BREATH_DOCUMENTS {
            breathe()?;
            since = 0;
        }
    }
    Ok(writer)
}

/// The lists of one input.
struct Lists<'a> {
    input: &'a Segment,
    postings: PostingsReader<'a>,
    places: &'a [u32],
    moved: &'a [u32],
    next: usize,
}

impl Lists<'_> {
    /// Appends the documents of a term of the merged segment, if this input has it.
    fn take(&mut self, term: u32, documents: &mut Vec<u32>) -> Result<()> {
        if self.places.get(self.next) != Some(&term) {
            return Ok(());
        }
        let (moved, mut missing) = (self.moved, false);
        self.postings.for_each(self.next as u32, |document| match moved.get(document as usize) {
            Some(moved) => documents.push(*moved),
            None => missing = true,
        })?;
        self.next += 1;
        if missing { Err(Error::corrupt("a document of a term is past the end")) } else { Ok(()) }
    }
}
