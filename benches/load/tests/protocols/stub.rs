//! [`Stub`]: a small HTTP server that keeps what it receives and answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Method, path and query.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Which connection it came on.
    pub(crate) connection: usize,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Status line, headers and body of an answer to the request with this number; nothing closes the connection.
type Answering = dyn Fn(usize, &Received) -> Option<(String, String)> + Send + Sync;

/// A server that lives as long as the test's process.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Stub {
    pub(crate) fn start(answering: impl Fn(usize, &Received) -> Option<(String, String)> + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, answering): (_, Arc<Answering>) = (Arc::clone(&received), Arc::new(answering));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (kept, answering) = (Arc::clone(&kept), Arc::clone(&answering));
                std::thread::spawn(move || serve(connection, stream, &kept, &*answering));
            }
        });
        Stub { address, received }
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn serve(connection: usize, stream: TcpStream, kept: &Mutex<Vec<Received>>, answering: &Answering) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(connection, &mut stream) {
        let number = {
            let mut kept = kept.lock().unwrap();
            kept.push(request.clone());
            kept.len() - 1
        };
        let Some((head, body)) = answering(number, &request) else { return };
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

fn read(connection: usize, stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines[1..].iter().map(|line| header(line).unwrap()).collect();
    let mut received = Received { line: lines[0].clone(), headers, body: String::new(), connection };
    let length: u64 = received.header("content-length").unwrap().parse().unwrap();
    stream.take(length).read_to_string(&mut received.body).unwrap();
    Some(received)
}
