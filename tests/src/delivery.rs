//! [`Held`]: what a sink has against what a trail owed it; [`Bench`]: a server whose trails are tried; and the few requests that it takes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::client::{Client, JSON, NDJSON};
use crate::fixtures::ALWAYS;
use crate::load::{Book, Sent, Source};
use crate::receiver::Receiver;
use crate::seed::Random;
use crate::server::Server;
use crate::table::{Row, wait_for};
use crate::wrong::Wrong;

/// Small heads.
pub const SETTINGS: [(&str, &str); 2] = [("TRAILD_HEAD_BYTES_MAX", "64KiB"), ("TRAILD_LOG_LEVEL", "error")];

/// A filter that a part of the made events passes: see [`crate::load::Source`].
pub const FILTER: &str = "event_name:(Put1 OR Put3 OR Put5 OR Put7 OR Put9)";

/// Made events that differ, of so many names in turn: `Put0`, `Put1` and on.
#[must_use]
pub fn puts(name: &str, count: usize, names: usize) -> Vec<Vec<u8>> {
    let event = |n: usize| {
        let about = format!("Put{}", n % names);
        json!({"eventID": format!("{name}-{n}"), "eventName": about, "eventTime": "2026-11-20T10:00:00Z", "text": "x y"})
    };
    (0..count).map(|n| event(n).to_string().into_bytes()).collect()
}

/// Sends events in one request.
///
/// # Panics
/// When it is refused.
pub fn post(client: &mut Client, events: &[Vec<u8>]) {
    let answer = client.post(NDJSON, &events.join(&b'\n'));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Makes a trail over [`FILTER`] and starts it.
///
/// # Panics
/// When it is refused.
pub fn create(client: &mut Client, name: &str, sinks: &[Value]) {
    let trail = json!({"name": name, "filter": FILTER, "start": "oldest", "sinks": sinks, "start_now": true});
    send(client, "POST", "/v1/trails", &trail);
}

/// A request about trails that must go well.
///
/// # Panics
/// When it does not.
pub fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Value {
    let answer = client.send(method, path, &[("content-type", JSON)], body.to_string().as_bytes()).unwrap();
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    answer.json()
}

/// The status of the sinks of a trail.
pub fn status(client: &mut Client, name: &str) -> Vec<Value> {
    client.json(&format!("/v1/trails/{name}/status"))["sinks"].as_array().cloned().unwrap_or_default()
}

/// What `/test` says of each sink of a trail: nothing, or what must be mended.
///
/// # Panics
/// When it says no more than that something is wrong, or another thing altogether than of its sinks.
pub fn tested(client: &mut Client, name: &str) -> Vec<Option<String>> {
    let told = send(client, "POST", &format!("/v1/trails/{name}/test"), &json!({}));
    let sinks = told["sinks"].as_array().unwrap();
    let errors: Vec<Option<String>> = sinks.iter().map(|sink| sink["error"].as_str().map(str::to_owned)).collect();
    assert!(sinks.iter().zip(&errors).all(|(sink, error)| sink["ok"] == error.is_none()), "{told}");
    assert_eq!(told["ok"], errors.iter().all(Option::is_none), "{told}");
    errors
}

/// Waits until every sink has everything.
///
/// # Panics
/// When that takes too long; with the status.
pub fn wait_until_done(client: &mut Client, name: &str) {
    let mut last = Vec::new();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("a delivery", || {
            last = status(client, name);
            last.iter().all(|sink| sink["lag_events"] == 0 && sink["next_retry_at"].is_null())
        });
    }));
    assert!(done.is_ok(), "trail {name} is not done: {last:?}");
}

/// What a trail over [`FILTER`] owes its sinks, in order, as the server itself answers it.
#[must_use]
pub fn owed(client: &mut Client) -> Vec<Vec<u8>> {
    let filter: String = FILTER.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut found = client.pages(&format!("{ALWAYS}&order=asc&q={filter}"), 10_000);
    // Answers are in the order of event times, deliveries in that of receipt.
    found.sort();
    found.into_iter().map(|(_, event)| event).collect()
}

/// The events of the dead letters of a trail.
///
/// # Panics
/// When a line is none.
#[must_use]
pub fn dead(data: &Path, name: &str) -> Vec<Vec<u8>> {
    let text = fs::read(data.join(format!("trails/{name}.dead"))).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        let at = line.windows(9).position(|window| window == b",\"event\":").expect("a dead letter without an event");
        line[at + 9..line.len() - 1].to_vec()
    };
    lines.map(event).collect()
}

/// What the files of a trail in a folder hold, in the order of their names; which must be numbered without holes.
///
/// # Panics
/// When a number is missing or there twice, or a file cannot be read.
#[must_use]
pub fn in_folder(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false
                    if [b".".as_slice(), b"traild-owner-"].iter().any(|start| entry.file_name().as_encoded_bytes().starts_with(start)) => {}
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    let mut events = Vec::new();
    for (number, file) in (1..).zip(&files) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(name.split('-').next().unwrap().parse::<u64>().unwrap(), number, "{name} among {files:?}");
        let lines = zstd::decode_all(&fs::read(file).unwrap()[..]).unwrap();
        events.extend(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    events
}

/// What a sink holds, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How many events it owed.
    pub owed: usize,
    /// How many of them are not there.
    pub lost: usize,
    /// How many are there more than once.
    pub duplicated: usize,
    /// How many are there that are not owed.
    pub strange: usize,
    /// Whether the order of first arrival is that of the log.
    pub ordered: bool,
}

