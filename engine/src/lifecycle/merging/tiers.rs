//! Which neighbours are merged next: size tiers.
//!
//! A segment of a tier is 8 times as large as one of the tier below. While a day runs, 8 neighbours of one tier become one of the next,
//! together with whatever smaller ones lie between them; so an event is written once for each tier, and there are at most 7 segments of
//! a tier that wait. When the day is over, what is left of it is merged up to the largest size of a segment.

use std::ops::Range;

/// How many neighbours of one tier are merged.
pub(crate) const FAN_IN: usize = 8;

/// The size up to which segments are of the lowest tier: an eighth of the first that is above it.
const TIER_BYTES: u64 = 8 << 20;

/// When a day is over, so much is merged whatever it is good for: writing it costs nothing to speak of.
const SMALL_BYTES: u64 = 64 << 20;

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

/// The oldest neighbours that fit into one segment and are worth writing again.
fn choose_rest(sizes: &[Size], largest: Largest) -> Option<Range<usize>> {
    (0..sizes.len()).find_map(|start| {
        let rest = sizes.get(start..)?;
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
    fn eight_neighbours_of_one_tier_are_merged_and_seven_are_not() {
        assert_eq!(choose(&sizes(&[20; 7]), LARGEST, false), None);
        assert_eq!(choose(&sizes(&[20; 8]), LARGEST, false), Some(0..8));
        assert_eq!(choose(&sizes(&[20; 20]), LARGEST, false), Some(0..8), "the oldest first");
        assert_eq!(choose(&sizes(&[1; 8]), LARGEST, false), Some(0..8));
        assert_eq!(choose(&[], LARGEST, false), None);
    }

    #[test]
    fn larger_ones_part_and_smaller_ones_go_along() {
        assert_eq!(choose(&sizes(&[20, 20, 20, 20, 160, 20, 20, 20, 20]), LARGEST, false), None);
        assert_eq!(choose(&sizes(&[160, 20, 20, 1, 20, 20, 20, 2, 20, 20, 20, 1]), LARGEST, false), Some(1..11));
        assert_eq!(choose(&sizes(&[20, 1, 1, 1, 1, 1, 1, 1, 1]), LARGEST, false), Some(1..9), "the lowest tier first");
    }

    #[test]
    fn nothing_becomes_larger_than_the_largest() {
        assert_eq!(choose(&sizes(&[160; 8]), LARGEST, false), None);
        let few = Largest { size: Size { documents: 1_000_000, ..LARGEST.size }, ..LARGEST };
        assert_eq!(choose(&sizes(&[20; 8]), few, false), None);
        assert_eq!(choose(&sizes(&[20; 8]), few, true), Some(0..5));
        assert_eq!(choose(&sizes(&[160; 8]), LARGEST, true), Some(0..6));
        assert_eq!(choose(&sizes(&[1; 100]), LARGEST, true), Some(0..64));
    }

    #[test]
    fn when_the_day_is_over_what_is_left_becomes_one() {
        assert_eq!(choose(&sizes(&[30]), LARGEST, true), None);
        assert_eq!(choose(&sizes(&[50, 1]), LARGEST, true), Some(0..2));
        assert_eq!(choose(&sizes(&[500, 300, 20]), LARGEST, true), Some(0..3));
        assert_eq!(choose(&sizes(&[900, 20, 20, 20]), LARGEST, true), Some(1..4), "one that is nearly full is let be");
        assert_eq!(choose(&sizes(&[900, 600]), LARGEST, true), None);
        assert_eq!(choose(&sizes(&[1, 1, 900, 1]), LARGEST, true), Some(0..2), "and so are those before it merged");
    }

    proptest! {
        /// Whatever comes in, merging ends, an event is seldom written again, and few segments are left.
        #[test]
        fn merging_ends_and_writes_little(mib in prop::collection::vec(prop_oneof![0u64..3, 15u64..30, 100u64..300], 1..300)) {
            let mut held: Vec<Size> = Vec::new();
            let (mut flushed, mut written) = (0, 0);
            for is_over in [false, true] {
                for size in if is_over { Vec::new() } else { sizes(&mib) } {
                    flushed += size.bytes;
                    held.push(size);
                    while let Some(range) = choose(&held, LARGEST, false) {
                        let merged = join(&held[range.clone()]);
                        written += merged.bytes;
                        held.splice(range, [merged]);
                    }
                }
                while let Some(range) = choose(&held, LARGEST, is_over) {
                    prop_assert!(range.len() > 1 && range.len() <= LARGEST.inputs);
                    let merged = join(&held[range.clone()]);
                    prop_assert!(merged.bytes <= LARGEST.size.bytes && merged.documents <= LARGEST.size.documents);
                    written += merged.bytes;
                    held.splice(range, [merged]);
                }
            }
            prop_assert!(written <= flushed * 5, "{written} written for {flushed}");
            prop_assert!(held.len() as u64 <= 3 + 3 * flushed / LARGEST.size.bytes, "{} left", held.len());
        }
    }

    fn join(sizes: &[Size]) -> Size {
        Size { bytes: sizes.iter().map(|s| s.bytes).sum(), documents: sizes.iter().map(|s| s.documents).sum() }
    }
}
