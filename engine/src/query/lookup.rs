//! Single events: by id, and by sequence.

use crate::error::Result;
use crate::event::schema::EVENT_ID;
use crate::id::Sequence;
use crate::index::StoredEvent;
use crate::matcher::Matcher;
use crate::query::context::Context;
use crate::query::fetch::{fetch, fetch_some};
use crate::query::sequences;

/// All visible events with an id, in sequence order; of any age.
///
/// # Errors
/// What the parts and the budget give.
pub fn events_by_id(context: &Context<'_>, event_id: &str) -> Result<Vec<StoredEvent>> {
    let matcher = Matcher::exact(event_id);
    let mut found = Vec::new();
    for (number, part) in context.parts.iter().enumerate() {
        if !part.has_dimension(EVENT_ID) {
            continue;
        }
        let documents = part.term_documents(EVENT_ID, &matcher, 0..part.extent().documents, context.budget)?;
        sequences::for_each_key(&**part, documents.iter(), context.budget, |document, key| {
            if key.sequence <= context.upper {
                found.push((key.sequence, number, document));
            }
            Ok(())
        })?;
    }
    found.sort_unstable();
    fetch(context, &found.iter().map(|(_, part, document)| (*part, *document)).collect::<Vec<_>>())
}

/// The event at a position, when it is visible and still kept.
///
/// # Errors
/// What the parts and the budget give.
pub fn event_at(context: &Context<'_>, sequence: Sequence) -> Result<Option<StoredEvent>> {
    if sequence > context.upper {
        return Ok(None);
    }
    for part in context.parts.iter().filter(|part| sequences::of(&part.extent()).contains(&sequence.0)) {
        if let Some(document) = part.document_of(sequence)? {
            return Ok(fetch_some(context, &**part, &[document])?.pop());
        }
    }
    Ok(None)
}
