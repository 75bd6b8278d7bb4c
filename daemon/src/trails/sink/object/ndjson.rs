//! Files with one event a line: `TRAIL/day=2026-11-22/000000000001-00000000000000000001-00000000000000010000.ndjson.zst`.
//!
//! The name has the number of the batch and the first and last sequence that were looked at for it, so that names sort in the order of
//! the log, a hole in the numbers is a lost file, and the last name says how far the trail got. Events stand verbatim; a line break inside of one (between
//! its members, where JSON allows it) becomes a blank, which changes nothing that a reader of JSON sees. `day` is the UTC day of receipt, in
//! the form that Hive, Spark and DuckDB take for a partition.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use trail_engine::id::{Day, Sequence};

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::{Format, FormatKind, Named};
use crate::trails::sink::object::store::Object;

/// The row for the table of formats.
pub const FORMAT: FormatKind = FormatKind { name: "ndjson", make };

/// Files of generated events are 4 % larger than at level 3, for half of its time.
const ZSTD_LEVEL: i32 = 2;
/// How much is packed at a time.
const PIECE_BYTES: usize = 128 << 10;

/// How the lines are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

#[derive(Debug)]
struct Lines {
    packing: Packing,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Format>, String> {
    let packing = match order.members.text("compression") {
        Some("none") => Packing::None,
        Some("gzip") => Packing::Gzip,
        _ => Packing::Zstd,
    };
    Ok(Box::new(Lines { packing }))
}

/// `TRAIL/day=DAY/NUMBER-FIRST-LAST` and a suffix.
#[must_use]
pub fn key(batch: &Batch, suffix: &str) -> String {
    format!("{}/day={}/{:012}-{:020}-{:020}{suffix}", batch.trail, batch.day, batch.number, batch.first.0, batch.last.0)
}

/// What sorts before the names that [`key`] makes of a day.
#[must_use]
pub fn since(trail: &str, day: Day) -> String {
    format!("{trail}/day={day}")
}

/// What a name made by [`key`] says.
#[must_use]
pub fn read_key(key: &str, suffix: &str) -> Option<Named> {
    let mut parts = key.rsplit('/').next()?.strip_suffix(suffix)?.split('-').map(|part| part.parse::<u64>().ok());
    match (parts.next()??, parts.next()??, parts.next()??, parts.next()) {
        (number, first, last, None) if first <= last => Some(Named { number, first: Some(Sequence(first)), last: Sequence(last) }),
        _ => None,
    }
}

/// Writes the events of a batch, one a line, a piece at a time: a batch is large, and what is still in the processor's cache is packed for less.
///
/// # Errors
/// What `out` gives.
pub fn write_lines(batch: &Batch, mut out: impl Write) -> io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
    for event in &batch.events {
        let start = piece.len();
        piece.extend_from_slice(&event.text);
        if let Some(text) = piece.get_mut(start..).filter(|text| memchr::memchr2(b'\n', b'\r', text).is_some()) {
            text.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        }
        piece.push(b'\n');
        if piece.len() >= PIECE_BYTES {
            out.write_all(&piece)?;
            piece.clear();
        }
    }
    out.write_all(&piece)
}

impl Packing {
    fn suffix(self) -> &'static str {
        match self {
            Packing::None => ".ndjson",
            Packing::Gzip => ".ndjson.gz",
            Packing::Zstd => ".ndjson.zst",
        }
    }

    /// The lines of a batch, packed.
    fn pack(self, batch: &Batch) -> io::Result<Vec<u8>> {
        // Counted again: a header with another length would make the file one that nobody can unpack.
        let length = batch.events.iter().map(|event| event.text.len() as u64 + 1).sum::<u64>();
        let packed = Vec::with_capacity(usize::try_from(length / 8).unwrap_or(0));
        match self {
            Packing::None => {
                let mut lines = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
                write_lines(batch, &mut lines)?;
                Ok(lines)
            }
            Packing::Gzip => {
                let mut packer = gzip_writer(packed);
                write_lines(batch, &mut packer)?;
                packer.finish()
            }
            Packing::Zstd => {
                let mut packer = zstd::stream::write::Encoder::new(packed, ZSTD_LEVEL)?;
                packer.set_pledged_src_size(Some(length))?;
                write_lines(batch, &mut packer)?;
                packer.finish()
            }
        }
    }
}

fn gzip_writer(packed: Vec<u8>) -> GzEncoder<Vec<u8>> {
    GzBuilder::new().mtime(0).write(packed, Compression::default())
}

/// A gzip file without a time in it, so that the same bytes give the same file.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = gzip_writer(Vec::with_capacity(bytes.len() / 4));
    packer.write_all(bytes)?;
    packer.finish()
}

impl Format for Lines {
    fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault> {
        let packed = self.packing.pack(batch).map_err(|e| Fault::later(format!("a batch cannot be compressed: {e}")))?;
        Ok(vec![Object::of_batch(batch, key(batch, self.packing.suffix()), packed, "application/x-ndjson")])
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
        read_key(key, self.packing.suffix())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use trail_engine::id::Timestamp;
    use trail_engine::index::StoredEvent;

    use super::*;

    fn batch(texts: &[&str]) -> Batch {
        let event = |(i, text): (usize, &&str)| {
            let at = Timestamp(0);
            let text = text.as_bytes().to_vec();
            Arc::new(StoredEvent { sequence: Sequence(7 + i as u64), received_at: at, event_time: at, time_is_received: false, text })
        };
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        let events = texts.iter().enumerate().map(event).collect();
        Batch { trail: "all".into(), number: 41, first: Sequence(5), last: Sequence(99), day: Day(20_779), events, bytes }
    }

    #[test]
    fn the_name_says_what_is_inside_and_sorts() {
        let batch = batch(&["{}"]);
        let key = key(&batch, ".ndjson.zst");
        assert_eq!(key, "all/day=2026-11-22/000000000041-00000000000000000005-00000000000000000099.ndjson.zst");
        assert_eq!(read_key(&key, ".ndjson.zst"), Some(Named { number: 41, first: Some(Sequence(5)), last: Sequence(99) }));
        for other in
            ["all/day=2026-11-22/x.ndjson.zst", "000000000041-5-4.ndjson.zst", "1-2-3-4.ndjson.zst", "1-2.ndjson.zst", "1-2-3.ndjson"]
        {
            assert_eq!(read_key(other, ".ndjson.zst"), None, "{other}");
        }
    }

    #[test]
    fn lines_come_back_and_the_same_batch_gives_the_same_bytes() {
        let batch = batch(&["{\"a\":1}", "{\n\"b\" :\r\n\"x\\ny\"}"]);
        let wanted = "{\"a\":1}\n{ \"b\" :  \"x\\ny\"}\n";
        for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
            let made = Lines { packing }.encode(&batch).unwrap();
            assert_eq!(made, Lines { packing }.encode(&batch).unwrap());
            let bytes = &made[0].bytes;
            let mut text = String::new();
            match packing {
                Packing::None => text.push_str(std::str::from_utf8(bytes).unwrap()),
                Packing::Gzip => drop(flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap()),
                Packing::Zstd => text.push_str(std::str::from_utf8(&zstd::decode_all(&bytes[..]).unwrap()).unwrap()),
            }
            assert_eq!(text, wanted, "{packing:?}");
            assert_eq!(Lines { packing }.mark(&made[0].key), Some(Named { number: 41, first: Some(Sequence(5)), last: Sequence(99) }));
        }
    }
}
