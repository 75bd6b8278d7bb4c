//! The sink against a broker of the tests' own, which keeps records as Kafka does: repeats known by their numbers, and errors on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex as Shared};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trail_engine::id::{Day, Sequence};
use trail_engine::index::StoredEvent;
use trail_engine::storage::FileStorage;

use super::*;
use crate::backend::Schedule;
use crate::config::Config;
use crate::dialect::default_schema;
use crate::trails::keeping::keyring::Keyring;
use crate::trails::keeping::store::Store;
use crate::trails::setting::members::Members;
use crate::trails::sink::kafka::wire::{Reader, Writer};

const PARTITIONS: i32 = 3;

/// What a broker does with the next records for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Keeps them.
    Keep,
    /// Keeps them, and closes the connection in place of the answer.
    Lose,
    /// Says a number.
    Code(i16),
}

/// What a broker has: the values of each partition, the next number of each producer, and what it will do.
#[derive(Debug, Default)]
struct Held {
    values: BTreeMap<i32, Vec<Vec<u8>>>,
    next: BTreeMap<(i64, i32), i32>,
    turns: VecDeque<Turn>,
    producers: i64,
    repeats: usize,
    /// What it says that we may do with the topic.
    rights: i32,
    /// The partition that nobody leads.
    orphan: Option<i32>,
}

impl Held {
    fn sequences(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.values.values().flatten().map(|text| std::str::from_utf8(text).unwrap().parse().unwrap()).collect();
        assert!(self.values.values().all(|values| values.is_sorted_by_key(|text| String::from_utf8_lossy(text).parse::<u64>().unwrap())));
        all.sort_unstable();
        all
    }

    /// Takes a batch as Kafka does; the number that is said of it.
    fn keep(&mut self, partition: i32, batch: &[u8]) -> i16 {
        let mut head = Reader(&batch[43..]);
        let (producer, _, first, count) = (head.int64().unwrap(), head.int16().unwrap(), head.int32().unwrap(), head.int32().unwrap());
        if producer >= 0 {
            let next = self.next.entry((producer, partition)).or_default();
            if first + count == *next {
                self.repeats += 1;
                return 0;
            }
            if first != *next {
                return 45;
            }
            *next += count;
        }
        self.values.entry(partition).or_default().extend(values(head.0));
        0
    }
}

/// The values of records that are not packed.
fn values(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    fn varint(bytes: &mut &[u8]) -> usize {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return (value >> 1) as usize;
            }
        }
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = varint(&mut bytes);
        let (mut record, rest) = bytes.split_at(length);
        bytes = rest;
        record = &record[1..];
        varint(&mut record);
        varint(&mut record);
        let key = varint(&mut record);
        record = &record[key..];
        let value = varint(&mut record);
        all.push(record[..value].to_vec());
    }
    all
}

/// Answers one connection until it ends, or a turn ends it.
async fn serve(mut stream: TcpStream, port: u16, held: Arc<Shared<Held>>) -> Option<()> {
    loop {
        let length = stream.read_i32().await.ok()?;
        let mut asked = vec![0; length as usize];
        stream.read_exact(&mut asked).await.ok()?;
        let mut input = Reader(&asked);
        let (key, version, number) = (input.int16()?, input.int16()?, input.int32()?);
        input.text()?;
        let mut out = Writer::default();
        out.int32(number);
        match key {
            18 => versions(&mut out),
            3 => metadata(port, version, &held.lock().unwrap(), &mut out),
            22 => {
                let mut held = held.lock().unwrap();
                held.producers += 1;
                out.raw(&[0; 7]);
                out.int64(held.producers);
                out.raw(&[0; 3]);
            }
            _ => produced(&mut input, &mut held.lock().unwrap(), &mut out)?,
        }
        stream
            .write_all(&{
                let mut framed = Writer::default();
                framed.bytes(&out.into_bytes());
                framed.into_bytes()
            })
            .await
            .ok()?;
    }
}

fn versions(out: &mut Writer) {
    out.int16(0);
    out.length(5);
    for key in [0, 3, 17, 22, 36] {
        out.int16(key);
        out.int16(0);
        out.int16(9);
    }
}

fn metadata(port: u16, version: i16, held: &Held, out: &mut Writer) {
    out.int32(0);
    out.length(1);
    out.int32(1);
    out.text("127.0.0.1");
    out.int32(i32::from(port));
    out.no_text();
    out.no_text();
    out.int32(1);
    out.length(1);
    out.int16(0);
    out.text("audit");
    out.int8(0);
    out.length(PARTITIONS as usize);
    for partition in 0..PARTITIONS {
        out.int16(0);
        out.int32(partition);
        out.int32(if held.orphan == Some(partition) { -1 } else { 1 });
        if version >= 7 {
            out.int32(0);
        }
        (0..if version >= 5 { 3 } else { 2 }).for_each(|_| out.length(0));
    }
    if version >= 8 {
        out.int32(held.rights);
        out.int32(i32::MIN);
    }
}

