//! [`Connection`]: HTTP/1.1 over one connection that is kept alive, blocking, with nothing between the measurement and the socket.
//!
//! Limits: answers with a length or in chunks, as the server under test writes them; heads of at most 64 KiB, bodies of at most 1 GiB.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::failure::Result;
use crate::timing::now;

const HEAD_BYTES_MAX: u64 = 64 << 10;
const BODY_BYTES_MAX: u64 = 1 << 30;
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
    spent: Duration,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The JSON of a good answer.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.status != 200 {
            return Err(format!("the server answered {}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

#[derive(Debug, Default)]
struct Head {
    status: u16,
    length: u64,
    chunked: bool,
}

impl Connection {
    pub(crate) fn open(host: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect_timeout(&host, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Connection { stream: BufReader::with_capacity(64 << 10, stream), host, spent: Duration::ZERO })
    }

    /// How long requests have taken since this was asked last: from the first byte sent to the last byte read.
    pub(crate) fn take_time(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    pub(crate) fn get(&mut self, target: &str) -> Result<Answer> {
        let start = now();
        let answer = self.get_untimed(target);
        self.spent += start.elapsed();
        answer
    }

    fn get_untimed(&mut self, target: &str) -> Result<Answer> {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    /// Sends events, one a line.
    pub(crate) fn post(&mut self, target: &str, lines: &[u8]) -> Result<Answer> {
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            self.host,
            lines.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(lines)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let head = self.head()?;
        let mut body = Vec::new();
        if head.chunked {
            loop {
                let length = u64::from_str_radix(self.line()?.split(';').next().unwrap_or_default().trim(), 16)?;
                if length == 0 {
                    while !self.line()?.is_empty() {}
                    break;
                }
                self.read(length, &mut body)?;
                self.line()?;
            }
        } else {
            self.read(head.length, &mut body)?;
        }
        Ok(Answer { status: head.status, body })
    }

    fn head(&mut self) -> Result<Head> {
        let mut head = Head::default();
        let status = self.line()?;
        head.status = status.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no HTTP answer: `{status}`"))?;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').ok_or("an answer's header has no colon")?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.trim().parse()?,
                "transfer-encoding" => head.chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(HEAD_BYTES_MAX).read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None => Err("the server closed the connection in the middle of an answer".into()),
        }
    }

    fn read(&mut self, length: u64, body: &mut Vec<u8>) -> Result<()> {
        if body.len() as u64 + length > BODY_BYTES_MAX {
            return Err("the answer is too long".into());
        }
        let read = (&mut self.stream).take(length).read_to_end(body)?;
        if read as u64 == length { Ok(()) } else { Err("the server closed the connection in the middle of an answer".into()) }
    }
}

/// A path with parameters, written as a query string.
pub(crate) fn target(path: &str, parameters: &[(&str, &str)]) -> String {
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
    fn lengths_and_chunks() {
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
