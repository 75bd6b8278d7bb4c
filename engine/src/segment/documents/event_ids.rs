//! From the hash of a unique key to the documents that may have it, or to their blocks.
//!
//! Entries are in hash order. The top bits of a hash name a bucket of 8 to 16 entries; the next 12 bits are the fingerprint, so
//! that a key that is not there costs one look into one cache line and passes once in about 300 times. The caller compares
//! the key itself.
//!
//! Where every value at the dimension's paths is a key, the block is enough: its column of keys says which documents have one, without a
//! look at any event. So a key that passes in vain costs less, and the fingerprint has 10 bits.

use crate::codec::bits::{Packed, pack, width_of};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::limits::{BLOCK_DOCUMENTS, SEGMENT_DOCUMENTS_MAX};

/// How many entries a bucket has at most on average, as a power of 2.
const BUCKET_ENTRIES_LOG: u32 = 4;

/// Where the entries of an index lead. The numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Places {
    /// To documents.
    Documents = 0,
    /// To blocks: every string at the dimension's paths is a key of its document, and nothing else is.
    Blocks = 1,
}

impl Places {
    /// How many bits of a hash are its fingerprint: each costs an eighth of a byte an event, and halves how often an event, or a column of
    /// keys, is read in vain.
    const fn fingerprint_bits(self) -> u32 {
        match self {
            Places::Documents => 12,
            Places::Blocks => 10,
        }
    }

    fn of(self, document: u32) -> u64 {
        match self {
            Places::Documents => u64::from(document),
            Places::Blocks => u64::from(document / BLOCK_DOCUMENTS as u32),
        }
    }
}

/// The most bits of a hash that name a bucket.
const BUCKET_BITS_MAX: u32 = 28;

/// Appends the index of these pairs of hash ([`crate::codec::checksum::hash64`]) and document; sorts them.
pub(crate) fn encode(entries: &mut [(u64, u32)], places: Places, out: &mut Vec<u8>) {
    entries.sort_unstable();
    encode_sorted(entries.iter().copied(), places, out);
}

/// How many bits of a hash are written at most in an index of so many entries, counted from the top.
pub(crate) fn written_bits(entries: usize) -> u32 {
    bucket_bits(entries) + Places::Documents.fingerprint_bits()
}

fn bucket_bits(entries: usize) -> u32 {
    width_of((entries as u64) >> BUCKET_ENTRIES_LOG).min(BUCKET_BITS_MAX)
}

/// Appends the index of pairs that ascend by the written bits of their hashes.
pub(crate) fn encode_sorted(entries: impl ExactSizeIterator<Item = (u64, u32)> + Clone, places: Places, out: &mut Vec<u8>) {
    let count = entries.len();
    let bits = bucket_bits(count);
    let start_width = width_of(count as u64);
    let place_width = entries.clone().map(|(_, document)| width_of(places.of(document))).max().unwrap_or(0);
    let fingerprint_bits = places.fingerprint_bits();
    out.put_u32(count as u32);
    out.put_u8(bits as u8);
    out.put_u8(start_width as u8);
    out.put_u8(place_width as u8);
    out.put_u8(places as u8);
    let (mut start, mut rest) = (0u64, entries.clone().map(|(hash, _)| bucket(hash, bits)).peekable());
    let starts = (0..=1u64 << bits).map(|wanted| {
        while rest.next_if(|bucket| *bucket < wanted).is_some() {
            start += 1;
        }
        start
    });
    pack(starts, start_width, out);
    pack(entries.clone().map(|(hash, _)| fingerprint(hash, (bits, fingerprint_bits))), fingerprint_bits, out);
    pack(entries.map(|(_, document)| places.of(document)), place_width, out);
}

/// The bucket of a hash: its top bits.
fn bucket(hash: u64, bits: u32) -> u64 {
    hash.checked_shr(64 - bits).unwrap_or(0)
}

/// The bits of a hash after those of the bucket.
fn fingerprint(hash: u64, (bits, fingerprint_bits): (u32, u32)) -> u64 {
    (hash << bits) >> (64 - fingerprint_bits)
}

