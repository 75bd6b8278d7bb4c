//! [`EventWriter`]: events as rows of a table, as objects of some fields, or as they came; for `search` and `tail`.
//!
//! A table of the default columns is shaped by what there is: columns without any value are left out, and the last ones when the
//! terminal has no room for them. Asked-for columns are all shown. What comes later has the shape of the first page; when it fills a
//! column that was left out as empty, the table begins anew with another heading.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::events::fields::{DEFAULT, Fields, Row};
use crate::cli::exit::Failure;
use crate::cli::terminal::output::{Format, Output, cells};
use crate::cli::terminal::table::Table;
use crate::dialect::default_schema;

/// A default column that is narrower than this, and than what it holds, is left out.
const COLUMN_CELLS: usize = 12;

/// What a default column is taken to need before anything of the stream was seen.
const TYPICAL: [&str; 6] =
    ["2026-11-22T08:00:00Z", "a-session-of-a-role", "DescribeInstanceStatus", "203.0.113.200", "arn:aws:s3:::a-bucket", "AccessDenied"];

/// An event with its envelope.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) sequence: u64,
    #[serde(default)]
    pub(super) received_at: String,
    #[serde(default)]
    pub(super) event_time: String,
    pub(super) event: Box<RawValue>,
}

/// Which columns are shown, and how wide.
#[derive(Debug)]
struct Shape {
    columns: Vec<usize>,
    widths: Vec<usize>,
    /// Columns that had something in them and no room.
    crowded_out: Vec<usize>,
}

/// Writes events in one of the formats.
#[derive(Debug)]
pub(super) struct EventWriter {
    fields: Option<Fields>,
    format: Format,
    /// Whether nobody asked for these columns by name.
    by_default: bool,
    /// For each field whether any event had a value there.
    filled: Vec<bool>,
    shape: Option<Shape>,
}

impl EventWriter {
    /// A writer; without names it has the default columns, or writes whole events.
    pub(super) fn new(names: &[String], format: Format) -> Result<EventWriter, Failure> {
        let fields = match (names.is_empty(), format) {
            (true, Format::Json) => None,
            (true, Format::Table) => Some(Fields::parse(&DEFAULT, default_schema()?)?),
            (false, _) => Some(Fields::parse(names, default_schema()?)?),
        };
        let filled = fields.iter().flat_map(Fields::columns).map(|_| false).collect();
        Ok(EventWriter { fields, format, by_default: names.is_empty(), filled, shape: None })
    }

    /// The same for events that come one by one, where the first says little about the others.
    pub(super) fn streaming(names: &[String], format: Format) -> Result<EventWriter, Failure> {
        let mut writer = EventWriter::new(names, format)?;
        if let Some(fields) = writer.fields.as_ref().filter(|_| format == Format::Table) {
            let mut typical = Table::new(fields.columns());
            let known = |name: &str| DEFAULT.iter().position(|d| *d == name).and_then(|i| TYPICAL.get(i)).copied();
            typical.row(fields.columns().map(|(name, _)| known(name).unwrap_or("a-value-of-some-length")));
            writer.shape = Some(writer.shape_of(&typical, cells()));
        }
        Ok(writer)
    }

    /// Writes the heading before any event is there.
    pub(super) fn heading(&self, output: &mut Output) -> Result<(), Failure> {
        let (Some(fields), Some(shape)) = (&self.fields, &self.shape) else { return Ok(()) };
        let table = Table::new(fields.columns()).select(&shape.columns);
        table.lines(&shape.widths, true).iter().try_for_each(|line| output.line(line))
    }

    /// The fields asked for by name that no event had.
    pub(super) fn never_filled(&self) -> impl Iterator<Item = &str> {
        let names = self.fields.iter().flat_map(Fields::columns).map(|(name, _)| name);
        names.zip(&self.filled).filter(|(_, filled)| !self.by_default && !**filled).map(|(name, _)| name)
    }

    /// Writes a page.
    pub(super) fn write(&mut self, events: &[Found], output: &mut Output) -> Result<(), Failure> {
        let Some(fields) = &self.fields else {
            return events.iter().try_for_each(|found| output.json_line(found.event.get()));
        };
        if events.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(fields.columns());
        let mut objects = Vec::new();
        for found in events {
            let event: Value = serde_json::from_str(found.event.get()).unwrap_or(Value::Null);
            let row = Row { sequence: found.sequence, received_at: &found.received_at, event_time: &found.event_time, event: &event };
            table.row(fields.cells(row));
            objects.extend((self.format == Format::Json).then(|| fields.object(row)));
        }
        self.filled.iter_mut().enumerate().for_each(|(column, filled)| *filled |= table.has_content(column));
        if self.format == Format::Json {
            return objects.iter().try_for_each(|object| output.json_line(&object.to_string()));
        }
        self.lines(&table, cells()).iter().try_for_each(|line| output.line(line))
    }

    /// The lines of a page, under a heading where the shape is new.
    fn lines(&mut self, table: &Table, cells: usize) -> Vec<String> {
        let left_out = |shape: &Shape, i: &usize| !shape.columns.contains(i) && !shape.crowded_out.contains(i);
        let kept = self.shape.take().filter(|shape| !(0..self.filled.len()).any(|i| left_out(shape, &i) && table.has_content(i)));
        let (shape, new) = kept.map_or_else(|| (self.shape_of(table, cells), true), |shape| (shape, false));
        let lines = table.select(&shape.columns).lines(&shape.widths, new);
        self.shape = Some(shape);
        lines
    }

    fn shape_of(&self, table: &Table, cells: usize) -> Shape {
        let natural = table.natural_widths();
        let mut columns: Vec<usize> = (0..natural.len()).filter(|&i| !self.by_default || table.has_content(i)).collect();
        let mut crowded_out = Vec::new();
        loop {
            let widths = table.select(&columns).widths(cells);
            let crowded = columns.iter().zip(&widths).any(|(&i, &w)| natural.get(i).is_some_and(|&n| w < n.min(COLUMN_CELLS)));
            if !(crowded && self.by_default && columns.len() > 1) {
                return Shape { columns, widths, crowded_out };
            }
            crowded_out.extend(columns.pop());
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
