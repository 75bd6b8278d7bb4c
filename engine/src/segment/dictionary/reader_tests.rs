//! Terms come back in groups of any kind, damage does no harm, and the size is what was promised.

use super::*;
use crate::segment::dictionary::page::{PAGE_BYTES, TERM_BYTES_MAX};
use crate::segment::dictionary::writer::DictionaryWriter;
use proptest::prelude::*;

const SEGMENT: SegmentId = SegmentId(7);

fn encoded(groups: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let (mut writer, mut bytes) = (DictionaryWriter::default(), Vec::new());
    for (index, term) in groups.iter().flatten().enumerate() {
        assert_eq!(writer.push(term).unwrap() as usize, index);
        if index % 100 == 99 {
            writer.take_pages(&mut bytes);
        }
    }
    writer.finish(&mut bytes).unwrap();
    bytes
}

/// Groups of distinct ascending terms, some of several pages, some of long terms with long shared prefixes.
fn any_groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let short = proptest::collection::btree_set(proptest::collection::vec(prop_oneof![Just(0u8), Just(255), 97u8..100], 0..6), 0..80);
    let long = (1usize..9_000, proptest::collection::btree_set(any::<u16>(), 0..12))
        .prop_map(|(len, tails)| tails.into_iter().map(|tail| [vec![b'x'; len], tail.to_be_bytes().to_vec()].concat()).collect());
    let many =
        (1u32..1_500, 1u32..99).prop_map(|(n, step)| (0..n).map(|i| format!("arn:aws:iam::{:09}:user", i * step).into_bytes()).collect());
    proptest::collection::vec(prop_oneof![3 => short, 1 => long, 1 => many], 0..6)
        .prop_map(|groups| groups.into_iter().map(|group| group.into_iter().collect()).collect())
}