impl Held {
    /// Counts.
    #[must_use]
    pub fn of(owed: &[Vec<u8>], held: &[Vec<u8>]) -> Held {
        let places: HashMap<&[u8], usize> = owed.iter().enumerate().map(|(i, event)| (event.as_slice(), i)).collect();
        let mut counts = vec![0_usize; owed.len()];
        let (mut strange, mut ordered, mut last) = (0, true, 0);
        for event in held {
            let Some(place) = places.get(event.as_slice()) else {
                strange += 1;
                continue;
            };
            counts[*place] += 1;
            if counts[*place] == 1 {
                ordered &= *place >= last;
                last = *place;
            }
        }
        let lost = counts.iter().filter(|count| **count == 0).count();
        Held { owed: owed.len(), lost, duplicated: counts.iter().filter(|count| **count > 1).count(), strange, ordered }
    }

    /// Whether each is there, perhaps more than once, and first in order: all that a service can have that knows no repeats.
    ///
    /// # Errors
    /// What is wrong.
    pub fn at_least_once(self) -> Result<(), Wrong> {
        Held { duplicated: 0, ..self }.exactly_once()
    }

    /// Whether each is there once and in order.
    ///
    /// # Errors
    /// What is wrong.
    pub fn exactly_once(self) -> Result<(), Wrong> {
        match self {
            Held { lost: 1.., .. } => Err(Wrong::Lost(format!("lost events: {self:?}"))),
            Held { duplicated: 0, strange: 0, ordered: true, .. } => Ok(()),
            _ => Err(Wrong::Altered(format!("events that are there twice, out of order or not owed: {self:?}"))),
        }
    }
}

/// A server with events, of which a hand plays case after case.
#[derive(Debug)]
pub struct Bench {
    server: Option<Server>,
    /// The data directory.
    pub data: PathBuf,
    /// What was sent.
    pub book: Book,
    _folder: TempDir,
}

impl Bench {
    /// A server on a new directory.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(name: impl ToString, random: &mut Random) -> Bench {
        let folder = tempdir().unwrap();
        let data = folder.path().join("log");
        let server = Some(Server::start(&data, &SETTINGS));
        Bench { server, data, book: Book::new(Source::new(name, random.fork())), _folder: folder }
    }

    /// A connection to the server.
    ///
    /// # Panics
    /// When it was stopped.
    #[must_use]
    pub fn client(&self) -> Client {
        self.server.as_ref().unwrap().client()
    }

    /// Stops the server.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// Stops, lets something be done to the directory, and starts again.
    ///
    /// # Panics
    /// When the server does not end or start well.
    pub fn restart(&mut self, between: impl FnOnce()) {
        self.stop();
        between();
        self.server = Some(Server::start(&self.data, &SETTINGS));
    }

    /// Sends so many batches.
    ///
    /// # Panics
    /// When one is refused.
    pub fn send(&mut self, batches: usize) {
        let mut client = self.client();
        (0..batches).for_each(|_| assert!(matches!(self.book.send(&mut client), Sent::Kept)));
    }

    /// Waits for a trail, and holds what its receiver took against what it owed.
    ///
    /// # Panics
    /// When that takes too long, or something is there that must never be.
    pub fn judge(&self, trail: &str, receiver: &Receiver, is_ordered: bool) -> (Held, Result<(), Wrong>) {
        let mut client = self.client();
        wait_until_done(&mut client, trail);
        let owed = owed(&mut client);
        assert!(!owed.is_empty(), "nothing was owed");
        let dead = dead(&self.data, trail);
        assert_eq!(status(&mut client, trail)[0]["dead_letters"], dead.len(), "{trail}");
        receiver.look(|taken| {
            assert_eq!(taken.problems, Vec::<String>::new(), "{trail}");
            let mut held = Held::of(&owed, &[&taken.events[..], &dead[..]].concat());
            held.ordered |= !dead.is_empty() || !is_ordered;
            (held, held.exactly_once())
        })
    }
}

/// Prints what was injected and what came of it, and puts it into the row.
///
/// # Panics
/// When something is wrong, or nothing was injected.
pub fn tell(row: &Row, class: &str, injected: u64, held: (Held, Result<(), Wrong>)) {
    println!("14 | {class} | {injected} injected | {} events | {} lost | {} duplicated", held.0.owed, held.0.lost, held.0.duplicated);
    assert!(injected > 0, "{class}: nothing was injected");
    row.hit();
    row.judge(held.1, class);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_strange_or_out_of_order_is_counted() {
        let events = |text: &str| text.bytes().map(|byte| vec![byte]).collect::<Vec<_>>();
        let held = |text: &str| Held::of(&events("abcd"), &events(text));
        assert_eq!(held("abcd").exactly_once(), Ok(()));
        assert_eq!(held("ababcd").at_least_once(), Ok(()));
        assert!(held("abdd").at_least_once().is_err());
        assert_eq!(held("abcbcd"), Held { owed: 4, lost: 0, duplicated: 2, strange: 0, ordered: true });
        assert_eq!(held("abd"), Held { owed: 4, lost: 1, duplicated: 0, strange: 0, ordered: true });
        for wrong in ["abd", "abcdx", "acbd", "abcdd", ""] {
            assert!(held(wrong).exactly_once().is_err(), "{wrong}");
        }
    }
}
