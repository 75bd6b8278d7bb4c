//! [`Parrot`]: a service on loopback that refuses everything, and repeats in its refusals all that it was told: headers, URLs, passwords.
//!
//! There are services that do so. What a sink tells of their words must have no secret in it, nor a token that it was given. It speaks HTTP, with errors as S3 and Azure write them, or as
//! Elasticsearch, SLS and Google do; NATS; and as much of Kafka as a login takes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;

use crate::client::{fields, line};

/// The token that it gives to whoever asks for one, at `/token`.
pub const TOKEN: &str = "pL4nted-s3cret-that-was-fetched";
/// What it answers with, in turn: a key that is wrong, trouble of its own, a request that it will never take.
const STATUSES: [u16; 3] = [403, 500, 400];
/// The APIs of Kafka that it says it has: Produce, Metadata, InitProducerId, SaslHandshake, SaslAuthenticate.
const APIS: [i16; 5] = [0, 3, 22, 17, 36];
/// Kafka's code for a login that is wrong.
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// What a parrot speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// HTTP, errors in XML.
    Xml,
    /// HTTP, errors in JSON.
    Json,
    /// NATS.
    Nats,
    /// Kafka.
    Kafka,
}

/// A service that repeats what it is told; it ends with the process.
#[derive(Debug)]
pub struct Parrot {
    /// Where it is.
    pub address: SocketAddr,
    heard: Arc<AtomicU64>,
}

impl Parrot {
    /// Begins to listen.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(tongue: Tongue) -> Parrot {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let counts = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counts = counts.clone();
                thread::spawn(move || {
                    let _broken = match tongue {
                        Tongue::Xml | Tongue::Json => http(stream, tongue, &counts),
                        Tongue::Nats => nats(stream, &counts),
                        Tongue::Kafka => kafka(stream, &counts),
                    };
                });
            }
        });
        Parrot { address, heard }
    }

    /// How often it has repeated something.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }
}

fn http(stream: TcpStream, tongue: Tongue, heard: &AtomicU64) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    loop {
        let first = line(&mut input)?;
        let headers = fields(&mut input)?;
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        input.read_exact(&mut body)?;
        if first.split(' ').nth(1) == Some("/token") {
            let token = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3_600}).to_string();
            input.get_mut().write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{token}", token.len()).as_bytes())?;
            continue;
        }
        let secrets = headers.iter().filter(|(name, _)| !name.starts_with("content") && !name.starts_with("x-traild"));
        let told: String = secrets.map(|(name, value)| format!("{name}: {value}; ")).collect();
        let turn = usize::try_from(heard.fetch_add(1, Ordering::SeqCst)).unwrap();
        let answer = refusal(&format!("you said {first} {told}"), tongue);
        let head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n", STATUSES[turn % STATUSES.len()], answer.len());
        input.get_mut().write_all(head.as_bytes())?;
        if !first.starts_with("HEAD") {
            input.get_mut().write_all(answer.as_bytes())?;
        }
    }
}

fn refusal(told: &str, tongue: Tongue) -> String {
    if tongue == Tongue::Xml {
        let told = told.replace('&', "&amp;").replace('<', "&lt;");
        return format!("<?xml version=\"1.0\"?><Error><Code>Refused</Code><Message>{told}</Message></Error>");
    }
    let error = json!({"type": "parrot", "reason": told, "code": 403, "message": told});
    json!({"error": error, "errorCode": "Refused", "errorMessage": told}).to_string()
}

fn nats(stream: TcpStream, heard: &AtomicU64) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    input.get_mut().write_all(b"INFO {\"headers\":true,\"max_payload\":1048576}\r\n")?;
    let mut told = String::new();
    input.read_line(&mut told)?;
    input.get_mut().write_all(format!("-ERR 'Authorization Violation: {}'\r\n", told.trim()).as_bytes())?;
    heard.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

fn kafka(mut stream: TcpStream, heard: &AtomicU64) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let mut answer = request[4..8].to_vec();
        match i16::from_be_bytes([request[0], request[1]]) {
            18 => {
                answer.extend([0, 0, 0, 0, 0, APIS.len() as u8]);
                APIS.iter().for_each(|key| answer.extend([key.to_be_bytes(), [0, 0], [0, 20]].concat()));
            }
            17 => answer.extend(b"\0\0\0\0\0\x01\0\x05PLAIN"),
            _ => {
                let told = String::from_utf8_lossy(&request).replace('\0', " ");
                answer.extend(SASL_AUTHENTICATION_FAILED.to_be_bytes());
                answer.extend(i16::try_from(told.len()).unwrap_or(0).to_be_bytes());
                answer.extend(told.as_bytes());
                answer.extend([0; 4]);
                heard.fetch_add(1, Ordering::SeqCst);
            }
        }
        stream.write_all(&[&u32::try_from(answer.len()).unwrap_or(0).to_be_bytes()[..], &answer].concat())?;
    }
}
