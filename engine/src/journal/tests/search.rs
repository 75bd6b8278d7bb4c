//! Files longer than what is read at once.

use super::disk::Disk;
use crate::id::{Sequence, Timestamp};
use crate::journal::frame::FrameHeader;
use crate::journal::window::Window;
use crate::storage::Storage as _;

const PIECE: usize = 256 << 10;

#[test]
fn a_header_is_found_wherever_pieces_meet() {
    for at in (PIECE - 80..PIECE + 24).chain(2 * PIECE - 80..2 * PIECE + 24).step_by(8).chain([0, 3 * PIECE - 64]) {
        let mut content = vec![b'x'; 3 * PIECE];
        let mut header = Vec::new();
        FrameHeader::mark(7, Sequence(at as u64), Timestamp(0)).encode(&mut header);
        content[at..at + header.len()].copy_from_slice(&header);
        let disk = Disk::default();
        disk.put("file", &content);
        let mut window = Window::open(disk.open("file").unwrap(), "file".to_owned()).unwrap();
        let found = window.find_header(0, |_, _| true).unwrap();
        assert_eq!(found.map(|(offset, header)| (offset, header.first_sequence.0)), Some((at as u64, at as u64)));
        assert_eq!(window.find_header(at as u64 + 8, |_, _| true).unwrap(), None);
        assert_eq!(window.bytes(3 * PIECE as u64 - 5, 64).unwrap().len(), 5);
        assert!(window.bytes(u64::MAX, 64).unwrap().is_empty());
    }
}
