//! The requests of Kafka that a producer needs, each in one version that brokers from 2.5 on know, and their answers.

use std::collections::BTreeMap;

use crate::trails::sink::kafka::wire::{Reader, Writer};

/// A kind of request: its number and the version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// Its number.
    pub key: i16,
    /// The version.
    pub version: i16,
    /// Its name, for people.
    pub name: &'static str,
    /// Whether heads and bodies end with a list of what later versions add, which is empty here.
    pub is_flexible: bool,
}

impl Api {
    const fn new(key: i16, version: i16, name: &'static str) -> Api {
        Api { key, version, name, is_flexible: false }
    }
}

/// Records for partitions. From version 7 on brokers take Zstandard.
pub const PRODUCE: Api = Api::new(0, 7, "Produce");
/// Who leads what.
pub const METADATA: Api = Api::new(3, 4, "Metadata");
/// The same with what we may do; asked of brokers that know it.
pub const RIGHTS: Api = Api::new(3, 8, "Metadata");
/// Which login.
pub const SASL_HANDSHAKE: Api = Api::new(17, 1, "SaslHandshake");
/// What a broker can.
pub const API_VERSIONS: Api = Api::new(18, 0, "ApiVersions");
/// The number of a producer.
pub const INIT_PRODUCER_ID: Api = Api { key: 22, version: 3, name: "InitProducerId", is_flexible: true };
/// A step of a login.
pub const SASL_AUTHENTICATE: Api = Api::new(36, 0, "SaslAuthenticate");

/// How long a broker may wait for replicas, in milliseconds.
const REPLICAS_MS: i32 = 30_000;
/// No number of a producer: it is asked for.
const NONE: i8 = -1;
/// An empty list of what later versions add.
const NOTHING_MORE: &[u8] = &[0];
/// No text, where the length is written from 1 on.
const NO_TEXT: &[u8] = &[0];
/// All replicas that are in step must have the records.
const ALL: i16 = -1;

/// A request with its head.
#[must_use]
pub fn request(api: Api, number: i32, client: &str, body: &[u8]) -> Vec<u8> {
    let mut head = Writer::default();
    head.int16(api.key);
    head.int16(api.version);
    head.int32(number);
    head.text(client);
    if api.is_flexible {
        head.raw(NOTHING_MORE);
    }
    head.raw(body);
    let mut out = Writer::default();
    out.bytes(&head.into_bytes());
    out.into_bytes()
}

/// From which version to which a broker knows a request, by its number.
pub type Versions = BTreeMap<i16, (i16, i16)>;

/// The versions that a broker knows, from and to, by number of request; or its error.
#[must_use]
pub fn versions(answer: &[u8]) -> Option<Result<Versions, i16>> {
    let mut input = Reader(answer);
    let code = input.int16()?;
    if code != 0 {
        return Some(Err(code));
    }
    let known = input.list(|input| Some((input.int16()?, (input.int16()?, input.int16()?))))?;
    Some(Ok(known.into_iter().collect()))
}

/// Asks who leads the partitions of a topic; which is not made by asking.
#[must_use]
pub fn metadata(topic: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.length(1);
    out.text(topic);
    out.int8(0);
    out.into_bytes()
}

/// Asks what we may do with a topic.
#[must_use]
pub fn rights(topic: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(&metadata(topic));
    // Nothing of the cluster.
    out.int8(0);
    out.int8(1);
    out.into_bytes()
}

/// An error, and what we may do with the topic: the bit 4 for writing, 8 for asking about it. Who keeps no rights says all, or nothing of use.
#[must_use]
pub fn read_rights(answer: &[u8]) -> Option<(i16, i32)> {
    let (_, mut topics) = read_cluster(answer, |input| {
        input.list(|input| {
            input.int16()?;
            // Number, leader, and which of its terms; then replicas, those in step, and those that are away.
            (0..3).try_for_each(|_| input.int32().map(drop))?;
            (0..3).try_for_each(|_| input.list(Reader::int32).map(drop))
        })?;
        input.int32()
    })?;
    topics.pop()
}

/// The number of a broker, its host and port.
type Broker = (i32, (String, u16));

/// The brokers of a cluster, and of each topic its error and what was read of it.
type Cluster<T> = (Vec<Broker>, Vec<(i16, T)>);

/// What the versions of the answer have in common: brokers, and of each topic its error and what follows its name.
fn read_cluster<'a, T>(answer: &'a [u8], mut rest: impl FnMut(&mut Reader<'a>) -> Option<T>) -> Option<Cluster<T>> {
    let mut input = Reader(answer);
    input.int32()?;
    let brokers = input.list(read_broker)?;
    input.text()?;
    input.int32()?;
    let topics = input.list(|input| {
        let code = input.int16()?;
        input.text()?;
        input.flag()?;
        Some((code, rest(input)?))
    })?;
    Some((brokers, topics))
}

fn read_broker(input: &mut Reader<'_>) -> Option<Broker> {
    let broker = (input.int32()?, (input.text()?.to_owned(), u16::try_from(input.int32()?).ok()?));
    input.text()?;
    Some(broker)
}

/// Who leads what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Host and port of brokers, by number.
    pub brokers: BTreeMap<i32, (String, u16)>,
    /// What is said of the topic: 0 when all is well.
    pub code: i16,
    /// The broker that leads a partition, by number; -1 for nobody.
    pub leaders: BTreeMap<i32, i32>,
}

