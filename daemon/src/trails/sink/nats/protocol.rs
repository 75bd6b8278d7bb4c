//! The part of NATS's protocol that publishing with acknowledgements needs: lines of text, some with a payload behind them.
//!
//! Limits: a line has at most 64 KiB and a payload as much; what an acknowledgement says is far below both.

use std::io;

use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest line: `INFO` of a large cluster.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The longest payload.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What it is and can.
    Info(Info),
    /// Are you there.
    Ping,
    /// It is there.
    Pong,
    /// Something is wrong; most often it closes the connection after this.
    Error(String),
    /// A message: its subject, the status in its headers if there is one, its payload.
    Message(String, Option<u16>, Vec<u8>),
    /// `+OK`.
    Fine,
}

/// What a server is and can.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Whether messages may have headers.
    pub headers: bool,
    /// Whether it speaks TLS only.
    pub tls_required: bool,
    /// The longest message.
    pub max_payload: u64,
}

/// Reads what a server says next.
///
/// # Errors
/// When the connection breaks, or it does not speak NATS.
pub async fn read(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Said> {
    let mut line = Vec::new();
    (&mut *input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n")).ok_or_else(|| strange("a line"))?;
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match word.to_ascii_uppercase().as_str() {
        "INFO" => serde_json::from_str(rest).map(Said::Info).map_err(|_| strange("INFO")),
        "PING" => Ok(Said::Ping),
        "PONG" => Ok(Said::Pong),
        "+OK" => Ok(Said::Fine),
        "-ERR" => Ok(Said::Error(rest.trim_matches(['\'', ' ']).to_owned())),
        "MSG" => message(input, rest, false).await,
        "HMSG" => message(input, rest, true).await,
        _ => Err(strange("a word")),
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} that is not of NATS"))
}

/// `SUBJECT SID [REPLY] [HEADER-BYTES] BYTES` and what comes behind it.
async fn message(input: &mut (impl AsyncBufRead + Unpin), about: &str, has_headers: bool) -> io::Result<Said> {
    let words: Vec<&str> = about.split_ascii_whitespace().collect();
    if words.len() < if has_headers { 4 } else { 3 } {
        return Err(strange("a message"));
    }
    let number = |word: Option<&&str>| word.and_then(|word| word.parse::<usize>().ok()).filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX);
    let total = number(words.last()).ok_or_else(|| strange("the length of a message"))?;
    let head = if has_headers { number(words.iter().rev().nth(1)).ok_or_else(|| strange("the length of headers"))? } else { 0 };
    let mut payload = vec![0; total + 2];
    input.read_exact(&mut payload).await?;
    payload.truncate(total);
    let body = payload.split_off(head.min(total));
    // `NATS/1.0 503` is how a server says that nobody listens to a subject.
    let status = std::str::from_utf8(&payload).ok().and_then(|head| head.strip_prefix("NATS/1.0 ")?.get(..3)?.parse().ok());
    let subject = words.first().ok_or_else(|| strange("a message"))?;
    Ok(Said::Message((*subject).to_owned(), status, body))
}

/// What a stream says of a message.
#[derive(Debug, Deserialize)]
pub struct Ack {
    /// Why it did not take it.
    pub error: Option<AckError>,
    /// Its name.
    pub stream: Option<String>,
}

/// Why a stream did not take a message.
#[derive(Debug, Deserialize)]
pub struct AckError {
    /// JetStream's number for it.
    #[serde(default)]
    pub err_code: u32,
    /// The same in words.
    #[serde(default)]
    pub description: String,
}

/// Appends a message with an id, whose acknowledgement is to come to `reply`.
pub fn publish(subject: &str, reply: &str, id: &str, payload: &[u8], out: &mut Vec<u8>) {
    with_header(subject, reply, ("Nats-Msg-Id", id), payload, out);
}

/// Appends an empty message that a stream of another name than `stream` refuses, with its own name in the refusal.
pub fn knock(subject: &str, reply: &str, stream: &str, out: &mut Vec<u8>) {
    with_header(subject, reply, ("Nats-Expected-Stream", stream), b"", out);
}

/// Appends a question without a payload.
pub fn ask(subject: &str, reply: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PUB {subject} {reply} 0\r\n\r\n").as_bytes());
}

fn with_header(subject: &str, reply: &str, (name, value): (&str, &str), payload: &[u8], out: &mut Vec<u8>) {
    let head = format!("NATS/1.0\r\n{name}: {value}\r\n\r\n");
    out.extend_from_slice(format!("HPUB {subject} {reply} {} {}\r\n{head}", head.len(), head.len() + payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(bytes: &[u8]) -> Vec<io::Result<Said>> {
        let mut input = bytes;
        let mut all = Vec::new();
        loop {
            all.push(read(&mut input).await);
            if all.last().is_none_or(Result::is_err) {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn what_a_server_says_is_read() {
        let bytes =
            b"INFO {\"headers\":true,\"max_payload\":1048576,\"x\":[1]}\r\nPING\r\nPONG\r\n+OK\r\n-ERR 'Authorization Violation'\r\n\
            MSG _INBOX.a.7 1 4\r\n{\"\r\n\r\nHMSG _INBOX.a.8 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n";
        let all: Vec<Said> = said(bytes).await.into_iter().filter_map(Result::ok).collect();
        assert_eq!(
            all,
            [
                Said::Info(Info { headers: true, tls_required: false, max_payload: 1 << 20 }),
                Said::Ping,
                Said::Pong,
                Said::Fine,
                Said::Error("Authorization Violation".into()),
                Said::Message("_INBOX.a.7".into(), None, b"{\"\r\n".to_vec()),
                Said::Message("_INBOX.a.8".into(), Some(503), Vec::new()),
            ]
        );
    }

    #[tokio::test]
    async fn what_is_not_of_nats_is_refused() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"MSG\r\n",
            b"MSG a 1 99999999\r\n",
            b"MSG a 1 -1\r\n",
            b"HMSG a 1 9\r\n123456789\r\n",
            b"INFO x\r\n",
            b"PING",
            b"MSG a 1 5\r\n123",
            b"\xff\xfe\r\n",
            b"",
        ] {
            let all = said(bytes).await;
            assert!(all.len() == 1 && all[0].is_err(), "{bytes:?}: {all:?}");
        }
        assert!(said(&vec![b'x'; 200_000]).await[0].is_err());
    }

    #[test]
    fn messages_are_those_of_the_protocol() {
        let mut out = Vec::new();
        publish("audit.all", "_INBOX.a.0", "all-7", b"{}", &mut out);
        assert_eq!(out, b"HPUB audit.all _INBOX.a.0 32 34\r\nNATS/1.0\r\nNats-Msg-Id: all-7\r\n\r\n{}\r\n");
        out.clear();
        knock("audit.all", "_INBOX.a.p", "none", &mut out);
        ask("$JS.API.STREAM.INFO.A", "_INBOX.a.i", &mut out);
        let asked = b"HPUB audit.all _INBOX.a.p 40 40\r\nNATS/1.0\r\nNats-Expected-Stream: none\r\n\r\n\r\nPUB $JS.API.STREAM.INFO.A _INBOX.a.i 0\r\n\r\n";
        assert_eq!(out, asked);
    }
}
