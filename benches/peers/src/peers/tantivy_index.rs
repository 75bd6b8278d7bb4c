//! The process that holds the index of [`super::Tantivy`]: it stores a file and answers questions, a line of JSON for each.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tantivy::aggregation::AggregationCollector;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{AllQuery, BooleanQuery, Query, RegexQuery, TermQuery};
use tantivy::schema::{DateOptions, DateTimePrecision, FAST, Field as Column, IndexRecordOption, STORED, STRING, Schema, Value as _};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{DateTime, DocAddress, Index, IndexSettings, IndexWriter, Order, Searcher, TantivyDocument, Term};
use trail_rig::{Result, now};

use crate::peers::tantivy_event::Event;
use crate::question::{Field, Filter, Question};

/// As many threads that index as connections send to servers.
const THREADS: usize = 2;
const WRITER_BYTES: usize = 200 << 20;

/// The declared columns, apart from the time and the event itself.
const NAMES: [&str; 11] = [
    "event_id",
    "event_name",
    "service",
    "region",
    "user",
    "read_only",
    "bucket",
    "account_id",
    "source_ip",
    "access_key_id",
    "error_code",
];

struct Held {
    index: Index,
    writer: Option<IndexWriter>,
    searcher: Option<Searcher>,
    names: Vec<Column>,
    time: Column,
    event: Column,
}

/// Answers until nobody asks any more.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    let mut held = Held::create(directory)?;
    for line in std::io::stdin().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let answer = held.answer(&asked).unwrap_or_else(|failure| json!({ "error": failure.to_string() }));
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

impl Held {
    fn create(directory: &Path) -> Result<Held> {
        let mut schema = Schema::builder();
        let column = |name: &&str| schema.add_text_field(name, if *name == "event_name" { STRING | FAST } else { STRING });
        let names = NAMES.iter().map(column).collect();
        let time = schema.add_date_field("time", DateOptions::default().set_fast().set_precision(DateTimePrecision::Seconds));
        let event = schema.add_text_field("event", STORED);
        // Of what it can compress stored events with, this takes the least room.
        let settings = IndexSettings { docstore_compression: Compressor::Zstd(ZstdCompressor::default()), ..IndexSettings::default() };
        let index = Index::builder().schema(schema.build()).settings(settings).create_in_dir(directory)?;
        let writer = Some(index.writer_with_num_threads(THREADS, WRITER_BYTES)?);
        Ok(Held { index, writer, searcher: None, names, time, event })
    }

    fn answer(&mut self, asked: &Value) -> Result<Value> {
        if let Some(file) = asked["store"].as_str() {
            self.store(Path::new(file))?;
        } else if asked.get("settle").is_some() {
            self.writer.take().ok_or("it is settled already")?.wait_merging_threads()?;
            self.searcher = Some(self.index.reader()?.searcher());
        } else {
            let question = Question::deserialize(&asked["ask"])?;
            let searcher = self.searcher.as_ref().ok_or("it is not settled")?;
            let start = now();
            let mut answer = self.ask(searcher, &question)?;
            answer["seconds"] = start.elapsed().as_secs_f64().into();
            return Ok(answer);
        }
        Ok(json!({}))
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        let writer = self.writer.as_mut().ok_or("nothing can be stored any more")?;
        let mut lines = BufReader::with_capacity(1 << 20, File::open(file)?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let text = line.trim_end();
            let event: Event<'_> = serde_json::from_str(text)?;
            let mut document = TantivyDocument::default();
            for (column, value) in self.names.iter().zip(event.values()) {
                if !value.is_empty() {
                    document.add_text(*column, value);
                }
            }
            let time = trail_corpus::read_end(&event.event_time).ok_or("an event has no time")?;
            document.add_date(self.time, DateTime::from_timestamp_secs(time));
            document.add_text(self.event, text);
            writer.add_document(document)?;
            line.clear();
        }
        writer.commit()?;
        Ok(())
    }

    fn ask(&self, searcher: &Searcher, question: &Question) -> Result<Value> {
        Ok(match question {
            Question::Newest { filter, limit, pages } => {
                let query = self.query(filter)?;
                let mut events = Vec::new();
                for page in 0..*pages {
                    let top = TopDocs::with_limit(*limit).and_offset(page * limit).order_by_fast_field::<DateTime>("time", Order::Desc);
                    let found: Vec<(Option<DateTime>, DocAddress)> = searcher.search(&query, &top)?;
                    for (_, address) in found {
                        let document: TantivyDocument = searcher.doc(address)?;
                        let event = document.get_first(self.event).and_then(|value| value.as_str()).ok_or("an event was not stored")?;
                        events.push(Value::from(event));
                    }
                }
                json!({ "events": events })
            }
            Question::TopNames { limit } => {
                let request = json!({ "terms": { "field": "event_name", "size": limit } });
                json!({ "terms": aggregate(searcher, &AllQuery, request)? })
            }
            Question::Hours { filter } => {
                let request = json!({ "date_histogram": { "field": "time", "fixed_interval": "1h" } });
                json!({ "hours": aggregate(searcher, &*self.query(filter)?, request)? })
            }
            Question::Count { filter } => json!({ "count": searcher.search(&*self.query(filter)?, &Count)? }),
        })
    }

    fn query(&self, filter: &Filter) -> Result<Box<dyn Query>> {
        let mut all: Vec<Box<dyn Query>> = Vec::new();
        for (field, value) in filter {
            let column = |name: &str| NAMES.iter().zip(&self.names).find(|(n, _)| **n == name).map(|(_, c)| *c).ok_or("no such column");
            let exact =
                |name: &str| column(name).map(|c| Box::new(TermQuery::new(Term::from_field_text(c, value), IndexRecordOption::Basic)));
            all.push(match field {
                Field::Id => exact("event_id")?,
                Field::User => exact("user")?,
                Field::EventName => exact("event_name")?,
                Field::Service => exact("service")?,
                Field::Region => exact("region")?,
                Field::ReadOnly => exact("read_only")?,
                Field::BucketPart => {
                    let pattern = format!(".*{}.*", value.replace('.', "\\."));
                    Box::new(RegexQuery::from_pattern(&pattern, column("bucket")?)?)
                }
            });
        }
        Ok(match all.len() {
            0 => Box::new(AllQuery),
            1 => all.remove(0),
            _ => Box::new(BooleanQuery::intersection(all)),
        })
    }
}

fn aggregate(searcher: &Searcher, query: &dyn Query, request: Value) -> Result<Value> {
    let collector = AggregationCollector::from_aggs(serde_json::from_value(json!({ "it": request }))?, Default::default());
    let found = serde_json::to_value(searcher.search(query, &collector)?)?;
    Ok(found["it"]["buckets"].clone())
}
