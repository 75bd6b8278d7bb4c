//! Answers that their clients do not take: what they hold is bounded, and comes back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use traild::config::Config;

use crate::client::Running;

const EVENTS: usize = 30;

/// A server with a page of 30 MB, room for one such page, and little patience.
async fn with_a_large_page(adjust: impl FnOnce(&mut Config)) -> Running {
    let server = Running::start(|c| {
        c.answer_bytes_max = 40 << 20;
        c.write_timeout = Duration::from_secs(2);
        adjust(c);
    })
    .await;
    for batch in 0..EVENTS / 10 {
        let line = |i: usize| format!("{{\"eventID\":\"e{batch}-{i}\",\"text\":\"{}\"}}\n", "x".repeat(1_000_000));
        server.store((0..10).map(line).collect::<String>()).await;
    }
    server
}

async fn ask_and_read_nothing(server: &Running, path: &str) -> TcpStream {
    let mut stream = server.connect().await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address).as_bytes()).await.unwrap();
    stream
}

/// The gauge of what answers hold.
async fn held(server: &Running) -> u64 {
    let text = server.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix("traild_answer_reserved_bytes "));
    line.unwrap().parse::<f64>().unwrap() as u64
}

async fn until_held(server: &Running, enough: impl Fn(u64) -> bool) {
    let waiting = async {
        while !enough(held(server).await) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect("the budget of answers does not move");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stalls_makes_others_wait_and_is_ended() {
    let server = with_a_large_page(|_| {}).await;
    let mut stalled = ask_and_read_nothing(&server, "/v1/events?limit=1000").await;
    until_held(&server, |bytes| bytes > 10_000_000).await;
    let refused = server.get("/v1/events?limit=1000").await;
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (429, "busy", Some("1")), "{}", refused.text());
    // Small answers still fit.
    assert_eq!(server.get("/v1/events?limit=1").await.status, 200);
    let start = Instant::now();
    until_held(&server, |bytes| bytes == 0).await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let whole = server.get("/v1/events?limit=1000").await;
    assert_eq!((whole.status, whole.json()["events"].as_array().unwrap().len()), (200, EVENTS));
    // The stalled client sees that its answer was cut off: no last chunk.
    let mut received = Vec::new();
    let ended = timeout(Duration::from_secs(20), stalled.read_to_end(&mut received)).await.expect("the connection was kept");
    assert!(ended.is_err() || !received.ends_with(b"0\r\n\r\n"));
    assert!(received.len() < 30_000_000, "{} bytes were taken by nobody", received.len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_only_drips_is_ended_too() {
    let server = with_a_large_page(|c| c.answer_rate_min = 8 << 20).await;
    let mut dripping = ask_and_read_nothing(&server, "/v1/events?limit=1000").await;
    let start = Instant::now();
    let mut piece = vec![0; 64 << 10];
    let mut taken = 0;
    // 1.3 MB a second: never silent for the two seconds of `write_timeout`.
    let ended = loop {
        match dripping.read(&mut piece).await {
            Ok(0) | Err(_) => break start.elapsed(),
            Ok(count) => taken += count,
        }
        assert!(taken < 30_000_000, "the whole answer was sent at less than the least rate");
        sleep(Duration::from_millis(50)).await;
    };
    assert!(ended > Duration::from_secs(1), "{ended:?}");
    until_held(&server, |bytes| bytes == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_can_never_fit_is_no_reason_to_wait() {
    let server = with_a_large_page(|c| c.answer_bytes_max = 8 << 20).await;
    let answer = server.get("/v1/events?limit=1000").await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "limit_exceeded"), "{}", answer.text());
    assert_eq!(server.get("/v1/events?limit=5").await.status, 200);
    // Whoever follows the log gets it in smaller pieces instead.
    let mut tail = ask_and_read_nothing(&server, "/v1/tail?after=0").await;
    let mut received = 0;
    let mut piece = vec![0; 1 << 20];
    let all = async {
        while received < EVENTS * 1_000_000 {
            received += tail.read(&mut piece).await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), all).await.expect("the log does not come");
    assert!(held(&server).await < 9 << 20);
    drop(tail);
    server.stop().await;
}
