//! Postings come back, damage does no harm, and the size is what was promised.

use super::*;
use proptest::prelude::*;

const DOCUMENTS: u32 = 150_000;

fn encoded(terms: &[Vec<u32>]) -> Vec<u8> {
    let mut writer = PostingsWriter::default();
    terms.iter().for_each(|documents| writer.push(documents).unwrap());
    assert_eq!(writer.len(), terms.len());
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    bytes
}

fn any_documents() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        4 => (0..DOCUMENTS).prop_map(|d| vec![d]),
        1 => Just(Vec::new()),
        4 => proptest::collection::btree_set(0..DOCUMENTS, 0..60).prop_map(|set| set.into_iter().collect()),
        2 => (0u32..70_000, 1u32..60_000, 1u32..900).prop_map(|(start, len, step)| (start..start + len).step_by(step as usize).collect()),
        1 => (1u32..4).prop_map(|step| (0..DOCUMENTS).step_by(step as usize).collect()),
    ]
}

fn any_terms() -> impl Strategy<Value = Vec<Vec<u32>>> {
    proptest::collection::vec(any_documents(), 0..12)
}

fn use_all(bytes: &[u8], within: Range<u32>) {
    let Ok(postings) = PostingsReader::read(bytes, DOCUMENTS) else {
        return;
    };
    let (mut scratch, mut set) = (Vec::new(), RoaringBitmap::new());
    for ordinal in 0..postings.len().min(100) {
        let _ = (postings.count(ordinal), postings.add_to(ordinal, within.clone(), &mut set));
        if let Ok(found) = postings.with(ordinal, &mut scratch) {
            let _ = found.to_bitmap();
        }
    }
    assert!(set.max().is_none_or(|max| max < DOCUMENTS));
    let _ = (postings.check(), postings.count(u32::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn documents_come_back(terms in any_terms(), a in 0..DOCUMENTS + 9, b in 0..DOCUMENTS + 9) {
        let bytes = encoded(&terms);
        let postings = PostingsReader::read(&bytes, DOCUMENTS).unwrap();
        postings.check().unwrap();
        prop_assert_eq!(postings.len() as usize, terms.len());
        let within = a.min(b)..b.max(a);
        let (mut scratch, mut set, mut wanted) = (vec![9], RoaringBitmap::new(), RoaringBitmap::new());
        for (ordinal, documents) in terms.iter().enumerate() {
            let ordinal = ordinal as u32;
            prop_assert_eq!(postings.count(ordinal).unwrap() as usize, documents.len());
            let found = postings.with(ordinal, &mut scratch).unwrap();
            prop_assert_eq!(found.count() as usize, documents.len());
            prop_assert_eq!(&found.to_bitmap().unwrap().iter().collect::<Vec<_>>(), documents);
            postings.add_to(ordinal, within.clone(), &mut set).unwrap();
            wanted.extend(documents.iter().copied().filter(|d| within.contains(d)));
        }
        prop_assert_eq!(set, wanted);
        prop_assert!(postings.count(terms.len() as u32).is_err());
    }

    #[test]
    fn documents_past_the_end_are_refused(documents in any_documents().prop_filter("one at least", |d| !d.is_empty())) {
        let bytes = encoded(std::slice::from_ref(&documents));
        let postings = PostingsReader::read(&bytes, *documents.last().unwrap()).unwrap();
        let mut scratch = Vec::new();
        prop_assert!(postings.with(0, &mut scratch).is_err());
        prop_assert!(postings.add_to(0, 0..u32::MAX, &mut RoaringBitmap::new()).is_err());
        prop_assert!(postings.check().is_err());
    }

    #[test]
    fn damaged_bytes_do_no_harm(terms in any_terms(), flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..6), near: bool, random: Vec<u8>, a: u32, b: u32) {
        use_all(&random, a..b);
        let mut bytes = encoded(&terms);
        let len = if near { bytes.len().min(80) } else { bytes.len() };
        flips.iter().for_each(|(at, mask)| bytes[at.index(len)] ^= mask);
        use_all(&bytes, a..b);
    }
}

#[test]
fn documents_out_of_order_are_refused() {
    assert!(PostingsWriter::default().push(&[3, 3]).is_err());
    assert!(PostingsWriter::default().push(&[3, 2]).is_err());
}

/// A million documents with one term each: a few frequent, many rare, as users and addresses are.
#[test]
fn a_million_documents_with_skewed_terms_are_small() {
    let (mut seed, documents, terms) = (1u64, 1_000_000u32, 20_000f64);
    let mut lists = vec![Vec::new(); terms as usize + 1];
    for document in 0..documents {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let unit = (seed >> 11) as f64 / (1u64 << 53) as f64;
        lists[terms.powf(unit) as usize].push(document);
    }
    let skewed = encoded(&lists).len() as f64 / 1e6;
    let mut writer = PostingsWriter::default();
    (0..documents).for_each(|document| writer.push(&[document]).unwrap());
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    let unique = bytes.len() as f64 / 1e6;
    println!("postings: {skewed:.3} bytes a document with skewed terms, {unique:.3} with a term for each");
    assert!(skewed < 2.2 && unique < 2.7, "{skewed} {unique}");
}

/// Terms that always come together have one list, wherever they stand; a damaged place that is not the beginning of one is found.
#[test]
fn terms_with_the_same_documents_share_a_list() {
    let lists: Vec<Vec<u32>> =
        vec![vec![1, 5, 9], vec![2, 700], vec![3], vec![1, 5, 9], vec![], vec![3], vec![1, 5, 10], vec![2, 700], vec![]];
    let (bytes, distinct) = (encoded(&lists), encoded(&[lists[..2].to_vec(), lists[4..5].to_vec(), lists[6..7].to_vec()].concat()));
    let (postings, alone) = (PostingsReader::read(&bytes, 1_000).unwrap(), PostingsReader::read(&distinct, 1_000).unwrap());
    postings.check().unwrap();
    assert_eq!(postings.data, alone.data);
    let mut scratch = Vec::new();
    for (ordinal, documents) in (0..).zip(&lists) {
        assert_eq!(postings.count(ordinal).unwrap() as usize, documents.len());
        assert_eq!(&postings.with(ordinal, &mut scratch).unwrap().to_bitmap().unwrap().iter().collect::<Vec<_>>(), documents);
    }
    // The fourth term leads a byte behind the first list's beginning.
    let (mut damaged, width) = (bytes.clone(), bytes[4] as usize);
    let bit = 3 * width + 1;
    damaged[16 + bit / 8] ^= 1 << (bit % 8);
    assert!(PostingsReader::read(&damaged, 1_000).unwrap().check().is_err());
    // Entries without width would be any number of terms in no room.
    let mut damaged = bytes;
    damaged[4] = 0;
    assert!(PostingsReader::read(&damaged, 1_000).is_err());
}
