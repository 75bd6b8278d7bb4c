//! [`Receiver`]: a log service on loopback that behaves as badly as it is told to, and remembers what it took.
//!
//! It speaks HTTP/1.1, as a webhook, as Elasticsearch's `_bulk`, as PutLogs of SLS or as an OTLP collector. Every request takes the next entry of a script; when the script is over, all goes
//! well. It knows repeats as a real service would: by `Idempotency-Key`, by the id of a document. What must never be, such as a wrong signature
//! or two bodies under one key, it notes as a problem.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ring::hmac;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::client::{fields, line};
use crate::otlp;
use crate::putlogs::{self, LOGSTORE, PROJECT, REGION, Signature};
use crate::table::wait_for;

/// What webhooks are signed with.
pub const SECRET: &str = "the secret of the tests";

/// What a receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// NDJSON with a signature.
    Webhook,
    /// `_bulk`.
    Elasticsearch,
    /// PutLogs, with the signature V1 and zstd, or V4 and lz4.
    Sls(Signature),
    /// Log records.
    Otlp,
}

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes well.
    Good,
    /// It goes well, after a while.
    Slow(Duration),
    /// Nothing is taken; this status, and perhaps a time to wait.
    Status(u16, Option<&'static str>),
    /// Nothing is taken and nothing answered for so long; then the connection ends.
    Hang(Duration),
    /// All is taken, but the connection ends without an answer.
    Lost,
    /// Nothing is taken, and the connection ends after the whole request.
    Cut,
    /// All is taken, but the answer breaks off.
    Short,
    /// 200, and a text that is no answer.
    Garbage,
    /// Every third event is not taken, with this status of its own; the others are.
    Items(u16),
    /// Nothing is taken; this status and this code of SLS.
    Code(u16, &'static str),
    /// It goes well, and the answer has nine mebibytes.
    Huge,
    /// OTLP: the first of the records is not taken, the others are, and the answer does not say which.
    Partial,
}

/// What a receiver took.
#[derive(Debug, Default)]
pub struct Taken {
    /// Events in the order of their arrival, each under its key; repeats are not in it.
    pub events: Vec<Vec<u8>>,
    /// When requests came.
    pub arrivals: Vec<Instant>,
    /// Requests or documents that were recognised as repeats.
    pub repeats: u64,
    /// What must never be.
    pub problems: Vec<String>,
    /// How many documents of probes were made, and which are still there.
    pub probes: (u64, BTreeSet<String>),
    bodies: HashMap<String, Vec<u8>>,
    documents: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug)]
struct Shared {
    speech: Speech,
    /// Whether it lets a request wait for ever.
    hangs: bool,
    script: Mutex<VecDeque<Turn>>,
    taken: Mutex<Taken>,
    injected: AtomicU64,
    away: AtomicBool,
    bad: Mutex<Option<Vec<u8>>>,
    connections: Mutex<Vec<TcpStream>>,
}

/// A log service on loopback.
#[derive(Debug)]
pub struct Receiver {
    /// Where it is.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    hand: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that plays a script.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(speech: Speech, script: &[Turn]) -> Receiver {
        let shared = Arc::new(Shared {
            speech,
            hangs: script.iter().any(|turn| matches!(turn, Turn::Hang(_))),
            script: Mutex::new(script.iter().copied().collect()),
            taken: Mutex::default(),
            injected: AtomicU64::new(0),
            away: AtomicBool::new(false),
            bad: Mutex::default(),
            connections: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hand = Some(listen(listener, shared.clone()));
        Receiver { address, shared, hand }
    }

    /// A sink of a trail that delivers here.
    #[must_use]
    pub fn sink(&self) -> Value {
        let place = format!("http://{}", self.address);
        let mut sink = match self.shared.speech {
            Speech::Webhook => json!({"type": "webhook", "url": format!("{place}/in?x=1"), "secret": SECRET}),
            Speech::Elasticsearch => json!({"type": "elasticsearch", "url": place, "index": "audit", "api_key": SECRET}),
            Speech::Otlp => json!({"type": "otlp", "url": place}),
            Speech::Sls(signature) => {
                let (version, compression) = if signature == Signature::V1 { ("v1", "zstd") } else { ("v4", "lz4") };
                json!({"type": "sls", "endpoint": place, "project": PROJECT, "logstore": LOGSTORE, "region": REGION, "access_key_id": "AKID",
                    "access_key_secret": SECRET, "signature": version, "compression": compression, "tags": {"site": "b"}})
            }
        };
        // Only a hang is to be cut off: a good answer of a busy machine that came too late would be a repeat.
        sink["timeout_seconds"] = if self.shared.hangs { 1 } else { 20 }.into();
        sink["batch"] = json!({"events": 10, "seconds": 0.05});
        sink
    }

    /// How many turns were not good.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::SeqCst)
    }

