//! Which neighbours are merged next: size tiers.
//!
//! Merging costs about a quarter of what storing an event costs, so an event should be merged once. While a day runs, 16 neighbours of one
//! tier become one of the next, which is 16 times as large, together with whatever smaller ones lie between them; at most 15 segments of a tier wait. When
//! the day is over, what is left of it is merged up to the largest size of a segment; but what has an eighth of that already is let be:
//! to write it again would gain a hundredth of its bytes, and spare questions a few segments a day. So what heads of the default size
//! become is written once, at the sixteenth or when the day is over; segments of a few MiB, of heads that were flushed by their age, twice.

use std::ops::Range;

/// How many neighbours of one tier are merged.
const FAN_IN: usize = 16;

/// The size up to which segments are of the lowest tier.
const TIER_BYTES: u64 = 8 << 20;

/// When a day is over, this part of the largest size is let be.
const LARGE_PART: u64 = 8;

/// When a day is over, so much is merged whatever it is good for: writing it costs nothing to speak of.
const SMALL_BYTES: u64 = 64 << 20;
/// About as many documents as that has.
const SMALL_DOCUMENTS: u64 = 500_000;

/// The size of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) documents: u64,
}

/// The largest that a merged segment may become, and of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Largest {
    pub(crate) size: Size,
    pub(crate) inputs: usize,
}

/// Chooses neighbours to merge, of segments that follow each other and may all stand in one; `None` when there is nothing to gain.
pub(crate) fn choose(sizes: &[Size], largest: Largest, is_over: bool) -> Option<Range<usize>> {
    if is_over { choose_rest(sizes, largest) } else { choose_tier(sizes, largest) }
}

fn tier(size: &Size) -> u32 {
    let mut least = TIER_BYTES;
    let mut tier = 0;
    while size.bytes >= least {
        least = least.saturating_mul(FAN_IN as u64);
        tier += 1;
    }
    tier
}

/// The lowest tier with enough neighbours, which nothing larger stands between.
fn choose_tier(sizes: &[Size], largest: Largest) -> Option<Range<usize>> {
    let tiers: Vec<u32> = sizes.iter().map(tier).collect();
    let highest = tiers.iter().copied().max()?;
    (0..=highest).find_map(|wanted| {
        let mut start = 0;
        tiers.chunk_by(|a, b| (*a > wanted) == (*b > wanted)).find_map(|stretch| {
            let first = start;
            start += stretch.len();
            let members = (first..).zip(stretch).filter(|(_, tier)| **tier == wanted).map(|(at, _)| at);
            let chosen: Vec<usize> = members.take(FAN_IN).collect();
            let range = *chosen.first()?..chosen.last()? + 1;
            let fits = fitting(sizes.get(range.clone())?, largest) == range.len();
            (chosen.len() == FAN_IN && fits).then_some(range)
        })
    })
}

/// How many of the first segments fit into one.
fn fitting(sizes: &[Size], largest: Largest) -> usize {
    let mut sum = Size { bytes: 0, documents: 0 };
    let fits = |size: &&Size| {
        sum = Size { bytes: sum.bytes.saturating_add(size.bytes), documents: sum.documents.saturating_add(size.documents) };
        sum.bytes <= largest.size.bytes && sum.documents <= largest.size.documents
    };
    sizes.iter().take(largest.inputs).take_while(fits).count()
}

/// The oldest neighbours that fit into one segment and are worth writing again, between those that are let be.
fn choose_rest(sizes: &[Size], largest: Largest) -> Option<Range<usize>> {
    let large = |size: &Size| {
        size.bytes >= (largest.size.bytes / LARGE_PART).max(SMALL_BYTES)
            || size.documents >= (largest.size.documents / LARGE_PART).max(SMALL_DOCUMENTS)
    };
    (0..sizes.len()).find_map(|start| {
        let rest = sizes.get(start..)?;
        let rest = rest.split(large).next()?;
        // Small ones before one that is nearly full become one without it.
        let worth = (2..=fitting(rest, largest)).rev().find(|count| rest.get(..*count).is_some_and(is_worth));
        worth.map(|count| start..start + count)
    })
}

