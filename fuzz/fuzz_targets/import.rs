//! A file that is imported is cut into events, in whatever pieces it is read: the pieces lie in the file in order, and those of a file that is
//! JSON or lines of it are the values that `serde_json` finds.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use trail_fuzz::cli::import::piece::{Piece, Place};
use trail_fuzz::cli::import::pieces::Pieces;
use trail_fuzz::cli::import::scan::Fault;
use trail_fuzz::reference;

/// Small, so that inputs reach it.
const EVENT_BYTES_MAX: usize = 2 << 10;

/// A piece that is its own.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Element(Vec<u8>, Place),
    Broken(Place, Place, Fault),
}

/// Gives at most so many bytes at a time.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

fuzz_target!(|input: &[u8]| {
    let [step, file @ ..] = input else { return };
    let found = pieces(file, usize::MAX);
    assert_eq!(found, pieces(file, usize::from(*step) % 64 + 1), "read in small pieces it is something else");
    let mut end = 0;
    for piece in &found {
        let (place, until) = match piece {
            Found::Element(bytes, place) => {
                let from = place.byte as usize;
                assert_eq!(file.get(from..from + bytes.len()), Some(&bytes[..]), "not what stands there");
                (place, from + bytes.len())
            }
            Found::Broken(place, until, _) => (place, until.byte as usize),
        };
        assert!(end <= place.byte as usize && until <= file.len(), "{end} {place:?} {until}");
        assert_eq!(place.line, 1 + memchr::memchr_iter(b'\n', &file[..place.byte as usize]).count() as u64, "the line of {place:?}");
        end = until;
    }
    if let Some(expected) = expected(file) {
        let elements: Vec<&[u8]> =
            found.iter().filter_map(|f| if let Found::Element(bytes, _) = f { Some(&bytes[..]) } else { None }).collect();
        assert_eq!(elements, expected, "other events than serde_json finds");
        assert_eq!(elements.len(), found.len(), "a part of good JSON is called broken");
    }
});

fn pieces(file: &[u8], step: usize) -> Vec<Found> {
    let mut pieces = Pieces::of(Slowly(file, step), EVENT_BYTES_MAX).unwrap();
    let mut found = Vec::new();
    while let Some(piece) = pieces.next_piece().unwrap() {
        found.push(match piece {
            Piece::Element { bytes, place } => Found::Element(bytes.to_vec(), place),
            Piece::Broken { place, until, fault } => Found::Broken(place, until, fault),
        });
    }
    found
}

/// The events of a file that is one array of JSON, or lines of objects; `None` of any other, and of one with an event that is long.
fn expected(file: &[u8]) -> Option<Vec<&[u8]>> {
    let text = std::str::from_utf8(file).ok()?;
    let events: Vec<&str> = match text.trim_matches([' ', '\t', '\r', '\n']) {
        array if array.starts_with('[') => reference::elements(array)?,
        lines => {
            let lines: Vec<&str> =
                lines.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])).filter(|line| !line.is_empty()).collect();
            let is_object = |line: &&str| reference::refused(line.as_bytes()).is_none() && !line.contains("\"Records\"");
            lines.iter().all(|line| is_object(line)).then_some(lines)?
        }
    };
    events.iter().all(|event| event.len() <= EVENT_BYTES_MAX).then(|| events.into_iter().map(str::as_bytes).collect())
}