    /// More of the script.
    ///
    /// # Panics
    /// When it panicked before.
    pub fn play(&self, turns: &[Turn]) {
        self.shared.script.lock().unwrap().extend(turns);
    }

    /// Answers 400 from now on to every request that has an event with this text in it; to none with `None`.
    ///
    /// # Panics
    /// When it panicked before.
    pub fn refuse(&self, text: Option<&str>) {
        *self.shared.bad.lock().unwrap() = text.map(|text| text.as_bytes().to_vec());
    }

    /// Looks at what was taken.
    ///
    /// # Panics
    /// When it panicked before.
    pub fn look<T>(&self, look: impl FnOnce(&Taken) -> T) -> T {
        look(&self.shared.taken.lock().unwrap())
    }

    /// Is away: nobody listens, and all connections end.
    ///
    /// # Panics
    /// When it panicked before.
    pub fn go(&mut self) {
        self.shared.away.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.hand.take().map(JoinHandle::join);
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.injected.fetch_add(1, Ordering::SeqCst);
    }

    /// Is there again, at the same address.
    ///
    /// # Panics
    /// When somebody else is.
    pub fn come_back(&mut self) {
        self.shared.away.store(false, Ordering::SeqCst);
        let mut listener = None;
        wait_for("the port again", || {
            listener = TcpListener::bind(self.address).ok();
            listener.is_some()
        });
        self.hand = listener.map(|listener| listen(listener, self.shared.clone()));
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if shared.away.load(Ordering::SeqCst) {
                return;
            }
            shared.connections.lock().unwrap().extend(stream.try_clone());
            let shared = shared.clone();
            thread::spawn(move || {
                let end = stream.try_clone();
                drop(serve(stream, &shared));
                // The clone by which all are ended would hold it open: whoever waits for an answer would wait on, and nothing be cut.
                let _ = end.map(|end| end.shutdown(Shutdown::Both));
            });
        }
    })
}

/// A request as it was read.
struct Asked {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn read(input: &mut BufReader<TcpStream>) -> std::io::Result<Asked> {
        let path = line(input)?.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut asked = Asked { path, headers: fields(input)?, body: Vec::new() };
        let length = asked.header("content-length").parse().map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))?;
        asked.body = vec![0; length];
        input.read_exact(&mut asked.body)?;
        Ok(asked)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    loop {
        let asked = Asked::read(&mut input)?;
        shared.taken.lock().unwrap().arrivals.push(Instant::now());
        let turn = shared.script.lock().unwrap().pop_front().unwrap_or(Turn::Good);
        if turn != Turn::Good {
            shared.injected.fetch_add(1, Ordering::SeqCst);
        }
        let reply = match turn {
            Turn::Good if is_bad(shared, &asked) => answer(400, None, b"something is wrong"),
            Turn::Status(status, wait) => answer(status, wait, b"{\"error\":{\"type\":\"stub\",\"reason\":\"as told\"}}"),
            Turn::Hang(time) => {
                thread::sleep(time);
                return Ok(());
            }
            Turn::Cut => return Ok(()),
            Turn::Garbage => answer(200, None, b"<html>welcome</html>"),
            Turn::Lost => {
                take(shared, &asked, None);
                return Ok(());
            }
            Turn::Short => {
                let whole = answer(200, None, &[&take(shared, &asked, None)[..], b" "].concat());
                input.get_mut().write_all(&whole[..whole.len() - 1])?;
                return Ok(());
            }
            Turn::Code(status, code) => answer(status, None, json!({"errorCode": code, "errorMessage": "as told"}).to_string().as_bytes()),
            Turn::Partial => {
                take(shared, &asked, Some(0));
                answer(200, None, b"\x0a\x0b\x08\x01\x12\x07as told")
            }
            Turn::Huge => answer(200, None, &[&take(shared, &asked, None)[..], &vec![b' '; 9 << 20]].concat()),
            Turn::Items(status) => answer(200, None, &take(shared, &asked, Some(status))),
            Turn::Slow(time) => {
                thread::sleep(time);
                answer(200, None, &take(shared, &asked, None))
            }
            Turn::Good => answer(200, None, &take(shared, &asked, None)),
        };
        input.get_mut().write_all(&reply)?;
    }
}

