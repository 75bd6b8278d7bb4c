//! Parquet files: `TRAIL/day=2026-11-22/000000000001-00000000000000000001-00000000000000010000.parquet`.
//!
//! Problem: engines for analysis want columns, with types and statistics, under names of a partition. Mechanism: one row an event, in the order of the
//! sequences: `sequence`, `received_at`, `event_time`, a column for every dimension of the schema, and `event`, the text. A dimension that can have several
//! terms by the schema is a list of strings, another a string; both are null where there is none. Pages are packed with zstd; row groups and pages
//! have the smallest and largest value of each column but the text. Written by hand over the column writer, without Arrow, which would triple what is
//! compiled. Limits: times are in microseconds; of a dimension that by the schema has one term, the first is there.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use trail_engine::event::{DimensionSchema, Path, Pick, Step, Take, TermReader};
use trail_engine::id::Day;
use trail_engine::index::StoredEvent;

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::{Format, FormatKind, Named};
use crate::trails::sink::object::ndjson::{key, read_key, since};
use crate::trails::sink::object::store::Object;

/// The row for the table of formats.
pub const FORMAT: FormatKind = FormatKind { name: "parquet", make };

const SUFFIX: &str = ".parquet";
const ZSTD_LEVEL: i32 = 3;
/// The rows of a row group.
const GROUP: usize = 50_000;
/// Columns that every file has; a dimension of such a name has `_` behind it.
const OWN: [&str; 4] = ["sequence", "received_at", "event_time", "event"];

#[derive(Debug)]
struct Parquet {
    reader: TermReader,
    /// For each dimension, whether it can have several terms.
    several: Vec<bool>,
    schema: TypePtr,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Format>, String> {
    Ok(Box::new(Parquet::new(order.schema)?))
}

/// Whether a dimension can have several terms in one event.
fn has_several(schema: &DimensionSchema, name: &str) -> bool {
    let mappings = schema.kinds.iter().flat_map(|kind| &kind.mappings).filter(|mapping| mapping.dimension == name);
    let any = |path: &Path| path.steps.contains(&Step::Any);
    let several = |take: &Take| matches!(take, Take::Keys | Take::Split(_));
    let mut mappings = mappings;
    mappings.any(|mapping| mapping.pick == Pick::All || mapping.sources.iter().any(|source| several(&source.take) || any(&source.path)))
}

fn message(schema: &DimensionSchema, several: &[bool]) -> String {
    let mut text = "message event {\n\
        required int64 sequence (integer(64,false));\n\
        required int64 received_at (timestamp(micros,true));\n\
        required int64 event_time (timestamp(micros,true));\n"
        .to_owned();
    for (dimension, several) in schema.dimensions.iter().zip(several) {
        let name = column(&dimension.name);
        text += &match several {
            true => format!("optional group {name} (list) {{ repeated group list {{ required binary element (string); }} }}\n"),
            false => format!("optional binary {name} (string);\n"),
        };
    }
    text + "required binary event (string);\n}"
}

fn column(dimension: &str) -> String {
    if OWN.contains(&dimension) { format!("{dimension}_") } else { dimension.to_owned() }
}

/// The terms of one dimension in the rows of a group, with Parquet's levels.
#[derive(Debug, Default)]
struct Terms {
    values: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Parquet {
    fn new(schema: &DimensionSchema) -> Result<Parquet, String> {
        let several: Vec<bool> = schema.dimensions.iter().map(|dimension| has_several(schema, &dimension.name)).collect();
        let parsed = parse_message_type(&message(schema, &several)).map_err(|e| format!("no Parquet schema of the dimensions: {e}"))?;
        Ok(Parquet { reader: TermReader::new(schema.clone()), several, schema: Arc::new(parsed) })
    }

    fn file(&self, batch: &Batch) -> Result<Vec<u8>, ParquetError> {
        let text = || ColumnPath::from("event");
        let properties = WriterProperties::builder()
            .set_created_by("traild".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_column_statistics_enabled(text(), EnabledStatistics::None)
            .set_column_dictionary_enabled(text(), false)
            .build();
        let bytes = Vec::with_capacity(usize::try_from(batch.bytes / 8).unwrap_or(0));
        let mut file = SerializedFileWriter::new(bytes, self.schema.clone(), Arc::new(properties))?;
        for events in batch.events.chunks(GROUP) {
            let terms = self.terms(events)?;
            let mut group = file.next_row_group()?;
            write::<Int64Type>(&mut group, &numbers(events, |event| event.sequence.0 as i64), None, None)?;
            write::<Int64Type>(&mut group, &numbers(events, |event| event.received_at.0.div_euclid(1_000)), None, None)?;
            write::<Int64Type>(&mut group, &numbers(events, |event| event.event_time.0.div_euclid(1_000)), None, None)?;
            for (terms, several) in terms.iter().zip(&self.several) {
                let repetition = several.then_some(terms.repetition.as_slice());
                write::<ByteArrayType>(&mut group, &terms.values, Some(&terms.definition), repetition)?;
            }
            let texts: Vec<ByteArray> = events.iter().map(|event| ByteArray::from(event.text.clone())).collect();
            write::<ByteArrayType>(&mut group, &texts, None, None)?;
            group.close()?;
        }
        file.into_inner()
    }

    /// The terms of all dimensions, in the order of the schema.
    fn terms(&self, events: &[Arc<StoredEvent>]) -> Result<Vec<Terms>, ParquetError> {
        let mut columns: Vec<Terms> = self.several.iter().map(|_| Terms::default()).collect();
        let mut found: Vec<usize> = vec![0; columns.len()];
        for event in events {
            found.fill(0);
            let mut take = |dimension: u16, term: &str| {
                let at = usize::from(dimension);
                let (Some(terms), Some(count), Some(several)) = (columns.get_mut(at), found.get_mut(at), self.several.get(at)) else {
                    return;
                };
                if *count == 0 || *several {
                    terms.values.push(ByteArray::from(term));
                    terms.definition.push(if *several { 2 } else { 1 });
                    terms.repetition.push(i16::from(*count > 0));
                    *count += 1;
                }
            };
            self.reader.terms(&event.text, &mut take).map_err(|e| ParquetError::General(e.to_string()))?;
            for (terms, _) in columns.iter_mut().zip(&found).filter(|(_, count)| **count == 0) {
                terms.definition.push(0);
                terms.repetition.push(0);
            }
        }
        Ok(columns)
    }
}

fn numbers(events: &[Arc<StoredEvent>], number: impl Fn(&StoredEvent) -> i64) -> Vec<i64> {
    events.iter().map(|event| number(event)).collect()
}

/// Writes the next column of a row group.
fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("there are more columns than the schema has".into()))?;
    column.typed::<T>().write_batch(values, definition, repetition)?;
    column.close()
}

impl Format for Parquet {
    fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault> {
        let file = self.file(batch).map_err(|e| Fault::refused(format!("it cannot be written as Parquet: {e}")))?;
        Ok(vec![Object::of_batch(batch, key(batch, SUFFIX), file, "application/vnd.apache.parquet")])
    }

