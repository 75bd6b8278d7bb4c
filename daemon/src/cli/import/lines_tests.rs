//! Lines against a plain `split`, cut at every place and with lines over the limit.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::cli::import::pieces::Pieces;

/// Gives a text in pieces of at most this many bytes.
struct Cut<'t>(&'t [u8], usize);

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buffer.len()).min(self.0.len());
        let (now, later) = self.0.split_at(n);
        buffer[..n].copy_from_slice(now);
        self.0 = later;
        Ok(n)
    }
}

/// Lines with their numbers; `None` for one over the limit.
type Seen = Vec<(u64, Option<Vec<u8>>)>;

fn read(text: &[u8], cut: usize, limit: usize) -> Seen {
    let mut lines = Lines::new(Window::new(Cut(text, cut), limit), limit);
    let mut seen = Vec::new();
    while let Some(piece) = lines.next_piece().unwrap() {
        seen.push(match piece {
            Piece::Element { bytes, place } => {
                let at = place.byte as usize;
                assert_eq!(&text[at..at + bytes.len()], bytes, "the place is wrong");
                (place.line, Some(bytes.to_vec()))
            }
            Piece::Broken { place, fault, .. } => {
                assert_eq!(fault, Fault::TooLarge);
                (place.line, None)
            }
        });
    }
    seen
}

fn expected(text: &[u8], limit: usize) -> Seen {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
    let trimmed = |line: &[u8]| {
        let start = line.iter().position(|b| !blank(b))?;
        let end = line.iter().rposition(|b| !blank(b))?;
        Some(line[start..=end].to_vec())
    };
    let lines = (1..).zip(text.split(|b| *b == b'\n'));
    lines.filter_map(|(n, line)| trimmed(line).map(|line| (n, Some(line).filter(|line| line.len() <= limit)))).collect()
}

#[test]
fn a_line_is_one_piece_whatever_is_on_it() {
    let text = b" {\"a\":1}xyz\r\n\n{}{}\n[{}]\n \t\r\n{\"a\":\n}\n42";
    let seen = read(text, usize::MAX, 1 << 10);
    assert_eq!(seen, expected(text, 1 << 10));
    let numbers: Vec<u64> = seen.into_iter().map(|(n, _)| n).collect();
    assert_eq!(numbers, [1, 3, 4, 6, 7, 8]);
}

#[test]
fn long_lines_are_passed_over_and_exact_ones_kept() {
    let limit = 1 << 20;
    let exact = vec![b'x'; limit];
    let text = [&exact[..], b"   \r\n", &exact, b"y\n", &exact.repeat(3), b"\nok\n", &exact].concat();
    for cut in [usize::MAX, 70_000] {
        let seen = read(&text, cut, limit);
        assert_eq!(seen, expected(&text, limit), "pieces of {cut}");
        assert_eq!(seen.iter().filter(|(_, line)| line.is_none()).count(), 2);
    }
}

#[test]
fn the_mark_at_the_start_is_no_part_of_the_first_line() {
    let mut pieces = Pieces::of(Cut(b"\xef\xbb\xbf{\"a\":1}\n\xef\xbb\xbf{}", 1), 1 << 10).unwrap();
    assert!(matches!(pieces.next_piece().unwrap(), Some(Piece::Element { bytes: b"{\"a\":1}", .. })));
    assert!(matches!(pieces.next_piece().unwrap(), Some(Piece::Element { bytes: b"\xef\xbb\xbf{}", .. })));
    assert_eq!(pieces.next_piece().unwrap(), None);
}

proptest! {
    #[test]
    fn as_a_plain_split(
        text in prop::collection::vec(prop_oneof![3 => Just(b'\n'), 1 => Just(b' '), 1 => Just(b'\r'), 5 => any::<u8>()], 0..300),
        cut in 1_usize..50,
    ) {
        prop_assert_eq!(read(&text, cut, 20), expected(&text, 20));
    }
}