fn answer(status: u16, wait: Option<&str>, body: &[u8]) -> Vec<u8> {
    let wait = wait.map(|wait| format!("retry-after: {wait}\r\n")).unwrap_or_default();
    let place = if (300..400).contains(&status) { "location: http://127.0.0.1:9/elsewhere\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} X\r\n{wait}{place}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Whether a request has an event in it that is refused.
fn is_bad(shared: &Shared, asked: &Asked) -> bool {
    let Some(bad) = shared.bad.lock().unwrap().clone() else { return false };
    let events = match shared.speech {
        Speech::Webhook | Speech::Elasticsearch => vec![asked.body.clone()],
        Speech::Sls(signature) => putlogs::read(signature, SECRET, &asked.path, &asked.headers, &asked.body).unwrap_or_default(),
        Speech::Otlp => otlp::read(&asked.path, &asked.headers, &asked.body).unwrap_or_default(),
    };
    events.iter().any(|event| event.windows(bad.len()).any(|window| window == bad))
}

/// Takes the events of a request; the body of the answer.
fn take(shared: &Shared, asked: &Asked, items: Option<u16>) -> Vec<u8> {
    let mut taken = shared.taken.lock().unwrap();
    match shared.speech {
        Speech::Webhook => taken.webhook(asked),
        Speech::Elasticsearch => taken.bulk(asked, items),
        Speech::Sls(signature) => taken.all(putlogs::read(signature, SECRET, &asked.path, &asked.headers, &asked.body), 0),
        Speech::Otlp => taken.all(otlp::read(&asked.path, &asked.headers, &asked.body), usize::from(items.is_some())),
    }
}

impl Taken {
    fn webhook(&mut self, asked: &Asked) -> Vec<u8> {
        if !is_signed(asked) {
            self.problems.push(format!("a wrong signature: {}", asked.header("x-traild-signature")));
        }
        if asked.path != "/in?x=1" {
            self.problems.push(format!("posted to {}", asked.path));
        }
        let key = asked.header("idempotency-key").to_owned();
        if asked.header("x-traild-probe") == "1" {
            return b"{}".to_vec();
        }
        if let Some(before) = self.bodies.get(&key) {
            self.repeats += 1;
            if *before != asked.body {
                self.problems.push(format!("two bodies under the key {key}"));
            }
        } else {
            self.bodies.insert(key, asked.body.clone());
            self.events.extend(asked.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
        }
        b"{}".to_vec()
    }

    fn bulk(&mut self, asked: &Asked, refuse: Option<u16>) -> Vec<u8> {
        if !asked.path.starts_with("/audit/_bulk?") || asked.header("authorization") != format!("ApiKey {SECRET}") {
            self.problems.push(format!("posted to {} by {}", asked.path, asked.header("authorization")));
        }
        if let Some(answer) = self.probe(&asked.body) {
            return answer;
        }
        let lines: Vec<&[u8]> = asked.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let mut items = Vec::new();
        for (i, pair) in lines.chunks_exact(2).enumerate() {
            let about: Value = serde_json::from_slice(pair[0]).unwrap_or_default();
            let Some(id) = about["create"]["_id"].as_str() else {
                self.problems.push(format!("not a creation: {about}"));
                continue;
            };
            let status = refuse.filter(|_| i % 3 == 1).unwrap_or_else(|| self.create(id, pair[1]));
            let error = (status != 201).then(|| json!({"type": "stub", "reason": "as told"}));
            items.push(json!({"create": {"status": status, "error": error}}));
        }
        json!({"errors": refuse.is_some(), "items": items}).to_string().into_bytes()
    }

    /// Makes or removes the document of a probe; `None` for anything else.
    fn probe(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let lines: Vec<Value> =
            body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect::<Result<_, _>>().ok()?;
        let (about, status) = match &lines[..] {
            [about] => ("delete", if self.probes.1.remove(about["delete"]["_id"].as_str()?) { 200 } else { 404 }),
            [about, document] if document["traild"]["probe"] == true && document.get("event").is_none() => {
                self.probes.0 += 1;
                ("create", if self.probes.1.insert(about["create"]["_id"].as_str()?.to_owned()) { 201 } else { 409 })
            }
            _ => return None,
        };
        Some(json!({"errors": false, "items": [{about: {"status": status}}]}).to_string().into_bytes())
    }

    /// Takes all but the first events of a request, whether they came before or not.
    fn all(&mut self, events: Result<Vec<Vec<u8>>, String>, but: usize) -> Vec<u8> {
        match events {
            Ok(events) => self.events.extend(events.into_iter().skip(but)),
            Err(problem) => self.problems.push(problem),
        }
        Vec::new()
    }

    fn create(&mut self, id: &str, document: &[u8]) -> u16 {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            event: &'a RawValue,
        }
        let Ok(document) = serde_json::from_slice::<Document<'_>>(document) else { return 400 };
        let event = document.event.get().as_bytes().to_vec();
        if let Some(before) = self.documents.get(id) {
            self.repeats += 1;
            if *before != event {
                self.problems.push(format!("two documents of the id {id}"));
            }
            return 409;
        }
        self.documents.insert(id.to_owned(), event.clone());
        self.events.push(event);
        201
    }
}

/// Computes the signature again.
fn is_signed(asked: &Asked) -> bool {
    let Some((time, mark)) = asked.header("x-traild-signature").split_once(",v1=") else { return false };
    let time = time.trim_start_matches("t=");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, &[format!("{time}.").as_bytes(), &asked.body[..]].concat());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    hex == mark
}