    fn folder(&self, trail: &str) -> Option<String> {
        Some(format!("{trail}/"))
    }

    fn since(&self, trail: &str, day: Day) -> Option<String> {
        Some(since(trail, day))
    }

    fn names_ranges(&self) -> bool {
        true
    }

    fn mark(&self, key: &str) -> Option<Named> {
        read_key(key, SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;
    use crate::dialect::default_schema;
    use crate::trails::sink::object::sample::batch;

    #[test]
    fn every_event_is_a_row_with_its_dimensions() {
        let format = Parquet::new(&default_schema().unwrap()).unwrap();
        let texts = [
            r#"{"eventID":"1","eventName":"GetObject","eventSource":"s3.amazonaws.com","awsRegion":"eu-1","userIdentity":{"accountId":"1"},"recipientAccountId":"2"}"#,
            r#"{"something":"else"}"#,
        ];
        let batch = batch("all", &texts);
        let made = format.encode(&batch).unwrap();
        assert_eq!(made, format.encode(&batch).unwrap());
        assert_eq!(format.mark(&made[0].key), Some(Named { number: 41, first: Some(batch.first), last: batch.last }));
        let file = SerializedFileReader::new(made[0].bytes.clone()).unwrap();
        assert!(file.metadata().row_group(0).column(0).statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some()));
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(rows.len(), 2);
        for (row, (event, text)) in rows.iter().zip(batch.events.iter().zip(texts)) {
            assert_eq!(row.get_ulong(0).unwrap(), event.sequence.0);
            assert_eq!(row.get_timestamp_micros(1).unwrap(), event.received_at.0 / 1_000);
            assert_eq!(row.get_string(row.len() - 1).unwrap(), text);
        }
        for part in ["event_name: \"GetObject\"", "service: \"s3.amazonaws.com\"", "account_id: [\"1\", \"2\"]", "user_agent: null"] {
            assert!(shown[0].contains(part), "{part}: {}", shown[0]);
        }
        assert!(shown[1].contains("account_id: null") && shown[1].contains("event_name: null"), "{}", shown[1]);
    }

    #[test]
    fn a_text_that_has_no_terms_is_refused_and_the_rest_is_not() {
        let format = Parquet::new(&default_schema().unwrap()).unwrap();
        let fault = format.encode(&batch("all", &["{}", "{\"eventName\":"])).unwrap_err();
        assert_eq!(fault.kind, crate::trails::sink::fault::FaultKind::Refused);
        assert!(fault.message.starts_with("it cannot be written as Parquet: "), "{fault}");
        assert!(format.encode(&batch("all", &["{}"])).is_ok());
    }

    #[test]
    fn a_dimension_with_the_name_of_a_column_of_every_file_stands_beside_it() {
        let mut schema = default_schema().unwrap();
        schema.dimensions[0].name = "event".into();
        let text = message(&schema, &vec![true; schema.dimensions.len()]);
        assert!(text.contains("group event_ (list)") && parse_message_type(&text).is_ok(), "{text}");
    }
}
