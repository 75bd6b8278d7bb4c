//! [`Connection`]: HTTP/1.1 over one connection that is kept alive, blocking, with nothing between the measurement and the socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::answer::{Answer, Answers};
use crate::clock::now;
use crate::failure::Result;

const SILENCE_MAX: Duration = Duration::from_secs(120);
const PIECE_BYTES: usize = 64 << 10;

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    answers: Answers,
    piece: Vec<u8>,
    host: SocketAddr,
    spent: Duration,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there, or does not answer within five seconds.
    pub fn open(host: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect_timeout(&host, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Connection { stream, answers: Answers::default(), piece: vec![0; PIECE_BYTES], host, spent: Duration::ZERO })
    }

    /// How long requests have taken since this was asked last: from the first byte sent to the last byte read.
    pub fn take_time(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    /// Asks for a path with its parameters.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub fn get(&mut self, target: &str) -> Result<Answer> {
        let start = now();
        let answer = self.get_untimed(target);
        self.spent += start.elapsed();
        answer
    }

    fn get_untimed(&mut self, target: &str) -> Result<Answer> {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.write_all(head.as_bytes())?;
        self.answer()
    }

    /// Sends events, one a line.
    ///
    /// # Errors
    /// As for [`Connection::get`].
    pub fn post(&mut self, target: &str, lines: &[u8]) -> Result<Answer> {
        self.post_as("application/x-ndjson", target, lines)
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// As for [`Connection::get`].
    pub fn post_json(&mut self, target: &str, document: &[u8]) -> Result<Answer> {
        self.post_as("application/json", target, document)
    }

    fn post_as(&mut self, content_type: &str, target: &str, body: &[u8]) -> Result<Answer> {
        let (host, length) = (self.host, body.len());
        let head = format!("POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(body)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        loop {
            if let Some(answer) = self.answers.next_answer()? {
                return Ok(answer);
            }
            let count = self.stream.read(&mut self.piece)?;
            if count == 0 {
                return Err("the server closed the connection in the middle of an answer".into());
            }
            self.answers.add(self.piece.get(..count).unwrap_or_default());
        }
    }
}

/// A path with parameters, written as a query string.
#[must_use]
pub fn target(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (i, (name, value)) in parameters.iter().enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(text: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::open(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap().0.write_all(text).unwrap();
        connection
    }

    #[test]
    fn answers_come_one_after_the_other() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 429 Wait\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n";
        let mut connection = answering(two);
        let first = connection.answer().unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, b"{}".as_slice()));
        let second = connection.answer().unwrap();
        assert_eq!((second.status, second.body.as_slice()), (429, b"abc0123456789".as_slice()));
        assert!(second.json().is_err() && connection.answer().is_err());
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".as_slice(), b"nonsense\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]
        {
            assert!(answering(text).answer().is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn targets_are_escaped() {
        assert_eq!(target("/v1/count", &[("q", "user:\"a b\""), ("to", "now")]), "/v1/count?q=user%3A%22a%20b%22&to=now");
    }
}
