//! Compressed bodies, with the limits of the server: what is unpacked is what another decoder finds in it, and never more than is allowed.
//!
//! One thing is not asked of zstd: that a damaged frame without a sum is refused wherever the other decoder refuses it.
//!
//! The first byte says how the rest becomes a body: as it is, or packed first, in one piece or two, repeated up to a bomb, cut off or with a wrong byte.
#![no_main]

use std::io::{Read as _, Write as _};

use libfuzzer_sys::fuzz_target;
use trail_fuzz::api::encoding::{Bounds, Encoding, Unpacked, unpack};
use trail_fuzz::backend::ByteBudget;

/// As the server is configured where nothing is said.
const BOUNDS: Bounds = Bounds { bytes_max: 64 << 20, ratio_max: 100 };
/// Below this no ratio counts.
const RATIO_FROM_BYTES: u64 = 1 << 20;
/// What a made-up body unfolds to at most, and one that is to be too much.
const PLAIN_BYTES_MAX: [usize; 2] = [64 << 10, (1 << 20) + (64 << 10)];

fuzz_target!(|input: &[u8]| {
    let [mode, low, high, with, bytes @ ..] = input else { return };
    let is = |bit: u8| mode & (1 << bit) != 0;
    let at = usize::from(*low) | usize::from(*high) << 8;
    let encoding = if is(0) { Encoding::Zstd } else { Encoding::Gzip };
    let plain = if is(2) { bytes.repeat((at + 1).min(PLAIN_BYTES_MAX[usize::from(is(7))] / bytes.len().max(1))) } else { bytes.to_vec() };
    let mut body = match (is(1), is(3)) {
        (false, _) => bytes.to_vec(),
        (true, false) => pack(encoding, &plain, *with),
        (true, true) => {
            let (first, second) = plain.split_at(at % (plain.len() + 1));
            [pack(encoding, first, *with), pack(encoding, second, *with)].concat()
        }
    };
    let is_whole = is(1) && !is(4) && !is(5);
    if is(4) && !body.is_empty() {
        let place = at % body.len();
        body[place] ^= with;
    }
    if is(5) {
        body.truncate(at % (body.len() + 1));
    }
    let budget = ByteBudget::new("bodies", if is(6) { 16 << 10 } else { 256 << 20 });
    let mut reservation = budget.reservation();
    let unpacked = unpack(encoding, &body, BOUNDS, &mut reservation);
    let allowed = RATIO_FROM_BYTES.max(body.len() as u64 * BOUNDS.ratio_max);
    match &unpacked {
        Ok(unpacked) => {
            assert!(unpacked.len() as u64 <= budget.reserved_bytes() && unpacked.len() as u64 <= allowed, "{}", unpacked.len());
            assert!(!is_whole || *unpacked == plain, "not what was packed");
            match other(encoding, &body, allowed) {
                Ok(other) => assert!(other == *unpacked, "{} bytes and not {}", unpacked.len(), other.len()),
                // The library is known to take damaged frames that have no sum; gzip always has one.
                Err(error) => assert!(encoding == Encoding::Zstd && !is_whole, "another decoder refuses it: {error}"),
            }
        }
        Err(Unpacked::Lie { at, .. }) => assert!(!is_whole && *at <= body.len() as u64, "a lie at {at}"),
        Err(Unpacked::TooDense) => assert!(!is_whole || plain.len() as u64 > allowed, "{} of {}", plain.len(), body.len()),
        Err(Unpacked::TooLarge) => panic!("so much cannot be packed"),
        Err(Unpacked::Busy(_)) => assert!(is(6) && (!is_whole || plain.len() > 16 << 10), "there was room"),
    }
    drop(reservation);
    assert_eq!(budget.reserved_bytes(), 0);
});

fn pack(encoding: Encoding, plain: &[u8], level: u8) -> Vec<u8> {
    if encoding == Encoding::Zstd {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), i32::from(level % 4)).unwrap();
        encoder.include_checksum(level & 4 != 0).unwrap();
        encoder.write_all(plain).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(u32::from(level % 10)));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What another decoder finds, up to a little more than is allowed.
fn other(encoding: Encoding, body: &[u8], allowed: u64) -> Result<Vec<u8>, String> {
    let (mut out, mut rest) = (Vec::new(), body);
    if encoding == Encoding::Gzip {
        loop {
            member(&mut rest, &mut out, allowed)?;
            if rest.is_empty() {
                return Ok(out);
            }
        }
    }
    while !rest.is_empty() {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest);
        match &mut decoder {
            Ok(decoder) => decoder.take(allowed + 1).read_to_end(&mut out).map(drop).map_err(|e| e.to_string())?,
            Err(ruzstd::decoding::errors::FrameDecoderError::ReadFrameHeaderError(
                ruzstd::decoding::errors::ReadFrameHeaderError::SkipFrame { length, .. },
            )) => {
                let length = *length as usize;
                drop(decoder);
                rest = rest.get(length..).ok_or("a frame that is skipped ends early")?;
            }
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(out)
}

/// Reads one member of a gzip file (RFC 1952).
fn member(rest: &mut &[u8], out: &mut Vec<u8>, allowed: u64) -> Result<(), String> {
    let early = || "it ends early".to_owned();
    let [0x1f, 0x8b, 8, flags, ..] = **rest else { return Err("no head".to_owned()) };
    *rest = rest.get(10..).ok_or_else(early)?;
    if flags & 4 != 0 {
        let length = rest.get(..2).map(|two| usize::from(two[0]) | usize::from(two[1]) << 8).ok_or_else(early)?;
        *rest = rest.get(2 + length..).ok_or_else(early)?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let end = memchr::memchr(0, rest).ok_or_else(early)?;
            *rest = &rest[end + 1..];
        }
    }
    if flags & 2 != 0 {
        *rest = rest.get(2..).ok_or_else(early)?;
    }
    let before = out.len();
    libflate::deflate::Decoder::new(&mut *rest).take(allowed + 1).read_to_end(out).map_err(|e| e.to_string())?;
    let (sum, after) = rest.split_at_checked(8).ok_or_else(early)?;
    let mut crc = flate2::Crc::new();
    crc.update(&out[before..]);
    *rest = after;
    if sum == [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat() { Ok(()) } else { Err("another sum".to_owned()) }
}
