//! [`Flaky`]: a proxy before an HTTP server that fails as it is told: it refuses, lets a request through and loses the answer, alters or cuts what is sent, never answers,
//! is away, or keeps a header from the server.
//!
//! Every request has a connection of its own behind the proxy, and its head is written down. Limits: bodies with a length only.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is answered with these bytes, and not passed on.
    Refuse(String),
    /// It is passed on whole, and the connection is closed instead of an answer.
    LoseAnswer,
    /// Where these bytes are last in its body, others of the same length are passed on; and so is the answer.
    Alter(&'static str, &'static str),
    /// It is passed on without so many bytes at its end, and with the length of that; and so is the answer.
    Cut(usize),
    /// It is not passed on, and nothing is answered for as long as the other side waits.
    Hang,
    /// It is not passed on, and the connection is closed.
    Close,
}

/// What becomes of the N-th request, from 0, of this first line.
pub type Plan = dyn Fn(u64, &str) -> Fate + Send + Sync;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Came {
    /// When.
    pub at: Instant,
    /// Its first line and the other lines of its head, in lower case but for the first.
    pub head: String,
}

/// A proxy; ends with the process.
#[derive(Debug)]
pub struct Flaky {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    came: Mutex<Vec<Came>>,
    injected: AtomicU64,
    /// The beginning of header lines that the server does not get, in lower case.
    kept: Option<&'static str>,
}

impl Flaky {
    /// Listens before a server.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(server: SocketAddr, plan: Arc<Plan>) -> Flaky {
        Flaky::keeping(None, server, plan)
    }

    /// The same, which keeps header lines from the server that begin so.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn keeping(kept: Option<&'static str>, server: SocketAddr, plan: Arc<Plan>) -> Flaky {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let flaky = Flaky { address: listener.local_addr().unwrap(), shared: Arc::new(Shared { kept, ..Shared::default() }) };
        let shared = flaky.shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (plan, shared) = (plan.clone(), shared.clone());
                // A peer that goes away is part of the test.
                thread::spawn(move || drop(serve(&stream, server, &*plan, &shared)));
            }
        });
        flaky
    }

    /// How many requests came.
    ///
    /// # Panics
    /// When it panicked before.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.came.lock().unwrap().len() as u64
    }

    /// The requests that came, in their order.
    ///
    /// # Panics
    /// When it panicked before.
    #[must_use]
    pub fn came(&self) -> Vec<Came> {
        self.shared.came.lock().unwrap().clone()
    }

    /// How many requests had another fate than to be passed on as they were.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, server: SocketAddr, plan: &Plan, shared: &Shared) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let (first, head, mut body) = read(&mut input)?;
    let number = {
        let mut came = shared.came.lock().unwrap();
        came.push(Came { at: Instant::now(), head: format!("{first}\r\n{}", head.to_ascii_lowercase()) });
        came.len() as u64 - 1
    };
    let fate = plan(number, &first);
    let is_kept = |line: &&str| shared.kept.is_some_and(|kept| line.to_ascii_lowercase().starts_with(kept));
    let is_told = !matches!(fate, Fate::Pass) || head.lines().any(|line| is_kept(&line));
    shared.injected.fetch_add(u64::from(is_told), Ordering::SeqCst);
    match &fate {
        Fate::Refuse(answer) => return (&*stream).write_all(answer.as_bytes()),
        Fate::Close => return Ok(()),
        Fate::Hang => return input.read_to_end(&mut Vec::new()).map(drop),
        Fate::Alter(from, to) => alter(&mut body, from, to),
        Fate::Cut(bytes) => body.truncate(body.len().saturating_sub(*bytes)),
        Fate::Pass | Fate::LoseAnswer => {}
    }
    let mut behind = TcpStream::connect(server)?;
    behind.write_all(format!("{first}\r\nconnection: close\r\n").as_bytes())?;
    for line in head.lines().filter(|line| !is_kept(line)) {
        match line.to_ascii_lowercase().starts_with("content-length:") {
            true => behind.write_all(format!("content-length: {}\r\n", body.len()).as_bytes())?,
            false => behind.write_all(format!("{line}\r\n").as_bytes())?,
        }
    }
    behind.write_all(b"\r\n")?;
    behind.write_all(&body)?;
    let mut answer = Vec::new();
    behind.read_to_end(&mut answer)?;
    if matches!(fate, Fate::LoseAnswer) { Ok(()) } else { (&*stream).write_all(&answer) }
}

/// Puts other bytes where these are last.
fn alter(body: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    if let Some(at) = body.windows(from.len()).rposition(|window| window == from.as_bytes()) {
        body[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
}

/// The first line, the other lines but those about the connection, and the body.
fn read(input: &mut impl BufRead) -> io::Result<(String, String, Vec<u8>)> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let (first, mut head, mut length) = (line.trim_end().to_owned(), String::new(), 0);
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        match lower.trim_end() {
            "" => break,
            header if header.starts_with("connection:") => continue,
            header => {
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                }
            }
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok((first, head, body))
}
