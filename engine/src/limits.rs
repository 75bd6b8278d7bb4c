//! Every bound of the engine, with its reason. Lengths read from disk or from a client are checked against these before
//! anything is allocated.

/// The longest event, in bytes. Real audit events have at most a few hundred KiB (CloudTrail: 256 KiB).
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The most events in one batch: a batch is one frame, written and acknowledged as one.
pub const BATCH_EVENTS_MAX: usize = 50_000;

/// The most bytes of events in one batch; it bounds a frame, and what replay must hold in memory.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// The deepest nesting of an event. Real events reach 11; the scanner keeps one bit a level and does not recurse.
pub const JSON_DEPTH_MAX: usize = 128;

/// The most values in one event that are shredded; an event with more is kept whole.
pub const EVENT_LEAVES_MAX: usize = 4_096;

/// The longest value that is shredded; an event with a longer one is kept whole.
pub const LEAF_BYTES_MAX: usize = 64 << 10;

/// The most shapes in a head or segment; events of further shapes are kept whole. A million real events have 456.
pub const SHAPES_MAX: usize = 16_384;

/// The most bytes of shape text in a head or segment.
pub const SHAPE_BYTES_MAX: usize = 16 << 20;

/// The most columns in a head or segment; events that need further ones are kept whole. A million real events have 973.
pub const COLUMNS_MAX: usize = 65_536;

/// The most terms that one event gives to all dimensions together; further ones are left out of the index, not out of the event.
pub const EVENT_TERMS_MAX: usize = 1_024;

/// The longest term of a dimension; a longer value is indexed by nothing, but still found by its path.
pub const TERM_BYTES_MAX: usize = 4_096;

/// The most dimensions of a schema.
pub const DIMENSIONS_MAX: usize = 256;

/// The most kinds of events of a schema.
pub const EVENT_KINDS_MAX: usize = 64;

/// The most steps of a path.
pub const PATH_STEPS_MAX: usize = JSON_DEPTH_MAX;

/// The longest pattern or search text of a query.
pub const REGEX_BYTES_MAX: usize = 4_096;

/// The longest text of a query.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// The most comparisons in a query.
pub const QUERY_TERMS_MAX: usize = 1_024;

/// The deepest nesting of parentheses in a query; the parser recurses.
pub const QUERY_DEPTH_MAX: usize = 64;

/// The most filters that are followed at once: a bit each in one word.
pub const FILTERS_MAX: usize = 64;

/// The most events on one page.
pub const PAGE_EVENTS_MAX: usize = 10_000;

/// The most terms in one answer.
pub const TERMS_MAX: usize = 10_000;

/// The most buckets of one histogram.
pub const HISTOGRAM_BUCKETS_MAX: usize = 10_000;

/// The longest cursor that is read.
pub const CURSOR_BYTES_MAX: usize = 512;

/// The most documents in a segment: document numbers are 32 bits wide, and a segment this large has long been sealed.
pub const SEGMENT_DOCUMENTS_MAX: u32 = 1 << 28;

/// Documents in a block. Larger blocks gain little (2,048: 79.9 bytes an event, 16,384: 76.0) and cost time at every fetch.
pub const BLOCK_DOCUMENTS: usize = 2_048;

/// The most bytes that one unit of a block may unfold to: a block of the longest events, each kept whole.
pub const CHUNK_BYTES_MAX: usize = BLOCK_DOCUMENTS * EVENT_BYTES_MAX;

/// The most bytes that one component of a segment may unfold to.
pub const COMPONENT_BYTES_MAX: usize = 1 << 30;

/// Pages of mapped segments are given back when the process has more than this. It holds the program itself, and what questions of every kind
/// read again and again of a month of some ten million events.
pub const MAPPED_BYTES_MAX: u64 = 64 << 20;
