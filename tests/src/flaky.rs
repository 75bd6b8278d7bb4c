//! [`Flaky`]: a proxy before an HTTP server that fails as it is told: it refuses, or lets a request through and loses the answer.
//!
//! Every request has a connection of its own behind the proxy. Limits: bodies with a length only.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is answered with these bytes, and not passed on.
    Refuse(String),
    /// It is passed on whole, and the connection is closed instead of an answer.
    LoseAnswer,
}

/// What becomes of the N-th request, from 0, of this first line.
pub type Plan = dyn Fn(u64, &str) -> Fate + Send + Sync;

/// A proxy; ends with the process.
#[derive(Debug)]
pub struct Flaky {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Flaky {
    /// Listens before a server.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(server: SocketAddr, plan: Arc<Plan>) -> Flaky {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let flaky = Flaky { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = flaky.requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (plan, requests) = (plan.clone(), requests.clone());
                // A peer that goes away is part of the test.
                thread::spawn(move || drop(serve(&stream, server, &*plan, &requests)));
            }
        });
        flaky
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, server: SocketAddr, plan: &Plan, requests: &AtomicU64) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let (first, head, body) = read(&mut input)?;
    match plan(requests.fetch_add(1, Ordering::SeqCst), &first) {
        Fate::Refuse(answer) => (&*stream).write_all(answer.as_bytes()),
        fate => {
            let mut behind = TcpStream::connect(server)?;
            behind.write_all(format!("{first}\r\nconnection: close\r\n{head}\r\n").as_bytes())?;
            behind.write_all(&body)?;
            let mut answer = Vec::new();
            behind.read_to_end(&mut answer)?;
            if matches!(fate, Fate::Pass) { (&*stream).write_all(&answer) } else { Ok(()) }
        }
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