/// Keeps what a request has; `None` when the answer is to be lost.
fn produced(input: &mut Reader<'_>, held: &mut Held, out: &mut Writer) -> Option<()> {
    input.text()?;
    input.int16()?;
    input.int32()?;
    input.int32()?;
    input.text()?;
    let parts = input.list(|input| Some((input.int32()?, input.bytes()?)))?;
    out.length(1);
    out.text("audit");
    out.length(parts.len());
    let mut lost = false;
    for (partition, batch) in parts {
        let turn = held.turns.pop_front().unwrap_or(Turn::Keep);
        let code = if let Turn::Code(code) = turn { code } else { held.keep(partition, batch) };
        lost |= turn == Turn::Lose;
        out.int32(partition);
        out.int16(code);
        out.raw(&[0; 24]);
    }
    out.int32(0);
    (!lost).then_some(())
}

async fn broker() -> (u16, Arc<Shared<Held>>) {
    let (listener, held) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(Shared::new(Held::default())));
    let (port, copy) = (listener.local_addr().unwrap().port(), held.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, port, copy.clone()));
        }
    });
    (port, held)
}

fn sink(members: &Value, state: Option<&Value>, begun: Option<u64>) -> Result<Box<dyn Sink>, String> {
    let directory = tempfile::tempdir().unwrap();
    let keyring = Keyring::new(Store::new(Arc::new(FileStorage::open(directory.path()).unwrap())));
    let (schema, hands) = (default_schema().unwrap(), Hands::new(&Schedule::of(&Config::default())));
    let members = Members::check(members.as_object().unwrap(), KIND.members, &[])?;
    make(&Order { trail: "t", log: "l", purpose: "p", members, state, begun, schema: &schema, keyring: &keyring, hands: &hands })
}

fn members(port: u16) -> Value {
    json!({"brokers": format!("127.0.0.1:{port}"), "topic": "audit", "compression": "none"})
}

fn batch(number: u64, sequences: std::ops::Range<u64>) -> Batch {
    let event = |sequence: u64| {
        let at = Timestamp(sequence as i64);
        let text = sequence.to_string().into_bytes();
        Arc::new(StoredEvent { sequence: Sequence(sequence), received_at: at, event_time: at, time_is_received: false, text })
    };
    let (first, last) = (Sequence(sequences.start), Sequence(sequences.end - 1));
    Batch { trail: "t".into(), number, first, last, day: Day(0), events: sequences.map(event).collect(), bytes: 100 }
}

fn all(sequences: std::ops::Range<u64>) -> Vec<u64> {
    sequences.collect()
}

#[tokio::test]
async fn what_is_lost_on_the_way_back_is_known_again() {
    let (port, held) = broker().await;
    let sink = sink(&members(port), None, None).unwrap();
    sink.deliver(&batch(1, 1..50)).await.unwrap();
    held.lock().unwrap().turns = [Turn::Keep, Turn::Lose].into();
    let delivered = sink.deliver(&batch(2, 50..90)).await.unwrap();
    assert!(delivered.refused.is_empty() && delivered.objects <= 3);
    sink.deliver(&batch(3, 90..100)).await.unwrap();
    let held = held.lock().unwrap();
    assert_eq!((held.sequences(), held.repeats), (all(1..100), 3));
}

#[tokio::test]
async fn a_part_that_is_there_is_not_sent_again() {
    let (port, held) = broker().await;
    let mut members = members(port);
    members["idempotent"] = json!(false);
    let sink = sink(&members, None, None).unwrap();
    held.lock().unwrap().turns = [Turn::Keep, Turn::Code(19)].into();
    let fault = sink.deliver(&batch(1, 1..60)).await.unwrap_err();
    assert!(fault.kind == FaultKind::Later && fault.message.contains("too few replicas"), "{fault}");
    held.lock().unwrap().turns = [Turn::Code(10)].into();
    assert_eq!(sink.deliver(&batch(1, 1..60)).await.unwrap_err().kind, FaultKind::TooLarge);
    let whole = batch(1, 1..60);
    let (early, late) = (whole.part(0..29).unwrap(), whole.part(29..59).unwrap());
    sink.deliver(&early).await.unwrap();
    sink.deliver(&late).await.unwrap();
    assert_eq!(held.lock().unwrap().sequences(), all(1..60));
}

