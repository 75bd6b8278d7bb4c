//! [`TermReader`]: the dimensions' terms of events that are stored already, for whoever writes them elsewhere.
//!
//! The same pass over the text as when an event is stored, so that what is written elsewhere has the same terms as the index. Limits: one event at a
//! time; the shapes that were seen are remembered by each reader for itself.

use super::batch::Batch;
use super::extract::Extractor;
use super::schema::DimensionSchema;
use crate::error::{Error, Result};

/// Reads the terms of events by a schema.
#[derive(Debug)]
pub struct TermReader(Extractor);

impl TermReader {
    /// A reader by this schema.
    #[must_use]
    pub fn new(schema: DimensionSchema) -> TermReader {
        TermReader(Extractor::new(schema))
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &DimensionSchema {
        self.0.schema()
    }

    /// Calls for each term of an event, with the ordinal of its dimension. A term comes once, in no order that means anything but always the same.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the text is no event.
    pub fn terms(&self, text: &[u8], each: &mut dyn FnMut(u16, &str)) -> Result<()> {
        let (batch, rejections) = self.0.prepare(&mut std::iter::once(text))?;
        let found = match rejections.first() {
            Some(rejection) => Err(Error::invalid(rejection.message.clone())),
            None => visit(&batch, each),
        };
        self.0.recycle(batch);
        found
    }
}

fn visit(batch: &Batch, each: &mut dyn FnMut(u16, &str)) -> Result<()> {
    for event in &batch.events {
        for number in batch.terms_of(event) {
            let Some((term, text)) = batch.term(*number) else { continue };
            let text = std::str::from_utf8(text).map_err(|e| Error::invalid("a term is not UTF-8").because(e))?;
            each(term.dimension, text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Dimension, DimensionKind, EventKind, Mapping, Path, Pick, Source};

    #[test]
    fn terms_are_those_of_the_schema() {
        let mapping = |dimension: &str, path: &str| Mapping {
            dimension: dimension.into(),
            pick: Pick::All,
            sources: vec![Source::value(Path::parse(path).unwrap())],
        };
        let dimension = |name: &str| Dimension { name: name.into(), kind: DimensionKind::Keyword };
        let kind = EventKind {
            name: "any".into(),
            recognise: Vec::new(),
            event_id: Vec::new(),
            event_time: Vec::new(),
            mappings: vec![mapping("user", "who"), mapping("thing", "things.name")],
        };
        let schema = DimensionSchema { dimensions: vec![dimension("user"), dimension("thing")], kinds: vec![kind] };
        let reader = TermReader::new(schema);
        for _ in 0..2 {
            let mut found = Vec::new();
            let text = br#"{"who":"alice","things":[{"name":"a\u0062"},{"name":"c"},{"name":"c"}],"other":1}"#;
            reader.terms(text, &mut |dimension, term| found.push((dimension, term.to_owned()))).unwrap();
            found.sort_unstable();
            assert_eq!(found, [(0, "alice".to_owned()), (1, "ab".to_owned()), (1, "c".to_owned())]);
        }
        assert!(reader.terms(b"[]", &mut |_, _| {}).is_err());
    }
}
