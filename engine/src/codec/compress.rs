//! zstd (RFC 8878) with contexts that are kept by each thread.
//!
//! Decompression never allocates more than the caller's bound: the bound comes from a length that was written beside the
//! bytes and is covered by their checksum.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    static COMPRESSORS: RefCell<Vec<(i32, Compressor<'static>)>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends the compressed form of `bytes` to `out`; returns its length.
///
/// # Errors
/// [`ErrorKind::Io`] when zstd has no memory for its context.
pub(crate) fn compress(bytes: &[u8], level: i32, out: &mut Vec<u8>) -> Result<usize> {
    COMPRESSORS.with_borrow_mut(|contexts| {
        if !contexts.iter().any(|(l, _)| *l == level) {
            contexts.push((level, new_compressor(level).map_err(no_context)?));
        }
        let Some((_, context)) = contexts.iter_mut().find(|(l, _)| *l == level) else {
            return Err(Error::new(ErrorKind::Io, "no compression context"));
        };
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(bytes.len()), 0);
        let free = out.get_mut(start..).unwrap_or_default();
        let written = context.compress_to_buffer(bytes, free).map_err(|e| Error::new(ErrorKind::Io, "cannot compress").because(e))?;
        out.truncate(start + written);
        Ok(written)
    })
}

/// Lengths are written beside the frames, so a frame carries neither a magic number nor a length.
fn new_compressor(level: i32) -> std::io::Result<Compressor<'static>> {
    let mut context = Compressor::new(level)?;
    context.include_contentsize(false)?;
    context.include_magicbytes(false)?;
    Ok(context)
}

/// Appends the `len` bytes that `bytes` unfolds to.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when they do not unfold to exactly `len` bytes.
pub(crate) fn decompress(bytes: &[u8], len: usize, out: &mut Vec<u8>) -> Result<()> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            let mut context = Decompressor::new().map_err(no_context)?;
            context.include_magicbytes(false).map_err(no_context)?;
            *slot = Some(context);
        }
        let Some(context) = slot else {
            return Err(Error::new(ErrorKind::Io, "no decompression context"));
        };
        // A block of a frame unfolds to at most 128 KiB and takes at least 3 bytes, so a longer claim cannot be true.
        if len > (bytes.len() / 3 + 1).saturating_mul(128 << 10) {
            return Err(Error::corrupt("so few bytes cannot unfold to so many").expected(len, bytes.len()));
        }
        let start = out.len();
        out.resize(start + len, 0);
        let free = out.get_mut(start..).unwrap_or_default();
        let found = context.decompress_to_buffer(bytes, free).map_err(|e| Error::corrupt("cannot decompress").because(e))?;
        if found != len {
            return Err(Error::corrupt("decompressed length differs").expected(len, found));
        }
        Ok(())
    })
}

fn no_context(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot set up zstd").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>, level in -3i32..4) {
            let (mut packed, mut back) = (Vec::new(), vec![7]);
            let len = compress(&bytes, level, &mut packed).unwrap();
            prop_assert_eq!(len, packed.len());
            decompress(&packed, bytes.len(), &mut back).unwrap();
            prop_assert_eq!(&back[1..], &bytes[..]);
            prop_assert!(decompress(&packed, bytes.len() + 1, &mut back).is_err());
        }
    }
}
