//! [`Client`]: HTTP/1.1 in a few lines, so that a test can send what no library would and see every byte of the answer.
//!
//! A connection is kept over requests and made again when it is gone. Limits: no redirects, no compression of answers.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

const PATIENCE: Duration = Duration::from_secs(60);

/// The type of a body with one event a line.
pub const NDJSON: &str = "application/x-ndjson";
/// The type of a body with one JSON value.
pub const JSON: &str = "application/json";

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    headers: String,
    patience: Duration,
    begun: u64,
}

impl Client {
    /// Connects when it is first used.
    #[must_use]
    pub fn new(address: SocketAddr) -> Client {
        Client { address, connection: None, headers: String::new(), patience: PATIENCE, begun: 0 }
    }

    /// Sends a key with every request.
    #[must_use]
    pub fn with_key(mut self, token: &str) -> Client {
        self.headers = format!("authorization: Bearer {token}\r\n");
        self
    }

    /// Gives up, and the connection with it, when nothing moves for so long.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Client {
        self.patience = patience;
        self
    }

    /// How many requests it has begun: of each of them the other side had the first bytes at least.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// A request with its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the patience does, before the whole answer is there.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let more: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let length = if method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{}{length}{more}\r\n", self.address, self.headers);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect_within(self.address, self.patience)?,
        };
        let request = [head.as_bytes(), body].concat();
        let first = connection.get_mut().write(&request)?;
        self.begun += 1;
        connection.get_mut().write_all(&request[first..])?;
        let answer = Answer::read(&mut connection)?;
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// `GET`, which must be answered.
    ///
    /// # Panics
    /// When it is not answered.
    pub fn get(&mut self, path: &str) -> Answer {
        // A server may close a connection after any answer, and a question may be asked twice.
        let kept = self.connection.is_some();
        let answer = self.send("GET", path, &[], b"");
        let answer = if kept && answer.is_err() { self.send("GET", path, &[], b"") } else { answer };
        answer.unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// `GET`, which must be answered with 200 and JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&mut self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// `POST /v1/events`, which must be answered.
    ///
    /// # Panics
    /// When it is not answered.
    pub fn post(&mut self, kind: &str, body: &[u8]) -> Answer {
        self.send("POST", "/v1/events", &[("content-type", kind)], body).unwrap_or_else(|e| panic!("POST: {e}"))
    }

    /// Sends bytes as they are over a connection of its own, and reads one answer.
    ///
    /// # Errors
    /// When the connection ends without an answer.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut connection = connect(self.address)?;
        // A refused body may not be read to its end; the answer is there nevertheless.
        let _ = connection.get_mut().write_all(bytes);
        Answer::read(&mut connection)
    }

    /// All events of a search by pages, as `(sequence, bytes)`, in the order of the answers.
    ///
    /// # Panics
    /// When a page is not answered.
    pub fn pages(&mut self, parameters: &str, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("/v1/events?{parameters}&limit={limit}{cursor}"));
            assert_eq!(answer.status, 200, "{parameters}: {}", answer.text());
            all.extend(answer.events());
            match answer.json_member("next_cursor") {
                Some(next) => cursor = format!("&cursor={}", next.get().trim_matches('"')),
                None => return all,
            }
        }
    }
}

/// A plain connection with patience.
///
/// # Errors
/// When there is no server.
pub fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    connect_within(address, PATIENCE)
}

fn connect_within(address: SocketAddr, patience: Duration) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads one answer.
    ///
    /// # Errors
    /// When it is cut off or not HTTP.
    pub fn read(input: &mut impl BufRead) -> io::Result<Answer> {
        let broken = |text: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not an answer: {text:?}"));
        let line = line(input)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| broken(&line))?;
        let headers = fields(input)?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.read_chunks(input)?;
        } else {
            let length = answer.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
            answer.body = vec![0; length];
            input.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn read_chunks(&mut self, input: &mut impl BufRead) -> io::Result<()> {
        loop {
            let size = line(input)?;
            let length = usize::from_str_radix(&size, 16).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            if length == 0 {
                self.headers.extend(fields(input)?);
                return Ok(());
            }
            let old = self.body.len();
            self.body.resize(old + length, 0);
            input.read_exact(&mut self.body[old..])?;
            line(input)?;
        }
    }

    /// A header or trailer, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(4_000)]).into_owned()
    }

    /// The body as text, however long it is.
    #[must_use]
    pub fn text_whole(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// One member of the body, verbatim.
    #[must_use]
    pub fn json_member(&self, name: &str) -> Option<Box<RawValue>> {
        members(&self.body).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// `error.code`.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The events of a page with their sequences, byte for byte.
    ///
    /// # Panics
    /// When the body is no page.
    #[must_use]
    pub fn events(&self) -> Vec<(u64, Vec<u8>)> {
        let list = self.json_member("events").unwrap_or_else(|| panic!("no events: {}", self.text()));
        let rows: Vec<Box<RawValue>> = serde_json::from_str(list.get()).unwrap();
        rows.iter().map(|row| row_of(row.get().as_bytes())).collect()
    }

    /// The event of `GET /v1/sequences/{sequence}`.
    ///
    /// # Panics
    /// When the body holds none.
    #[must_use]
    pub fn event(&self) -> (u64, Vec<u8>) {
        assert_eq!(self.status, 200, "{}", self.text());
        row_of(&self.body)
    }
}

fn row_of(json: &[u8]) -> (u64, Vec<u8>) {
    let members = members(json);
    let member = |name: &str| members.iter().find(|(n, _)| n == name).map(|(_, v)| v.get()).expect("a member of a row is missing");
    (member("sequence").parse().unwrap(), member("event").as_bytes().to_vec())
}

/// The members of an object with their text, in order.
fn members(json: &[u8]) -> Vec<(String, Box<RawValue>)> {
    let map: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(json).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&json[..json.len().min(500)])));
    map.into_iter().collect()
}

pub(crate) fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

pub(crate) fn fields(input: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(input)?;
        match line.split_once(':') {
            Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(fields),
        }
    }
}
