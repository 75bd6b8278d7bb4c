//! [`Victim`]: a server that is treated badly, and must still have what it had.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::{TempDir, tempdir};

use crate::client::{Answer, NDJSON};
use crate::fixtures::{ALWAYS, bytes, lines};
use crate::server::Server;

/// What the server may have grown to after any of this: its buffers of bodies (256 MiB by default) are the largest part of it.
pub const MEMORY_MAX: u64 = 450 << 20;

/// A server that has accepted something, and must still have it at the end.
#[derive(Debug)]
pub struct Victim {
    /// The server.
    pub server: Server,
    /// What it must still have.
    pub promised: Vec<Vec<u8>>,
    refused: AtomicU64,
    _folder: TempDir,
}

impl Victim {
    /// Starts it with settings, and gives it the ActionTrail events of the corpus.
    ///
    /// # Panics
    /// When it does not take them.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Victim {
        let folder = tempdir().unwrap();
        let server = Server::start(&folder.path().join("log"), settings);
        let answer = server.client().post(NDJSON, &bytes("actiontrail"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        Victim { server, promised: lines("actiontrail"), refused: AtomicU64::new(0), _folder: folder }
    }

    /// Sends a body with these headers; the answer must have this status and code, and accept nothing.
    ///
    /// # Panics
    /// When it does not.
    pub fn refuses(&self, headers: &[(&str, &str)], body: &[u8], status: u16, code: &str) {
        let head: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let head = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\n{head}content-length: {}\r\n\r\n", self.server.address, body.len());
        let answer = self.server.client().raw(&[head.as_bytes(), body].concat()).unwrap_or_else(|e| panic!("{headers:?}: {e}"));
        assert_refused(&answer, status, code, &format!("{headers:?}"));
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks whether it lives, no thread of it panicked, is not too large, and has what it had; how many bodies it has refused.
    ///
    /// # Panics
    /// When it is not so.
    pub fn survives(self) -> u64 {
        self.survives_with(0)
    }

    /// The same when so many events were stored besides.
    ///
    /// # Panics
    /// See [`Victim::survives`].
    pub fn survives_with(mut self, others: usize) -> u64 {
        let said = self.server.said();
        assert!(self.server.is_alive() && !said.contains("panicked at"), "{said}");
        let peak = self.server.peak_bytes();
        println!("peak memory {} MiB", peak >> 20);
        assert!(peak < MEMORY_MAX, "{} MiB", peak >> 20);
        let mut client = self.server.client();
        for (sequence, event) in (1..).zip(&self.promised) {
            assert_eq!(&client.get(&format!("/v1/sequences/{sequence}")).event().1, event);
        }
        assert_eq!(client.json(&format!("/v1/count?{ALWAYS}"))["count"], self.promised.len() + others);
        self.server.stop();
        self.refused.into_inner()
    }
}

/// An answer of this status and code, in the one shape of errors.
///
/// # Panics
/// When it is another.
pub fn assert_refused(answer: &Answer, status: u16, code: &str, place: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{place}: {}", answer.text());
    let json = answer.json();
    assert!(json["error"]["message"].as_str().is_some_and(|m| m.len() > 5), "{place}: {json}");
    assert!(json["error"]["request_id"].as_str().is_some_and(|id| Some(id) == answer.header("x-request-id")), "{place}: {json}");
}

/// Packed.
///
/// # Panics
/// Never.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packed.
///
/// # Panics
/// Never.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::stream::encode_all(bytes, 3).unwrap()
}
