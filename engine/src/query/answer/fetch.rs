//! Fetches events: grouped by part and in document order, so that a block is decoded once, then put into the order asked for.

use crate::error::{Error, Result};
use crate::index::{Index, StoredEvent};
use crate::query::question::context::Context;
use crate::query::question::gaps::pass_over;

/// How many events are fetched before their memory is charged: what a query can hold beyond its budget.
const EVENTS_AT_ONCE: usize = 256;

/// The events of (part number, document), in the order given; those that cannot be read are left out, and noted in the budget. Their
/// text is charged to it.
pub(crate) fn fetch(context: &Context<'_>, documents: &[(usize, u32)]) -> Result<Vec<StoredEvent>> {
    let mut places: Vec<(usize, u32, usize)> =
        documents.iter().enumerate().map(|(place, (part, document))| (*part, *document, place)).collect();
    places.sort_unstable();
    let budget = context.budget;
    let mut slots: Vec<Option<StoredEvent>> = Vec::new();
    slots.resize_with(documents.len(), || None);
    for group in places.chunk_by(|a, b| a.0 == b.0) {
        let Some(index) = group.first().and_then(|(part, ..)| context.parts.get(*part)) else {
            continue;
        };
        for chunk in group.chunks(EVENTS_AT_ONCE) {
            let documents: Vec<u32> = chunk.iter().map(|(_, document, _)| *document).collect();
            let events = match fetch_some(context, &**index, &documents) {
                Ok(events) => events,
                Err(error) => {
                    pass_over(&index.extent(), error, budget)?;
                    continue;
                }
            };
            for ((.., place), event) in chunk.iter().zip(events) {
                if let Some(slot) = slots.get_mut(*place) {
                    *slot = event;
                }
            }
        }
    }
    Ok(slots.into_iter().flatten().collect())
}

/// The events of a few documents of one part; `None` for one that cannot be read.
pub(crate) fn fetch_some(context: &Context<'_>, index: &dyn Index, documents: &[u32]) -> Result<Vec<Option<StoredEvent>>> {
    context.budget.check()?;
    let mut events = Vec::with_capacity(documents.len());
    index.fetch(documents, context.budget, &mut events)?;
    if events.len() != documents.len() {
        return Err(Error::corrupt("events are missing").in_file(index.extent().part.to_string()).expected(documents.len(), events.len()));
    }
    let bytes = events.iter().flatten().map(|e| e.text.len() + size_of::<StoredEvent>()).sum::<usize>();
    context.budget.take_memory(bytes as u64)?;
    Ok(events)
}
