//! [`ColumnTests`]: what the dictionary of a segment says about a test on values, kept for the next window, page or question.
//!
//! Finding out which terms of a column pass means unfolding all pages of its terms. A segment never changes, so neither does the answer; a page
//! that is evaluated in windows would ask for it several times. The same holds for blocks in which no value passes: they are passed over the next
//! time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shred::select::CodeSet;

/// What is left to do for one column.
#[derive(Debug, Clone)]
pub(crate) enum ColumnTest {
    /// Every value passes.
    All,
    /// Values with these codes pass.
    Codes(CodeSet),
    /// Each value must be tested.
    Each,
}

/// The columns of a segment whose values can pass a test.
#[derive(Debug)]
pub(crate) struct ColumnTests {
    /// Which test, in full: what is found under a hash may be another's.
    pub(crate) of: String,
    /// The columns, ascending.
    pub(crate) columns: Vec<(u32, ColumnTest)>,
    /// A bit for every block: whether it was read and nothing in it passed.
    barren: Box<[AtomicU64]>,
}

impl ColumnTests {
    pub(crate) fn new(of: String, columns: Vec<(u32, ColumnTest)>, blocks: usize) -> ColumnTests {
        ColumnTests { of, columns, barren: (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether it is known that nothing in a block passes.
    pub(crate) fn is_barren(&self, block: usize) -> bool {
        self.barren.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Notes that nothing in a block passes.
    pub(crate) fn set_barren(&self, block: usize) {
        if let Some(word) = self.barren.get(block / 64) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }

    /// What they take in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let codes = |test: &ColumnTest| if let ColumnTest::Codes(codes) = test { codes.memory_bytes() } else { 0 };
        let columns: usize = self.columns.iter().map(|(_, test)| size_of::<(u32, ColumnTest)>() + codes(test)).sum();
        size_of::<ColumnTests>() + self.of.len() + columns + self.barren.len() * 8
    }
}