fn use_all(bytes: &[u8], term: &[u8]) {
    let cache = Cache::new(1 << 20);
    let Ok(dictionary) = Dictionary::read(bytes, SEGMENT, &cache) else {
        return;
    };
    let len = dictionary.len();
    let mut scratch = Vec::new();
    for (start, end) in [(0, len.min(5_000)), (0, len), (len / 3, len / 2), (5, 9), (9, 5)] {
        let range = start..end;
        let _ = dictionary.find_in(range.clone(), term);
        let _ = dictionary.prefix_in(range.clone(), term);
        let _ = dictionary.get(range.start, &mut scratch);
        let _ = dictionary.for_each(range.start..range.end.min(range.start.saturating_add(9_000)), |_, t| {
            assert!(t.len() <= TERM_BYTES_MAX);
            Ok(())
        });
    }
    let _ = dictionary.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn terms_come_back(groups in any_groups(), probes in proptest::collection::vec(proptest::collection::vec(prop_oneof![97u8..100, Just(255), Just(b'x')], 0..4), 8)) {
        let bytes = encoded(&groups);
        let cache = Cache::new(256 << 10);
        let dictionary = Dictionary::read(&bytes, SEGMENT, &cache).unwrap();
        dictionary.check().unwrap();
        let (mut start, mut scratch, mut cursor) = (0u32, Vec::new(), dictionary.cursor());
        for group in &groups {
            let range = start..start + group.len() as u32;
            for (term, ordinal) in group.iter().zip(start..) {
                prop_assert_eq!(dictionary.find_in(range.clone(), term).unwrap(), Some(ordinal));
                dictionary.get(ordinal, &mut scratch).unwrap();
                prop_assert_eq!(&scratch, term);
                prop_assert!(cursor.with(ordinal, |found| found == term).unwrap());
            }
            let mut seen = Vec::new();
            dictionary.for_each(range.clone(), |ordinal, term| {
                seen.push((ordinal, term.to_vec()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(seen, (start..).zip(group.iter().cloned()).collect::<Vec<_>>());
            let starts = group.iter().map(|term| term[..term.len().min(3)].to_vec());
            for probe in probes.iter().cloned().chain(starts) {
                let below = start + group.partition_point(|t| *t < probe) as u32;
                prop_assert_eq!(dictionary.lower_bound_in(range.clone(), &probe).unwrap(), below);
                prop_assert_eq!(dictionary.find_in(range.clone(), &probe).unwrap().is_some(), group.contains(&probe));
                let count = group.iter().filter(|t| t.starts_with(&probe)).count() as u32;
                prop_assert_eq!(dictionary.prefix_in(range.clone(), &probe).unwrap(), below..below + count);
            }
            start = range.end;
        }
        prop_assert_eq!(dictionary.len(), start);
        prop_assert!(dictionary.find_in(start..start + 1, b"").is_err());
        prop_assert!(dictionary.get(start, &mut scratch).is_err());
    }

    #[test]
    fn damaged_bytes_do_no_harm(groups in any_groups(), flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..6), directory: bool, random: Vec<u8>, term: Vec<u8>) {
        use_all(&random, &term);
        let mut bytes = encoded(&groups);
        let reach = if directory { bytes.len().min(400) } else { bytes.len() };
        let len = bytes.len();
        flips.iter().for_each(|(at, mask)| bytes[len - 1 - at.index(reach)] ^= mask);
        use_all(&bytes, &term);
    }

    #[test]
    fn every_changed_byte_is_found(groups in any_groups(), at: prop::sample::Index, mask in 1u8..) {
        let mut bytes = encoded(&groups);
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        let cache = Cache::new(0);
        prop_assert!(Dictionary::read(&bytes, SEGMENT, &cache).and_then(|d| d.check()).is_err());
    }
}

#[test]
fn the_longest_terms_have_pages_of_their_own() {
    let groups = vec![(0..5u8).map(|i| vec![i; TERM_BYTES_MAX]).collect::<Vec<_>>(), vec![Vec::new(), vec![1; PAGE_BYTES]]];
    let bytes = encoded(&groups);
    let cache = Cache::new(4 << 20);
    let dictionary = Dictionary::read(&bytes, SEGMENT, &cache).unwrap();
    dictionary.check().unwrap();
    assert_eq!(dictionary.find_in(0..5, &groups[0][3]).unwrap(), Some(3));
    assert_eq!(dictionary.find_in(5..7, b"").unwrap(), Some(5));
    assert!(DictionaryWriter::default().push(&vec![0; TERM_BYTES_MAX + 1]).is_err());
}

#[test]
fn a_walk_leaves_the_cache_alone() {
    let group: Vec<Vec<u8>> = (0..20_000).map(|i| format!("user-{i:08}").into_bytes()).collect();
    let bytes = encoded(&[group]);
    let cache = Cache::new(8 << 20);
    let dictionary = Dictionary::read(&bytes, SEGMENT, &cache).unwrap();
    let mut count = 0;
    dictionary
        .for_each(0..20_000, |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((count, cache.memory_bytes()), (20_000, 0));
    assert_eq!(dictionary.find_in(0..20_000, b"user-00012345").unwrap(), Some(12_345));
    assert!(cache.memory_bytes() > 0);
    let stop = dictionary.for_each(0..20_000, |_, _| Err(Error::invalid("enough")));
    assert_eq!(stop.unwrap_err().message(), "enough");
}

#[test]
fn terms_of_real_kinds_are_small() {
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 16
    };
    let arns = (0..200_000u64).map(|i| format!("arn:aws:sts::{:012}:assumed-role/role-{}/session-{}", next() % 50, next() % 300, i * 7));
    let mut arns: Vec<Vec<u8>> = arns.map(String::into_bytes).collect();
    let mut addresses: Vec<Vec<u8>> =
        (0..50_000).map(|_| format!("{}.{}.{}.{}", 10, next() % 4, next() % 256, next() % 256).into_bytes()).collect();
    for group in [&mut arns, &mut addresses] {
        group.sort();
        group.dedup();
    }
    let raw: usize = arns.iter().chain(&addresses).map(Vec::len).sum();
    let count = arns.len() + addresses.len();
    let bytes = encoded(&[arns, addresses]);
    let each = bytes.len() as f64 / count as f64;
    println!("dictionary: {count} terms, {raw} bytes raw, {} stored, {each:.2} bytes a term", bytes.len());
    assert!(bytes.len() * 5 < raw, "{each}");
}
