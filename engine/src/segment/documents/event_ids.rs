//! From the hash of a unique key to the documents that may have it.
//!
//! Entries are in hash order. The top bits of a hash name a bucket of 8 to 16 entries; the next 12 bits are the fingerprint, so
//! that a key that is not there costs one look into one cache line and passes once in about 300 times. The caller compares
//! the key itself.

use crate::codec::bits::{Packed, pack, width_of};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::SEGMENT_DOCUMENTS_MAX;

/// How many entries a bucket has at most on average, as a power of 2.
const BUCKET_ENTRIES_LOG: u32 = 4;

/// How many bits of a hash are its fingerprint: each costs an eighth of a byte an event, and halves how often an event is read in vain.
const FINGERPRINT_BITS: u32 = 12;

/// The most bits of a hash that name a bucket.
const BUCKET_BITS_MAX: u32 = 28;

/// Appends the index of these pairs of hash ([`crate::codec::checksum::hash64`]) and document; sorts them.
pub(crate) fn encode(entries: &mut [(u64, u32)], out: &mut Vec<u8>) {
    entries.sort_unstable();
    encode_sorted(entries.iter().copied(), out);
}

/// How many bits of a hash are written in an index of so many entries, counted from the top.
pub(crate) fn written_bits(entries: usize) -> u32 {
    bucket_bits(entries) + FINGERPRINT_BITS
}

fn bucket_bits(entries: usize) -> u32 {
    width_of((entries as u64) >> BUCKET_ENTRIES_LOG).min(BUCKET_BITS_MAX)
}

/// Appends the index of pairs that ascend by the written bits of their hashes.
pub(crate) fn encode_sorted(entries: impl ExactSizeIterator<Item = (u64, u32)> + Clone, out: &mut Vec<u8>) {
    let count = entries.len();
    let bits = bucket_bits(count);
    let start_width = width_of(count as u64);
    let document_width = entries.clone().map(|(_, document)| width_of(u64::from(document))).max().unwrap_or(0);
    out.put_u32(count as u32);
    out.put_u8(bits as u8);
    out.put_u8(start_width as u8);
    out.put_u8(document_width as u8);
    out.put_u8(0);
    let (mut start, mut rest) = (0u64, entries.clone().map(|(hash, _)| bucket(hash, bits)).peekable());
    let starts = (0..=1u64 << bits).map(|wanted| {
        while rest.next_if(|bucket| *bucket < wanted).is_some() {
            start += 1;
        }
        start
    });
    pack(starts, start_width, out);
    pack(entries.clone().map(|(hash, _)| fingerprint(hash, bits)), FINGERPRINT_BITS, out);
    pack(entries.map(|(_, document)| u64::from(document)), document_width, out);
}

/// The bucket of a hash: its top bits.
fn bucket(hash: u64, bits: u32) -> u64 {
    hash.checked_shr(64 - bits).unwrap_or(0)
}

/// The bits of a hash after those of the bucket.
fn fingerprint(hash: u64, bits: u32) -> u64 {
    (hash << bits) >> (64 - FINGERPRINT_BITS)
}

/// A unique index, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventIds<'a> {
    bits: u32,
    documents: u32,
    starts: Packed<'a>,
    fingerprints: Packed<'a>,
    entries: Packed<'a>,
}

impl<'a> EventIds<'a> {
    /// Takes the bytes of the component of a segment with this many documents; compares lengths only.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn read(bytes: &'a [u8], documents: u32) -> Result<EventIds<'a>> {
        let mut reader = Reader::new(bytes);
        let (count, bits) = (reader.u32()?, u32::from(reader.u8()?));
        let (start_width, document_width, zero) = (u32::from(reader.u8()?), u32::from(reader.u8()?), reader.u8()?);
        if count > SEGMENT_DOCUMENTS_MAX {
            return Err(Error::corrupt("too many unique keys").at(0).expected(format_args!("at most {SEGMENT_DOCUMENTS_MAX}"), count));
        }
        if bits > BUCKET_BITS_MAX || zero != 0 {
            return Err(Error::corrupt("unknown form of the unique index")
                .at(4)
                .expected("at most 28 and 0", format_args!("{bits} and {zero}")));
        }
        let starts = Packed::read(&mut reader, (1usize << bits) + 1, start_width)?;
        let fingerprints = Packed::read(&mut reader, count as usize, FINGERPRINT_BITS)?;
        let entries = Packed::read(&mut reader, count as usize, document_width)?;
        reader.finish()?;
        Ok(EventIds { bits, documents, starts, fingerprints, entries })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Appends the documents whose key may have this hash: all that have it, seldom others.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the bucket or a document cannot be.
    pub(crate) fn candidates(&self, hash: u64, documents: &mut Vec<u32>) -> Result<()> {
        let bucket = bucket(hash, self.bits) as usize;
        let (start, end) = (self.starts.get(bucket), self.starts.get(bucket + 1));
        if start > end || end > self.entries.len() as u64 {
            let found = format!("{start} to {end}");
            return Err(
                Error::corrupt("a bucket of the unique index cannot be").expected(format_args!("at most {}", self.entries.len()), found)
            );
        }
        let wanted = fingerprint(hash, self.bits);
        for index in start as usize..end as usize {
            if self.fingerprints.get(index) == wanted {
                documents.push(self.document(index)?);
            }
        }
        Ok(())
    }

