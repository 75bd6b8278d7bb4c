//! A server in this process and a client of a few lines: raw HTTP/1.1, so that a test can send what no library would.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use traild::config::Config;
use traild::server::{ServeError, Server};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
    directory: TempDir,
}

impl Running {
    pub(crate) async fn start(adjust: impl FnOnce(&mut Config)) -> Running {
        Running::start_in(tempfile::tempdir().unwrap(), adjust).await
    }

    pub(crate) async fn start_in(directory: TempDir, adjust: impl FnOnce(&mut Config)) -> Running {
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), data_dir: directory.path().join("log"), ..Config::default() };
        adjust(&mut config);
        let server = Server::open(config).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async move { drop(stopped.await) }));
        Running { address, stop, task, directory }
    }

    /// Stops the server and gives back its directory.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        self.directory
    }

    /// The same log served by a new server.
    pub(crate) async fn restart(self) -> Running {
        let directory = self.stop().await;
        Running::start_in(directory, |_| {}).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, &[("content-type", kind)], body.as_ref()).await
    }

    /// Stores events, one a line.
    pub(crate) async fn store(&self, lines: impl AsRef<[u8]>) {
        let answer = self.post("/v1/events", "application/x-ndjson", lines).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["rejected_count"], 0, "{}", answer.text());
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += &headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect::<String>();
        self.raw(&[head.as_bytes(), b"\r\n", body].concat()).await
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let (mut reader, mut writer) = self.connect().await.into_split();
        let bytes = bytes.to_vec();
        // A refused body may not be read to its end: writing and reading must not wait for each other.
        let writing = tokio::spawn(async move { writer.write_all(&bytes).await.map(|()| writer) });
        let mut received = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match timeout(PATIENCE, reader.read(&mut piece)).await.expect("no answer in time") {
                Ok(0) | Err(_) => break,
                Ok(count) => received.extend_from_slice(&piece[..count]),
            }
        }
        drop(writing.await);
        Answer::parse(&received)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Answer {
        let cut =
            bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..cut]).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, headers: fields(head), body: bytes[cut + 4..].to_vec(), trailers: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.unchunk();
        }
        answer
    }

    fn unchunk(&mut self) {
        let chunked = std::mem::take(&mut self.body);
        let mut rest = chunked.as_slice();
        loop {
            let end = rest.windows(2).position(|w| w == b"\r\n").expect("a chunk was cut off");
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            rest = &rest[end + 2..];
            if length == 0 {
                self.trailers = fields(&format!("\r\n{}", std::str::from_utf8(rest).unwrap()));
                return;
            }
            self.body.extend_from_slice(&rest[..length]);
            rest = &rest[length + 2..];
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn fields(head: &str) -> Vec<(String, String)> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())).collect()
}

/// An event with an id, now, by a user.
pub(crate) fn event(id: &str, user: &str) -> String {
    let now = trail_engine::clock::Clock::now(&trail_engine::clock::SystemClock::new());
    format!(
        r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"{now}","eventSource":"s3.amazonaws.com","eventName":"PutObject","userIdentity":{{"type":"IAMUser","userName":"{user}"}}}}"#
    )
}
