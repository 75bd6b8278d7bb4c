//! What a server says while it opens its log.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use traild::config::Config;
use traild::server::Server;

use crate::client::Answer;

async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let connected = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let mut stream = timeout(Duration::from_secs(10), connected).await.expect("the port is not bound");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut received)).await.expect("a server that recovers hangs").unwrap();
    Answer::parse(&received)
}

/// A catalog that is a pipe keeps the log from being opened for as long as nobody writes into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_recovers_is_alive_and_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("catalog");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = Config { listen: address, data_dir: directory.path().into(), ..Config::default() };
    // A pipe is waited for by readers only.
    config.engine.read_only = true;
    let opening = tokio::spawn(Server::open(config));
    let alive = ask(address, "GET", "/healthz").await;
    assert_eq!((alive.status, &alive.json()["status"]), (200, &"ok".into()));
    let ready = ask(address, "GET", "/readyz").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "not_ready"), "{}", ready.text());
    assert!(ready.json()["reasons"][0].as_str().unwrap().starts_with("recovering"), "{}", ready.text());
    for route in traild::api::native::routes().iter().filter(|route| !matches!(route.path, "/healthz" | "/readyz")) {
        let answer = ask(address, route.method.as_str(), &route.path.replace(['{', '}'], "")).await;
        let told = (answer.status, answer.code());
        assert_eq!(told, (503, "recovering".to_owned()), "{} {}: {}", route.method, route.path, answer.text());
        assert_eq!(answer.header("retry-after"), Some("1"), "{}", route.path);
    }
    assert_eq!(ask(address, "GET", "/nothing").await.status, 404);
    assert!(!opening.is_finished(), "the log was opened without its catalog");
    drop(OpenOptions::new().write(true).open(&pipe).unwrap());
    let error = timeout(Duration::from_secs(10), opening).await.unwrap().unwrap().expect_err("an empty catalog was taken");
    assert!(error.to_string().contains("cannot open the log"), "{error}");
}