    /// How many bits of a hash are known from its place, counted from the top.
    pub(crate) fn known_bits(&self) -> u32 {
        self.bits + FINGERPRINT_BITS
    }

    /// Calls `visit` with the known bits of the hash of each entry, at the top of a number whose other bits are 0, and its document.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] for a bucket or a document that cannot be.
    pub(crate) fn for_each_known(&self, mut visit: impl FnMut(u64, u32)) -> Result<()> {
        self.check()?;
        let mut bucket = 0;
        for index in 0..self.entries.len() {
            while self.starts.get(bucket + 1) <= index as u64 {
                bucket += 1;
            }
            let fingerprint = self.fingerprints.get(index) << (64 - FINGERPRINT_BITS) >> self.bits;
            visit((bucket as u64).checked_shl(64 - self.bits).unwrap_or(0) | fingerprint, self.document(index)?);
        }
        Ok(())
    }

    /// The documents of all entries, in no order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] in place of a document that cannot be.
    pub(crate) fn documents(&self) -> impl Iterator<Item = Result<u32>> + '_ {
        (0..self.entries.len()).map(|index| self.document(index))
    }

    /// Walks everything: buckets ascending, from the first entry to the last, documents below the number of documents.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        let ascending = self.starts.range(0, self.starts.len()).is_sorted();
        let (first, last) = (self.starts.get(0), self.starts.get(self.starts.len() - 1));
        if !ascending || first != 0 || last != self.entries.len() as u64 {
            return Err(Error::corrupt("the buckets of the unique index do not hold its entries"));
        }
        (0..self.entries.len()).try_for_each(|index| self.document(index).map(|_| ()))
    }

    fn document(&self, index: usize) -> Result<u32> {
        match u32::try_from(self.entries.get(index)) {
            Ok(document) if document < self.documents => Ok(document),
            _ => Err(Error::corrupt("a document of the unique index is past the end")
                .expected(format_args!("below {}", self.documents), self.entries.get(index))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::hash64;
    use proptest::prelude::*;

    fn encoded(entries: &[(u64, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut entries.to_vec(), &mut bytes);
        bytes
    }

    fn any_entries() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let hashes = prop_oneof![4 => any::<u64>(), 1 => 0u64..4, 1 => Just(u64::MAX)];
        proptest::collection::vec((hashes, 0u32..1_000), 0..400)
    }

    proptest! {
        #[test]
        fn every_key_is_found(entries in any_entries(), others in proptest::collection::vec(any::<u64>(), 50)) {
            let bytes = encoded(&entries);
            let ids = EventIds::read(&bytes, 1_000).unwrap();
            ids.check().unwrap();
            prop_assert_eq!(ids.len() as usize, entries.len());
            for hash in entries.iter().map(|(hash, _)| *hash).chain(others) {
                let mut found = Vec::new();
                ids.candidates(hash, &mut found).unwrap();
                for (_, document) in entries.iter().filter(|(h, _)| *h == hash) {
                    let at = found.iter().position(|d| d == document);
                    prop_assert!(at.is_some(), "document {document} of {hash:x} is missing");
                    found.swap_remove(at.unwrap());
                }
                let similar = entries.iter().filter(|(h, _)| *h != hash && (h ^ hash) >> (64 - FINGERPRINT_BITS) == 0).count();
                prop_assert!(found.len() <= similar, "{found:?}");
            }
            let mut known = Vec::new();
            ids.for_each_known(|hash, document| known.push((hash, document))).unwrap();
            let mut right: Vec<(u64, u32)> = entries.iter().map(|(hash, d)| (hash >> (64 - ids.known_bits()) << (64 - ids.known_bits()), *d)).collect();
            known.sort_unstable();
            right.sort_unstable();
            prop_assert_eq!(known, right);
        }

        #[test]
        fn damaged_bytes_do_no_harm(entries in any_entries(), flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..6), random: Vec<u8>) {
            let mut bytes = encoded(&entries);
            let len = bytes.len();
            flips.iter().for_each(|(at, mask)| bytes[at % len] ^= mask);
            for bytes in [&bytes, &random] {
                if let Ok(ids) = EventIds::read(bytes, 1_000) {
                    let mut found = Vec::new();
                    entries.iter().for_each(|(hash, _)| drop(ids.candidates(*hash, &mut found)));
                    prop_assert!(found.iter().all(|d| *d < 1_000));
                    let _ = ids.check();
                }
            }
        }
    }

    #[test]
    fn a_million_keys_are_small_and_others_seldom_pass() {
        let entries: Vec<(u64, u32)> = (0..1_000_000u32).map(|i| (hash64(&i.to_le_bytes()), i)).collect();
        let bytes = encoded(&entries);
        let ids = EventIds::read(&bytes, 1_000_000).unwrap();
        let each = bytes.len() as f64 / 1e6;
        let mut found = Vec::new();
        (0..200_000u64).for_each(|i| ids.candidates(hash64(&i.to_le_bytes()), &mut found).unwrap());
        println!("event ids: {each:.3} bytes each; {} of 200,000 other keys pass", found.len());
        assert!(each < 4.5, "{each}");
        assert!(found.len() < 1_000, "{}", found.len());
    }
}