/// A unique index, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventIds<'a> {
    bits: u32,
    places: Places,
    /// How many documents or blocks there are.
    limit: u32,
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
        let (start_width, place_width, form) = (u32::from(reader.u8()?), u32::from(reader.u8()?), reader.u8()?);
        if count > SEGMENT_DOCUMENTS_MAX {
            return Err(Error::corrupt("too many unique keys").at(0).expected(format_args!("at most {SEGMENT_DOCUMENTS_MAX}"), count));
        }
        let (places, limit) = match form {
            0 => (Places::Documents, documents),
            _ => (Places::Blocks, documents.div_ceil(BLOCK_DOCUMENTS as u32)),
        };
        if bits > BUCKET_BITS_MAX || form > Places::Blocks as u8 {
            return Err(Error::corrupt("unknown form of the unique index")
                .at(4)
                .expected("at most 28, 0 or 1", format_args!("{bits}, {form}")));
        }
        let starts = Packed::read(&mut reader, (1usize << bits) + 1, start_width)?;
        let fingerprints = Packed::read(&mut reader, count as usize, places.fingerprint_bits())?;
        let entries = Packed::read(&mut reader, count as usize, place_width)?;
        reader.finish()?;
        Ok(EventIds { bits, places, limit, starts, fingerprints, entries })
    }

    /// Where its entries lead.
    pub(crate) fn places(&self) -> Places {
        self.places
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Appends the documents or blocks with a key that may have this hash: all that have it, one with several several times; seldom
    /// others.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the bucket or a document cannot be.
    pub(crate) fn candidates(&self, hash: u64, places: &mut Vec<u32>) -> Result<()> {
        let bucket = bucket(hash, self.bits) as usize;
        let (start, end) = (self.starts.get(bucket), self.starts.get(bucket + 1));
        if start > end || end > self.entries.len() as u64 {
            let found = format!("{start} to {end}");
            return Err(
                Error::corrupt("a bucket of the unique index cannot be").expected(format_args!("at most {}", self.entries.len()), found)
            );
        }
        let wanted = fingerprint(hash, (self.bits, self.places.fingerprint_bits()));
        for index in start as usize..end as usize {
            if self.fingerprints.get(index) == wanted {
                places.push(self.place(index)?);
            }
        }
        Ok(())
    }

    /// How many bits of a hash are known from its place, counted from the top.
    pub(crate) fn known_bits(&self) -> u32 {
        self.bits + self.places.fingerprint_bits()
    }

    /// Calls `visit` with the known bits of the hash of each entry, at the top of a number whose other bits are 0, and its document or block.
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
            let fingerprint = self.fingerprints.get(index) << (64 - self.places.fingerprint_bits()) >> self.bits;
            visit((bucket as u64).checked_shl(64 - self.bits).unwrap_or(0) | fingerprint, self.place(index)?);
        }
        Ok(())
    }

    /// The documents or blocks of all entries, in no order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] in place of one that cannot be.
    pub(crate) fn all(&self) -> impl Iterator<Item = Result<u32>> + '_ {
        (0..self.entries.len()).map(|index| self.place(index))
    }

    /// Walks everything: buckets ascending, from the first entry to the last, documents and blocks below their number.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn check(&self) -> Result<()> {
        let ascending = self.starts.range(0, self.starts.len()).is_sorted();
        let (first, last) = (self.starts.get(0), self.starts.get(self.starts.len() - 1));
        if !ascending || first != 0 || last != self.entries.len() as u64 {
            return Err(Error::corrupt("the buckets of the unique index do not hold its entries"));
        }
        (0..self.entries.len()).try_for_each(|index| self.place(index).map(|_| ()))
    }

    fn place(&self, index: usize) -> Result<u32> {
        match u32::try_from(self.entries.get(index)) {
            Ok(place) if place < self.limit => Ok(place),
            _ => Err(Error::corrupt("a document or block of the unique index is past the end")
                .expected(format_args!("below {}", self.limit), self.entries.get(index))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::hash64;
    use proptest::prelude::*;

    const DOCUMENTS: u32 = 10_000;

    fn encoded(entries: &[(u64, u32)], places: Places) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut entries.to_vec(), places, &mut bytes);
        bytes
    }

    fn any_places() -> impl Strategy<Value = Places> {
        prop_oneof![Just(Places::Documents), Just(Places::Blocks)]
    }

    fn any_entries() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let hashes = prop_oneof![4 => any::<u64>(), 1 => 0u64..4, 1 => Just(u64::MAX)];
        proptest::collection::vec((hashes, 0..DOCUMENTS), 0..400)
    }

    proptest! {
        #[test]
        fn every_key_is_found(entries in any_entries(), places in any_places(), others in proptest::collection::vec(any::<u64>(), 50)) {
            let bytes = encoded(&entries, places);
            let ids = EventIds::read(&bytes, DOCUMENTS).unwrap();
            let entries: Vec<(u64, u32)> = entries.iter().map(|(hash, document)| (*hash, places.of(*document) as u32)).collect();
            prop_assert_eq!(ids.places(), places);
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
                let similar = entries.iter().filter(|(h, _)| *h != hash && (h ^ hash) >> (64 - places.fingerprint_bits()) == 0).count();
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
        fn damaged_bytes_do_no_harm(entries in any_entries(), places in any_places(), flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..6), random: Vec<u8>) {
            let mut bytes = encoded(&entries, places);
            let len = bytes.len();
            flips.iter().for_each(|(at, mask)| bytes[at % len] ^= mask);
            for bytes in [&bytes, &random] {
                if let Ok(ids) = EventIds::read(bytes, DOCUMENTS) {
                    let mut found = Vec::new();
                    entries.iter().for_each(|(hash, _)| drop(ids.candidates(*hash, &mut found)));
                    prop_assert!(found.iter().all(|d| *d < DOCUMENTS));
                    let _ = ids.check();
                }
            }
        }
    }

    #[test]
    fn a_million_keys_are_small_and_others_seldom_pass() {
        let entries: Vec<(u64, u32)> = (0..1_000_000u32).map(|i| (hash64(&i.to_le_bytes()), i)).collect();
        for (places, most_bytes, most_passing) in [(Places::Documents, 4.5, 1_000), (Places::Blocks, 2.7, 4_000)] {
            let bytes = encoded(&entries, places);
            let ids = EventIds::read(&bytes, 1_000_000).unwrap();
            let each = bytes.len() as f64 / 1e6;
            let mut found = Vec::new();
            (0..200_000u64).for_each(|i| ids.candidates(hash64(&i.to_le_bytes()), &mut found).unwrap());
            println!("event ids: {each:.3} bytes each; {} of 200,000 other keys pass", found.len());
            assert!(each < most_bytes, "{each}");
            assert!(found.len() < most_passing, "{}", found.len());
        }
    }
}
