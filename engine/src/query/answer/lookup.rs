//! Single events: by id, and by sequence.

use crate::error::{Error, Result};
use crate::event::schema::EVENT_ID;
use crate::id::Sequence;
use crate::index::{StoredEvent, TimeRange};
use crate::matcher::Matcher;
use crate::query::answer::fetch::{fetch, fetch_some};
use crate::query::question::context::Context;
use crate::query::question::gaps::{note_known, pass_over};
use crate::query::question::request::Page;
use crate::query::question::sequences;

/// All visible events with an id, in sequence order; of any age.
///
/// # Errors
/// What the parts and the budget give.
pub fn events_by_id(context: &Context<'_>, event_id: &str) -> Result<Page> {
    let matcher = Matcher::exact(event_id);
    let mut found = Vec::new();
    note_known(context, &TimeRange::ALL, &(0..u64::MAX));
    for (number, part) in context.parts.iter().enumerate() {
        if !part.has_dimension(EVENT_ID) {
            continue;
        }
        let looked = part.term_documents(EVENT_ID, &matcher, 0..part.extent().documents, context.budget).and_then(|documents| {
            sequences::for_each_key(&**part, documents.iter(), context.budget, |document, key| {
                if key.sequence <= context.upper {
                    found.push((key.sequence, number, document));
                }
                Ok(())
            })
        });
        if let Err(error) = looked {
            pass_over(&part.extent(), error, context.budget)?;
        }
    }
    found.sort_unstable();
    let events = fetch(context, &found.iter().map(|(_, part, document)| (*part, *document)).collect::<Vec<_>>())?;
    Ok(Page { events, incomplete: context.budget.gaps(), ..Page::default() })
}

/// The event at a position, when it is visible and still kept.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when it is damaged, or in a part that cannot be read; and what the budget gives.
pub fn event_at(context: &Context<'_>, sequence: Sequence) -> Result<Option<StoredEvent>> {
    if sequence > context.upper {
        return Ok(None);
    }
    for part in context.parts.iter().filter(|part| sequences::of(&part.extent()).contains(&sequence.0)) {
        let Some(document) = part.document_of(sequence)? else { continue };
        if let Some(event) = fetch_some(context, &**part, &[document])?.pop().flatten() {
            return Ok(Some(event));
        }
    }
    note_known(context, &TimeRange::ALL, &(sequence.0..sequence.0.saturating_add(1)));
    match context.budget.gaps().pop() {
        Some(gap) => Err(Error::corrupt(format!("the event cannot be read: {}", gap.reason)).in_file(gap.part)),
        None => Ok(None),
    }
}