/// Reads who leads what of one topic.
#[must_use]
pub fn read_metadata(answer: &[u8]) -> Option<Metadata> {
    let (brokers, mut topics) = read_cluster(answer, |input| {
        input.list(|input| {
            input.int16()?;
            let leader = (input.int32()?, input.int32()?);
            input.list(Reader::int32)?;
            input.list(Reader::int32)?;
            Some(leader)
        })
    })?;
    let (code, leaders) = topics.pop()?;
    Some(Metadata { brokers: brokers.into_iter().collect(), code, leaders: leaders.into_iter().collect() })
}

/// Asks for the number of a producer.
#[must_use]
pub fn init_producer() -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(NO_TEXT);
    out.int32(REPLICAS_MS);
    out.int64(NONE.into());
    out.int16(NONE.into());
    out.raw(NOTHING_MORE);
    out.into_bytes()
}

/// Error, number and generation of a producer.
#[must_use]
pub fn read_producer(answer: &[u8]) -> Option<(i16, i64, i16)> {
    let mut input = Reader(answer);
    // A head with a list of its own; what is in it would be in a later version.
    if input.flag()? {
        return None;
    }
    input.int32()?;
    Some((input.int16()?, input.int64()?, input.int16()?))
}

/// A batch of records for each of some partitions.
#[must_use]
pub fn produce(topic: &str, parts: &[(i32, &[u8])]) -> Vec<u8> {
    let mut out = Writer::default();
    out.no_text();
    out.int16(ALL);
    out.int32(REPLICAS_MS);
    out.length(1);
    out.text(topic);
    out.length(parts.len());
    for (partition, records) in parts {
        out.int32(*partition);
        out.bytes(records);
    }
    out.into_bytes()
}

/// What became of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Produced {
    /// The error of each partition, 0 for none.
    pub codes: BTreeMap<i32, i16>,
    /// For how many milliseconds the broker wants to be left alone.
    pub throttle_ms: i32,
}

/// Reads what became of records.
#[must_use]
pub fn read_produced(answer: &[u8]) -> Option<Produced> {
    let mut input = Reader(answer);
    let topics = input.list(|input| {
        input.text()?;
        input.list(|input| {
            let part = (input.int32()?, input.int16()?);
            input.int64()?;
            input.int64()?;
            input.int64()?;
            Some(part)
        })
    })?;
    Some(Produced { codes: topics.into_iter().flatten().collect(), throttle_ms: input.int32()? })
}

/// Asks whether a login is known.
#[must_use]
pub fn sasl_handshake(mechanism: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(mechanism);
    out.into_bytes()
}

/// An error, and the logins that a broker knows.
#[must_use]
pub fn read_handshake(answer: &[u8]) -> Option<(i16, Vec<String>)> {
    let mut input = Reader(answer);
    Some((input.int16()?, input.list(|input| input.text().map(str::to_owned))?))
}

/// A step of a login.
#[must_use]
pub fn sasl_authenticate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(bytes);
    out.into_bytes()
}

/// An error with its words, and the bytes of a step.
#[must_use]
pub fn read_authenticated(answer: &[u8]) -> Option<(i16, String, Vec<u8>)> {
    let mut input = Reader(answer);
    Some((input.int16()?, input.text()?.to_owned(), input.bytes()?.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_have_the_form_of_the_specification() {
        let asked = request(METADATA, 9, "me", &metadata("t"));
        assert_eq!(asked, b"\0\0\0\x14\0\x03\0\x04\0\0\0\x09\0\x02me\0\0\0\x01\0\x01t\0");
        let asked = request(RIGHTS, 9, "me", &rights("t"));
        assert_eq!(asked, b"\0\0\0\x16\0\x03\0\x08\0\0\0\x09\0\x02me\0\0\0\x01\0\x01t\0\0\x01");
        let producer = request(INIT_PRODUCER_ID, 1, "me", &init_producer());
        assert_eq!(producer, b"\0\0\0\x1d\0\x16\0\x03\0\0\0\x01\0\x02me\0\0\0\0\x75\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0");
        assert_eq!(read_producer(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\x02\0"), Some((0, 7, 2)));
        assert_eq!(produce("t", &[(2, b"xy")]), b"\xff\xff\xff\xff\0\0\x75\x30\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x02\0\0\0\x02xy");
    }

    #[test]
    fn answers_are_read() {
        let answer = b"\0\0\0\0\0\0\0\x01\0\0\0\x05\0\x01h\0\0\x23\x84\xff\xff\xff\xff\0\0\0\x05\0\0\0\x01\0\0\0\x01t\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x05\
            \0\0\0\x01\0\0\0\x05\0\0\0\0";
        let read = read_metadata(answer).unwrap();
        assert_eq!((read.brokers, read.leaders, read.code), ([(5, ("h".into(), 9_092))].into(), [(0, 5)].into(), 0));
        let mut produced = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x03\0\x0a".to_vec();
        produced.extend([0; 24]);
        produced.extend([0, 0, 0, 7]);
        assert_eq!(read_produced(&produced), Some(Produced { codes: [(3, 10)].into(), throttle_ms: 7 }));
        assert_eq!(versions(b"\0\0\0\0\0\x01\0\x03\0\x01\0\x09"), Some(Ok([(3, (1, 9))].into())));
        assert_eq!(versions(b"\0\x23"), Some(Err(35)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (versions(&bytes), read_metadata(&bytes), read_producer(&bytes), read_produced(&bytes));
            let _ = (read_handshake(&bytes), read_authenticated(&bytes), read_rights(&bytes));
        }
    }
}
