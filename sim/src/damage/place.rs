//! [`part_of`]: which part of a file a byte is, in the words of `engine/FORMAT.md`; and [`UNPROVED`], the parts that nothing proves.
//!
//! It knows the frames of a format and trusts nothing of the engine: what the engine passes over is to be found by something else.

/// A part with no proof, and why a wrong byte in it cannot matter. Every byte of all other parts must be found when it is wrong.
pub const UNPROVED: [(&str, &str); 2] = [
    ("journal: padding of a frame", "no reader looks at it, and the next frame's place does not depend on it"),
    ("journal: behind the last frame", "the end, and what a file held before it was used again: the next group writes over it"),
];

const SEGMENT_TRAILER: usize = 32;
const TABLE_ENTRY: usize = 28;
const FILE_HEADER: usize = 64;
const FRAME_HEADER: usize = 64;
const FRAME_MAGIC: [u8; 4] = [0x54, 0x4a, 0x46, 1];
const COMPONENTS: [&str; 14] = [
    "?",
    "meta",
    "shapes",
    "columns",
    "dictionary",
    "blocks",
    "block directory",
    "timestamps",
    "sequences",
    "received",
    "dimensions",
    "postings",
    "unique index",
    "predictions",
];

/// The part of an undamaged file that a byte is in.
#[must_use]
pub fn part_of(name: &str, whole: &[u8], at: usize) -> String {
    match name.split('-').next() {
        _ if at >= whole.len() => "behind the end of the file".to_owned(),
        Some("segment") => part_of_segment(whole, at),
        Some("journal") => format!("journal: {}", part_of_journal(whole, at)),
        _ => name.to_owned(),
    }
}

/// The name of a part in [`UNPROVED`]; none where its bytes are proved.
#[must_use]
pub fn unproved_part(part: &str) -> Option<&'static str> {
    UNPROVED.iter().find(|(name, _)| *name == part).map(|(name, _)| *name)
}

/// The parts that have other bytes than they had, or none, each once.
#[must_use]
pub fn changed_parts(name: &str, whole: &[u8], damaged: &[u8]) -> Vec<String> {
    let is_changed = |at: &usize| whole.get(*at) != damaged.get(*at);
    let mut parts: Vec<String> = (0..whole.len().max(damaged.len())).filter(is_changed).map(|at| part_of(name, whole, at)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn part_of_segment(whole: &[u8], at: usize) -> String {
    let trailer = whole.len() - SEGMENT_TRAILER;
    let table = number(whole, trailer, 8);
    if at < 32 || at >= table {
        let part = if at < 32 { "header" } else { ["component table", "trailer"][usize::from(at >= trailer)] };
        return format!("segment: {part}");
    }
    let entries = (table..trailer).step_by(TABLE_ENTRY);
    let holds = |entry: &usize| (number(whole, entry + 8, 8)..number(whole, entry + 8, 8) + number(whole, entry + 16, 8)).contains(&at);
    let kind = entries.into_iter().find(holds).map(|entry| number(whole, entry, 2));
    format!("segment: {}", kind.map_or("padding", |kind| COMPONENTS.get(kind).copied().unwrap_or("?")))
}

fn part_of_journal(whole: &[u8], at: usize) -> &'static str {
    if at < FILE_HEADER {
        return "file header";
    }
    let mut frame = FILE_HEADER;
    while whole.get(frame..frame + 4) == Some(&FRAME_MAGIC) {
        let payload_end = frame + FRAME_HEADER + number(whole, frame + 44, 4);
        let end = payload_end.next_multiple_of(8);
        if at < end {
            return match at {
                _ if at < frame + FRAME_HEADER => "frame header",
                _ if at < payload_end => "payload",
                _ => "padding of a frame",
            };
        }
        frame = end;
    }
    "behind the last frame"
}