#[tokio::test]
async fn an_event_that_is_refused_is_found() {
    let (port, held) = broker().await;
    let mut members = members(port);
    members["partition"] = json!(1);
    let sink = sink(&members, None, None).unwrap();
    held.lock().unwrap().turns = [Turn::Code(87), Turn::Code(10), Turn::Keep].into();
    assert_eq!(sink.deliver(&batch(1, 1..3)).await.unwrap_err().kind, FaultKind::TooLarge);
    let refused = sink.deliver(&batch(1, 1..2)).await.unwrap().refused;
    assert!(refused[0].index == 0 && refused[0].reason.contains("MESSAGE_TOO_LARGE"), "{refused:?}");
    sink.deliver(&batch(1, 2..3)).await.unwrap();
    assert_eq!(held.lock().unwrap().values, BTreeMap::from([(1, vec![b"2".to_vec()])]));
}

#[tokio::test]
async fn the_batch_of_before_a_crash_has_the_numbers_of_before() {
    let (port, held) = broker().await;
    let first = sink(&members(port), None, None).unwrap();
    let state = first.upkeep(Timestamp(0)).await.unwrap().state;
    // It arrived, and nobody noted that.
    first.deliver(&batch(1, 1..30)).await.unwrap();
    let second = sink(&members(port), state.as_ref(), Some(1)).unwrap();
    let noted = second.deliver(&batch(1, 1..30)).await.unwrap().state;
    second.upkeep(Timestamp(0)).await.unwrap();
    second.deliver(&batch(2, 30..40)).await.unwrap();
    assert_eq!(held.lock().unwrap().sequences(), all(1..40));
    assert_eq!(held.lock().unwrap().producers, 2);
    // A directory that was set back: other events under old numbers must not be taken for those of before.
    let third = sink(&members(port), noted.as_ref(), None).unwrap();
    third.deliver(&batch(2, 130..140)).await.unwrap();
    assert_eq!(held.lock().unwrap().sequences(), [all(1..40), all(130..140)].concat());
}

#[tokio::test]
async fn a_producer_that_is_forgotten_is_followed_by_another() {
    let (port, held) = broker().await;
    let sink = sink(&members(port), None, None).unwrap();
    sink.deliver(&batch(1, 1..9)).await.unwrap();
    held.lock().unwrap().turns = [Turn::Code(59)].into();
    sink.deliver(&batch(2, 9..20)).await.unwrap();
    let held = held.lock().unwrap();
    assert_eq!((held.sequences(), held.producers), (all(1..20), 2));
}

#[tokio::test]
async fn a_probe_says_whether_we_may_write_and_writes_nothing() {
    const DESCRIBE: i32 = 1 << 8;
    let (port, held) = broker().await;
    let sink = sink(&members(port), None, None).unwrap();
    // Nothing is said of rights, in the two ways in which brokers do that; all of them; writing alone, which lets one ask.
    for rights in [0, i32::MIN, 0x1ffc, DESCRIBE | 1 << 4] {
        held.lock().unwrap().rights = rights;
        sink.probe().await.unwrap();
    }
    // Asking and reading.
    held.lock().unwrap().rights = DESCRIBE | 1 << 3;
    let fault = sink.probe().await.unwrap_err();
    assert!(fault.kind == FaultKind::Setup && fault.message.contains("lets us see the topic audit and not write to it"), "{fault}");
    held.lock().unwrap().rights = 0;
    held.lock().unwrap().orphan = Some(2);
    let fault = sink.probe().await.unwrap_err();
    assert!(fault.kind == FaultKind::Later && fault.message.contains("partition 2 has no leader now"), "{fault}");
    let held = held.lock().unwrap();
    assert!(held.values.is_empty() && held.producers == 4, "{held:?}");
}

#[tokio::test]
async fn what_is_no_broker_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let fault = sink(&members(port), None, None).unwrap().probe().await.unwrap_err();
    assert!(fault.kind == FaultKind::Setup && fault.message.contains("does not speak Kafka; is it a broker"), "{fault}");
    let away = sink(&members(1), None, None).unwrap().probe().await.unwrap_err();
    assert!(away.kind == FaultKind::Later && away.message.contains("cannot connect to 127.0.0.1:1"), "{away}");
}

#[test]
fn members_are_checked() {
    let problem = |name: &str, value: Value| {
        let mut wrong = members(9_092);
        wrong[name] = value;
        sink(&wrong, None, None).err()
    };
    assert_eq!(problem("brokers", json!("b1, b2:9093 ,[::1]:9094")), None);
    assert_eq!(brokers("b1, [::1]:9094").unwrap(), [("b1".into(), 9_092), ("::1".into(), 9_094)]);
    for wrong in ["", "b1,,b2", "http://b1", "b1/x", "u:p@b1", "169.254.169.254:9092"] {
        assert!(problem("brokers", json!(wrong)).unwrap().contains("`brokers`"), "{wrong}");
    }
    assert!(problem("topic", json!("a/b")).unwrap().contains("`topic`"));
    assert!(problem("sasl", json!("plain")).unwrap().contains("go together"));
    assert!(problem("ca_file", json!("/nowhere")).is_none(), "without `tls` it is not read");
}
