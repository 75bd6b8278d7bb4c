//! Unpacks request bodies: `gzip` (also of several members) and `zstd`, bounded while it runs.
//!
//! Problem: a small body may unfold to any length, and may not be what its header says. Mechanism: output is counted as it comes,
//! against a length, against a multiple of the input, and against the server's budget of bytes, before it is kept. Limits: a ratio
//! says nothing about small outputs, so it counts from 1 MiB on.

use std::io::{self, Read};

use trail_engine::error::Error;

use crate::backend::Reservation;

/// From this output on the ratio counts: ordinary audit events repeat themselves enough to pack 1:100 in small bodies.
const RATIO_FROM_BYTES: u64 = 1 << 20;
/// A frame's header makes the decoder allocate its window: 8 MiB is what RFC 8878 asks every decoder to take.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const CHUNK_BYTES: usize = 64 << 10;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header; `None` for one that is not known, and for more than one.
    #[must_use]
    pub fn named(name: &str) -> Option<Encoding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }
}

/// Why a body could not be unpacked.
#[derive(Debug)]
pub enum Unpacked {
    /// It is not what its header says, from about this byte of the input on.
    Lie {
        /// The byte of the packed body.
        at: u64,
        /// What the decoder said.
        reason: String,
    },
    /// It unfolds to more bytes than a body may have.
    TooLarge,
    /// It unfolds to more than the allowed multiple of its length.
    TooDense,
    /// The server holds as many bytes as it may.
    Busy(Error),
}

/// The bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most bytes of output.
    pub bytes_max: u64,
    /// The most output as a multiple of the input.
    pub ratio_max: u64,
}

/// Unpacks a body; its output is paid for by `reservation`.
///
/// # Errors
/// See [`Unpacked`].
pub fn unpack(encoding: Encoding, body: &[u8], bounds: Bounds, reservation: &mut Reservation) -> Result<Vec<u8>, Unpacked> {
    let mut input = Counted { body, read: 0 };
    let result = match encoding {
        Encoding::Identity => return Ok(body.to_vec()),
        Encoding::Gzip => drain(&mut flate2::bufread::MultiGzDecoder::new(&mut input), body.len() as u64, bounds, reservation),
        Encoding::Zstd => match zstd::stream::read::Decoder::with_buffer(&mut input) {
            Ok(mut decoder) => match decoder.window_log_max(ZSTD_WINDOW_LOG_MAX) {
                Ok(()) => drain(&mut decoder, body.len() as u64, bounds, reservation),
                Err(e) => Err(Stop::Read(e)),
            },
            Err(e) => Err(Stop::Read(e)),
        },
    };
    result.map_err(|stop| match stop {
        Stop::Read(e) => Unpacked::Lie { at: input.read, reason: e.to_string() },
        Stop::Refused(reason) => reason,
    })
}

enum Stop {
    Read(io::Error),
    Refused(Unpacked),
}

fn drain(decoder: &mut dyn Read, packed: u64, bounds: Bounds, reservation: &mut Reservation) -> Result<Vec<u8>, Stop> {
    let mut output = Vec::new();
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    loop {
        let count = decoder.read(&mut chunk).map_err(Stop::Read)?;
        if count == 0 {
            return Ok(output);
        }
        let length = output.len() as u64 + count as u64;
        if length > bounds.bytes_max {
            return Err(Stop::Refused(Unpacked::TooLarge));
        }
        if length > RATIO_FROM_BYTES.max(packed.saturating_mul(bounds.ratio_max)) {
            return Err(Stop::Refused(Unpacked::TooDense));
        }
        reservation.grow(count as u64).map_err(|e| Stop::Refused(Unpacked::Busy(e)))?;
        output.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
}

/// Input that knows how far it was read.
struct Counted<'a> {
    body: &'a [u8],
    read: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

impl io::BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.body)
    }

    fn consume(&mut self, count: usize) {
        self.body = self.body.get(count..).unwrap_or_default();
        self.read += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::backend::ByteBudget;

    const BOUNDS: Bounds = Bounds { bytes_max: 64 << 20, ratio_max: 100 };

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 3).unwrap()
    }

    fn run(encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, Unpacked> {
        unpack(encoding, body, BOUNDS, &mut ByteBudget::new("bodies", 128 << 20).reservation())
    }

    #[test]
    fn both_encodings_also_in_several_members() {
        let text = b"{\"a\":1}\n".repeat(1_000);
        assert_eq!(run(Encoding::Gzip, &gzip(&text)).unwrap(), text);
        assert_eq!(run(Encoding::Gzip, &[gzip(&text), gzip(b"{}")].concat()).unwrap(), [&text[..], b"{}"].concat());
        assert_eq!(run(Encoding::Zstd, &zstd(&text)).unwrap(), text);
        assert_eq!(run(Encoding::Zstd, &[zstd(&text), zstd(b"{}")].concat()).unwrap(), [&text[..], b"{}"].concat());
    }

    #[test]
    fn lies_are_told_with_a_place() {
        let whole = gzip(&b"hello ".repeat(100));
        for (encoding, body) in [
            (Encoding::Gzip, b"{\"a\":1}".to_vec()),
            (Encoding::Zstd, b"{\"a\":1}".to_vec()),
            (Encoding::Zstd, whole.clone()),
            (Encoding::Gzip, whole[..whole.len() - 3].to_vec()),
            (Encoding::Zstd, zstd(&b"hello ".repeat(100))[..10].to_vec()),
            (Encoding::Gzip, [&whole[..], b"garbage after"].concat()),
            (Encoding::Gzip, Vec::new()),
        ] {
            assert!(matches!(run(encoding, &body), Err(Unpacked::Lie { .. })), "{encoding:?} {body:?}");
        }
    }

    #[test]
    fn bombs_stop_early() {
        let zeros = vec![b' '; 64 << 20];
        assert!(matches!(run(Encoding::Gzip, &gzip(&zeros)), Err(Unpacked::TooDense)));
        assert!(matches!(run(Encoding::Zstd, &zstd(&zeros)), Err(Unpacked::TooDense)));
        let small = vec![b' '; 1 << 20];
        assert_eq!(run(Encoding::Zstd, &zstd(&small)).unwrap().len(), small.len());
        let bounds = Bounds { bytes_max: 1_000, ratio_max: 100 };
        let mut reservation = ByteBudget::new("bodies", 64 << 20).reservation();
        assert!(matches!(unpack(Encoding::Gzip, &gzip(&small), bounds, &mut reservation), Err(Unpacked::TooLarge)));
        let mut poor = ByteBudget::new("bodies", 64 << 10).reservation();
        assert!(matches!(unpack(Encoding::Gzip, &gzip(&small), BOUNDS, &mut poor), Err(Unpacked::Busy(_))));
    }

    #[test]
    fn names() {
        assert_eq!(Encoding::named("GZIP"), Some(Encoding::Gzip));
        assert_eq!(Encoding::named("identity"), Some(Encoding::Identity));
        assert_eq!(Encoding::named("br"), None);
        assert_eq!(Encoding::named("gzip, zstd"), None);
    }
}
