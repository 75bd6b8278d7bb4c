//! The ways in which a crash can end: any part of what is pending arrives, in whole or torn, in any order.

use super::image::{Fill, Image};
use super::medium::Medium;
use super::operation::Operation;

/// Up to so many pending changes, every subset of them is tried.
const ALL_SUBSETS_UP_TO: usize = 10;
/// How many subsets are drawn where there are too many for all.
const DRAWN: usize = 64;
/// The pieces in which a write may arrive, in bytes.
pub const TEARS: [usize; 2] = [512, 4_096];
/// How often writes are torn at each size.
const TORN: usize = 3;

/// Where numbers come from.
pub type Luck<'a> = dyn FnMut() -> u64 + 'a;

/// What a crash leaves when it keeps just the changes that `keep` lets through, torn into pieces of `tear` bytes (0: in one piece).
#[must_use]
pub fn crash(medium: &Medium, keep: &mut dyn FnMut(usize) -> bool, tear: usize, fill: Fill) -> Image {
    let mut image = medium.durable().clone();
    let mut number = 0;
    let mut next = || {
        number += 1;
        keep(number - 1)
    };
    for operation in medium.pending() {
        match operation {
            Operation::Write { inode, at, bytes } if tear > 0 => {
                for (at, piece) in pieces(*at, bytes, tear) {
                    if next() {
                        image.write(*inode, at, piece, fill);
                    }
                }
            }
            operation if next() => image.apply(operation, fill),
            _ => {}
        }
    }
    image
}

/// Cuts what is written at a place where multiples of `tear` are.
fn pieces(at: usize, bytes: &[u8], tear: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let start = from;
        from += rest.len().min(tear - (at + from) % tear);
        Some((at + start, &bytes[start..from]))
    })
}

/// How many pieces there are to lose.
fn count(medium: &Medium, tear: usize) -> usize {
    let of = |operation: &Operation| match operation {
        Operation::Write { at, bytes, .. } if tear > 0 => pieces(*at, bytes, tear).count(),
        _ => 1,
    };
    medium.pending().iter().map(of).sum()
}

/// Shows what a crash at this moment can leave: all subsets of the pending changes where they are few, else none, all, all but one each,
/// and some that are drawn; and some with torn writes.
pub fn crashes(medium: &Medium, luck: &mut Luck<'_>, visit: &mut dyn FnMut(Image)) {
    let whole = medium.pending().len();
    if whole <= ALL_SUBSETS_UP_TO {
        for subset in 0..1_u64 << whole {
            let fill = drawn_fill(luck);
            visit(crash(medium, &mut |at| subset >> at & 1 == 1, 0, fill));
        }
    } else {
        visit(crash(medium, &mut |_| false, 0, Fill::Zeros));
        visit(crash(medium, &mut |_| true, 0, Fill::Zeros));
        for missing in 0..whole {
            let fill = drawn_fill(luck);
            visit(crash(medium, &mut |at| at != missing, 0, fill));
        }
        for _ in 0..DRAWN {
            visit(drawn(medium, luck, 0));
        }
    }
    for tear in TEARS {
        let torn = count(medium, tear);
        if torn > whole {
            for _ in 0..TORN {
                visit(drawn(medium, luck, tear));
                let fill = drawn_fill(luck);
                let reached = luck() as usize % torn;
                visit(crash(medium, &mut |at| at < reached, tear, fill));
            }
        }
    }
}

/// One crash at this moment, drawn by luck.
pub fn drawn(medium: &Medium, luck: &mut Luck<'_>, tear: usize) -> Image {
    let (odds, fill) = (1 + luck() % 4, drawn_fill(luck));
    crash(medium, &mut |_| luck() % 5 < odds, tear, fill)
}

fn drawn_fill(luck: &mut Luck<'_>) -> Fill {
    match luck() % 3 {
        0 => Fill::Zeros,
        1 => Fill::Noise(luck()),
        _ => Fill::Stale,
    }
}
