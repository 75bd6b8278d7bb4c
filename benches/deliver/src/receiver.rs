//! [`Receiver`]: a log service that takes everything: HTTP/1.1 on loopback, each batch with the moment at which it was there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use trail_rig::{Result, now};

/// No header of the server is longer, nor a batch.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// A batch that came: how many events, the bytes of their sequences, when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) events: u64,
    pub(crate) at: Instant,
}

/// It listens until the program ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "threads of a measurement; the engine's door is for the engine")]
    pub(crate) fn listen() -> Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let kept = arrivals.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // A connection that breaks is the server's to open again.
                std::thread::spawn(move || answer(stream, &kept).unwrap_or_default());
            }
        });
        Ok(Receiver { address, arrivals })
    }

    /// What came so far.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(stream: TcpStream, arrivals: &Mutex<Vec<Arrival>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::with_capacity(256 << 10, stream);
    loop {
        let (mut length, mut first, mut last, mut events) = (0, 0, 0, 0);
        let mut line = String::new();
        while input.read_line(&mut line)? > 0 && line != "\r\n" {
            if let Some((name, value)) = line.split_once(':') {
                let number = || value.trim().parse::<u64>().unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = number(),
                    "x-traild-first-sequence" => first = number(),
                    "x-traild-last-sequence" => last = number(),
                    "x-traild-events" => events = number(),
                    _ => {}
                }
            }
            line.clear();
        }
        if line.is_empty() || length > BODY_BYTES_MAX {
            return Ok(());
        }
        std::io::copy(&mut input.by_ref().take(length), &mut std::io::sink())?;
        if events > 0 {
            arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { first, last, events, at: now() });
        }
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}