/// Whether what is merged is not nearly all in one segment already.
fn is_worth(sizes: &[Size]) -> bool {
    let total: u64 = sizes.iter().map(|size| size.bytes).sum();
    let most = sizes.iter().map(|size| size.bytes).max().unwrap_or(0);
    total <= SMALL_BYTES || total - most >= most / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const LARGEST: Largest = Largest { size: Size { bytes: 1_024 * MIB, documents: 16_000_000 }, inputs: 64 };

    fn sizes(mib: &[u64]) -> Vec<Size> {
        mib.iter().map(|mib| Size { bytes: mib * MIB, documents: mib * 10_000 }).collect()
    }

    #[test]
    fn sixteen_neighbours_of_one_tier_are_merged_and_fifteen_are_not() {
        assert_eq!(choose(&sizes(&[20; 15]), LARGEST, false), None);
        assert_eq!(choose(&sizes(&[20; 16]), LARGEST, false), Some(0..16));
        assert_eq!(choose(&sizes(&[20; 40]), LARGEST, false), Some(0..16), "the oldest first");
        assert_eq!(choose(&sizes(&[1; 16]), LARGEST, false), Some(0..16));
        assert_eq!(choose(&[], LARGEST, false), None);
    }

    #[test]
    fn larger_ones_part_and_smaller_ones_go_along() {
        let behind = |larger: u64| sizes(&[&[20; 8][..], &[larger], &[20; 8]].concat());
        assert_eq!(choose(&behind(160), LARGEST, false), None);
        assert_eq!(choose(&behind(2), LARGEST, false), Some(0..17));
        assert_eq!(choose(&sizes(&[&[20][..], &[1; 16]].concat()), LARGEST, false), Some(1..17), "the lowest tier first");
    }

    #[test]
    fn nothing_becomes_larger_than_the_largest() {
        assert_eq!(choose(&sizes(&[160; 16]), LARGEST, false), None);
        let few = Largest { size: Size { documents: 1_000_000, ..LARGEST.size }, ..LARGEST };
        assert_eq!(choose(&sizes(&[20; 16]), few, false), None);
        assert_eq!(choose(&sizes(&[20; 16]), few, true), Some(0..5));
        assert_eq!(choose(&sizes(&[100; 16]), LARGEST, true), Some(0..10));
        assert_eq!(choose(&sizes(&[1; 100]), LARGEST, true), Some(0..64));
    }

    #[test]
    fn when_the_day_is_over_what_is_left_becomes_one_and_what_is_large_is_let_be() {
        assert_eq!(choose(&sizes(&[30]), LARGEST, true), None);
        assert_eq!(choose(&sizes(&[50, 1]), LARGEST, true), Some(0..2));
        assert_eq!(choose(&sizes(&[120, 100, 20]), LARGEST, true), Some(0..3));
        assert_eq!(choose(&sizes(&[120, 20]), LARGEST, true), None, "nearly all is in one");
        assert_eq!(choose(&sizes(&[300, 300, 20, 20, 300]), LARGEST, true), Some(2..4));
        assert_eq!(choose(&sizes(&[300, 300, 40, 300]), LARGEST, true), None);
        assert_eq!(choose(&sizes(&[1, 1, 900, 1]), LARGEST, true), Some(0..2));
        // What is large of a log whose segments are small is small.
        let small = Largest { size: Size { bytes: 32 * MIB, documents: 16_000_000 }, inputs: 64 };
        assert_eq!(choose(&sizes(&[12, 12, 12]), small, true), Some(0..2));
        // Events that pack well are many in few bytes.
        let many = [Size { bytes: 30 * MIB, documents: 2_000_000 }; 3];
        assert_eq!(choose(&many, LARGEST, true), None);
    }

    /// What was flushed, written by merges, and left at the end of the day.
    fn day(flushed: &[Size]) -> (u64, Vec<Size>) {
        let (mut held, mut written): (Vec<Size>, _) = (Vec::new(), 0);
        let mut merge = |held: &mut Vec<Size>, is_over| {
            while let Some(range) = choose(held, LARGEST, is_over) {
                assert!(range.len() > 1 && range.len() <= LARGEST.inputs);
                let merged = join(&held[range.clone()]);
                assert!(merged.bytes <= LARGEST.size.bytes && merged.documents <= LARGEST.size.documents);
                written += merged.bytes;
                held.splice(range, [merged]);
            }
        };
        for size in flushed {
            held.push(*size);
            merge(&mut held, false);
        }
        merge(&mut held, true);
        (written, held)
    }

    #[test]
    fn what_heads_of_the_default_size_become_is_merged_once() {
        for heads in [2, 15, 16, 60, 180, 1_000] {
            let (written, left) = day(&sizes(&vec![16; heads]));
            assert!(written <= 16 * MIB * heads as u64, "{heads} heads");
            assert!(left.len() <= heads / 16 + 1, "{heads} heads: {}", left.len());
        }
    }

    proptest! {
        /// Whatever comes in, merging ends, an event is seldom written again, and few segments are left.
        #[test]
        fn merging_ends_and_writes_little(mib in prop::collection::vec(prop_oneof![0u64..3, 15u64..30, 100u64..300], 1..300)) {
            let flushed = sizes(&mib);
            let bytes: u64 = flushed.iter().map(|size| size.bytes).sum();
            let (written, left) = day(&flushed);
            prop_assert!(written <= bytes * 2, "{written} written for {bytes}");
            // Between two large ones there may be a rest.
            prop_assert!(left.len() as u64 <= 3 + 3 * bytes / (128 * MIB), "{} left", left.len());
        }
    }

    fn join(sizes: &[Size]) -> Size {
        Size { bytes: sizes.iter().map(|s| s.bytes).sum(), documents: sizes.iter().map(|s| s.documents).sum() }
    }
}
