//! [`Answers`]: HTTP/1.1 answers out of the bytes of a connection, however they come in pieces.
//!
//! It neither reads nor waits, so that blocking and event-driven clients share it. Nothing is read twice: a long answer that comes in many
//! pieces costs no more than one that comes whole.
//!
//! Limits: answers with a length or in chunks (an answer with neither has no body); heads of at most 64 KiB, bodies of at most 1 GiB.

use serde_json::Value;

use crate::failure::Result;

const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: u64 = 1 << 30;

/// An answer, whatever its status.
#[derive(Debug, Default)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// Without chunk sizes; compressed as it came.
    pub body: Vec<u8>,
    /// What `Retry-After` says, in seconds; 1 when it says something else than a number.
    pub retry_after: Option<u64>,
    /// The server will close the connection after it.
    pub closes: bool,
}

impl Answer {
    /// The JSON of a good answer.
    ///
    /// # Errors
    /// For every status but 200, and for a body that is no JSON.
    pub fn json(&self) -> Result<Value> {
        if self.status != 200 {
            return Err(format!("the server answered {}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// What is awaited next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Status,
    Header,
    ChunkLength,
    ChunkEnd,
    Trailer,
    /// So many bytes of the body.
    Bytes(u64),
}

/// Takes bytes, gives answers.
#[derive(Debug, Default)]
pub struct Answers {
    bytes: Vec<u8>,
    /// How many of them are used up.
    used: usize,
    next: Next,
    length: u64,
    chunked: bool,
    answer: Answer,
}

impl Answers {
    /// Bytes that were read from the connection.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole answer; `None` when more bytes are needed.
    ///
    /// # Errors
    /// For what is no HTTP, or longer than the limits.
    pub fn next_answer(&mut self) -> Result<Option<Answer>> {
        loop {
            if let Next::Bytes(left) = self.next {
                if !self.take(left)? {
                    return Ok(None);
                }
                if !self.chunked {
                    return Ok(Some(self.finish()));
                }
                self.next = Next::ChunkEnd;
                continue;
            }
            let Some(line) = self.line()? else { return Ok(None) };
            if self.step(&line)? {
                return Ok(Some(self.finish()));
            }
        }
    }

    /// Takes a line; whether the answer is whole.
    fn step(&mut self, line: &str) -> Result<bool> {
        match self.next {
            Next::Status => {
                let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
                self.answer.status = status.ok_or_else(|| format!("no HTTP answer: `{line}`"))?;
                self.next = Next::Header;
            }
            Next::Header if line.is_empty() => {
                self.next = if self.chunked { Next::ChunkLength } else { Next::Bytes(self.length) };
            }
            Next::Header => self.header(line)?,
            Next::ChunkLength => {
                let length = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
                self.next = if length == 0 { Next::Trailer } else { Next::Bytes(length) };
            }
            Next::ChunkEnd => self.next = Next::ChunkLength,
            Next::Trailer => return Ok(line.is_empty()),
            Next::Bytes(_) => {}
        }
        Ok(false)
    }

    fn header(&mut self, line: &str) -> Result<()> {
        let (name, value) = line.split_once(':').ok_or("an answer's header has no colon")?;
        let (value, is) = (value.trim(), |known: &str| name.eq_ignore_ascii_case(known));
        if is("content-length") {
            self.length = value.parse()?;
        } else if is("transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case("chunked");
        } else if is("connection") {
            self.answer.closes = value.eq_ignore_ascii_case("close");
        } else if is("retry-after") {
            self.answer.retry_after = Some(value.parse().unwrap_or(1));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<String>> {
        let rest = self.bytes.get(self.used..).unwrap_or_default();
        let Some(length) = rest.iter().position(|b| *b == b'\n') else {
            return if rest.len() > HEAD_BYTES_MAX { Err("a line of the answer's head is too long".into()) } else { Ok(None) };
        };
        let line = rest.get(..length).and_then(|line| line.strip_suffix(b"\r")).ok_or("a line does not end as it must")?;
        let line = std::str::from_utf8(line)?.to_owned();
        self.used += length + 1;
        Ok(Some(line))
    }

    /// Moves bytes to the body; whether all of them were there.
    fn take(&mut self, left: u64) -> Result<bool> {
        if (self.answer.body.len() as u64).saturating_add(left) > BODY_BYTES_MAX {
            return Err("the answer is too long".into());
        }
        let rest = self.bytes.get(self.used..).unwrap_or_default();
        let here = rest.get(..left as usize).unwrap_or(rest);
        self.answer.body.extend_from_slice(here);
        self.used += here.len();
        self.next = Next::Bytes(left - here.len() as u64);
        Ok(here.len() as u64 == left)
    }

    fn finish(&mut self) -> Answer {
        (self.next, self.length, self.chunked) = (Next::Status, 0, false);
        std::mem::take(&mut self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 429 Wait\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nHTTP/1.1 204 None\r\nConnection: close\r\n\r\n";

    #[test]
    fn lengths_and_chunks_in_pieces_of_any_size() {
        for size in 1..=THREE.len() {
            let (mut answers, mut all) = (Answers::default(), Vec::new());
            for piece in THREE.chunks(size) {
                answers.add(piece);
                while let Some(answer) = answers.next_answer().unwrap() {
                    all.push((answer.status, String::from_utf8(answer.body).unwrap(), answer.retry_after, answer.closes));
                }
            }
            let text = |t: &str| t.to_owned();
            let expected = [(200, text("{}"), None, false), (429, text("abc0123456789"), Some(7), false), (204, text(""), None, true)];
            assert_eq!(all, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        let endless = vec![b'x'; HEAD_BYTES_MAX + 1];
        let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX);
        for text in [b"nonsense\r\n".as_slice(), b"HTTP/1.1 200 OK\r\nno colon\r\n", b"HTTP/1.1 200 OK\n", &endless, long.as_bytes()] {
            let mut answers = Answers::default();
            answers.add(text);
            assert!(answers.next_answer().is_err(), "{}", String::from_utf8_lossy(text).chars().take(80).collect::<String>());
        }
    }
}
