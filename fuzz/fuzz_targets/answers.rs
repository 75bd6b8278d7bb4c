//! What those say to whom events are delivered, as far as it is read by own code: Kafka's answers, NATS's lines, Protocol Buffers.
//!
//! The first byte says which. What is read is written again where there is a way to, and must be the same; a connection that gives bytes in
//! small pieces must say the same as one that gives them at once.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncBufRead, BufReader};
use trail_fuzz::now;
use trail_fuzz::trails::sink::kafka::{frame, messages, wire};
use trail_fuzz::trails::sink::nats::protocol;
use trail_fuzz::trails::sink::protobuf::{self, Value};

fuzz_target!(|input: &[u8]| {
    let [which, bytes @ ..] = input else { return };
    match which % 9 {
        0 => _ = messages::versions(bytes),
        1 => metadata(bytes),
        2 => _ = messages::read_producer(bytes),
        3 => produced(bytes),
        4 => _ = messages::read_handshake(bytes),
        5 => authenticated(bytes),
        6 => frames(bytes),
        7 => nats(bytes),
        _ => proto(bytes),
    }
});

/// Written again from what was read, an answer reads the same.
fn metadata(bytes: &[u8]) {
    let Some(read) = messages::read_metadata(bytes) else { return };
    let mut out = wire::Writer::default();
    out.int32(0);
    out.length(read.brokers.len());
    for (number, (host, port)) in &read.brokers {
        out.int32(*number);
        out.text(host);
        out.int32(i32::from(*port));
        out.no_text();
    }
    out.no_text();
    out.int32(0);
    out.length(1);
    out.int16(read.code);
    out.no_text();
    out.int8(0);
    out.length(read.leaders.len());
    for (partition, leader) in &read.leaders {
        out.int16(0);
        out.int32(*partition);
        out.int32(*leader);
        out.length(0);
        out.length(0);
    }
    assert_eq!(messages::read_metadata(&out.into_bytes()), Some(read));
}

fn produced(bytes: &[u8]) {
    let Some(read) = messages::read_produced(bytes) else { return };
    assert!(read.codes.len() <= bytes.len() / 30, "more partitions than there are bytes for");
}

fn authenticated(bytes: &[u8]) {
    let Some((code, words, told)) = messages::read_authenticated(bytes) else { return };
    let mut out = wire::Writer::default();
    out.int16(code);
    out.text(&words);
    out.bytes(&told);
    let out = out.into_bytes();
    assert!(out.len() <= bytes.len());
    assert_eq!(messages::read_authenticated(&out), Some((code, words, told)));
}

/// Answers one behind the other; each is in the bytes as it is read.
fn frames(bytes: &[u8]) {
    let mut rest = bytes;
    for number in 0.. {
        let before = rest;
        let Ok(answer) = now(frame::read(&mut rest, number)) else { return };
        let length = (answer.len() as u32 + 4).to_be_bytes();
        assert_eq!(before, [&length[..], &number.to_be_bytes(), &answer, rest].concat());
    }
}

fn nats(bytes: &[u8]) {
    let [room, bytes @ ..] = bytes else { return };
    let whole = said(&mut &*bytes);
    assert_eq!(whole, said(&mut BufReader::with_capacity(usize::from(*room) % 19 + 1, bytes)), "in pieces it is something else");
    let held = whole.0.iter().map(|said| if let protocol::Said::Message(subject, _, body) = said { subject.len() + body.len() } else { 0 });
    assert!(held.sum::<usize>() <= bytes.len());
}

fn said(input: &mut (impl AsyncBufRead + Unpin)) -> (Vec<protocol::Said>, io::ErrorKind) {
    let mut all = Vec::new();
    loop {
        match now(protocol::read(input)) {
            Ok(said) => all.push(said),
            Err(error) => return (all, error.kind()),
        }
    }
}

/// Written again from what was read, fields are read the same.
fn proto(bytes: &[u8]) {
    let Some(fields) = protobuf::fields(bytes) else { return };
    let mut out = protobuf::Message::default();
    let small = |field: &u64| u8::try_from(*field).ok();
    if !fields.iter().all(|(field, _)| small(field).is_some()) {
        return;
    }
    for (field, value) in &fields {
        match value {
            Value::Number(number) => out.varint(small(field).unwrap_or(0), *number),
            Value::Bytes(bytes) => out.bytes(small(field).unwrap_or(0), bytes),
        }
    }
    assert_eq!(protobuf::fields(&out.into_bytes()), Some(fields));
}
