//! Servers that say no, that say to wait, or that say nothing at all.

use std::net::TcpListener;

use crate::stub::Stub;
use crate::{connections, ids, load, load_stub};

fn ok() -> Option<(String, String)> {
    Some(("200 OK".to_owned(), String::new()))
}

#[test]
fn a_server_that_says_to_wait_gets_the_same_again() {
    let stub = Stub::start(|number, _| match number {
        1 => Some(("429 Too Many Requests\r\nRetry-After: 1".to_owned(), "wait".to_owned())),
        2 => Some(("503 Service Unavailable\r\nretry-after: 0\r\nconnection: close".to_owned(), String::new())),
        _ => ok(),
    });
    let (code, report) = load_stub(&stub, "/x", "--protocol lines --events 30 --batch 10 --connections 1");
    assert_eq!((code, report["events"].as_u64(), report["waits"].as_u64()), (0, Some(30), Some(2)), "{report}");
    let received = stub.received();
    assert_eq!((received.len(), connections(&received)), (5, 2));
    assert_eq!((&received[1].body, &received[1].body), (&received[2].body, &received[3].body));
    assert_eq!(ids([0, 1, 4].into_iter().flat_map(|at| received[at].body.lines())).len(), 30);
    assert!(report["latency_ms"]["max"].as_f64().unwrap() >= 1_000.0, "the wait is part of the latency: {report}");
}

#[test]
fn an_open_loop_waits_for_nobody() {
    let stub = Stub::start(|number, _| if number == 1 { Some(("429 No\r\nRetry-After: 60".to_owned(), String::new())) } else { ok() });
    let (code, report) = load_stub(&stub, "/x", "--protocol lines --events 50 --batch 10 --connections 1 --rate 2000");
    assert_eq!((code, report["events"].as_u64(), report["not_accepted"].as_u64()), (1, Some(40), Some(10)), "{report}");
    assert_eq!((stub.received().len(), report["waits"].as_u64()), (5, Some(1)));
}

#[test]
fn errors_are_counted_by_status_and_shown() {
    let stub = Stub::start(|number, _| match number {
        0 => Some(("400 Bad Request".to_owned(), "no such index".to_owned())),
        1 => Some(("500 Oh".to_owned(), String::new())),
        2 => None,
        _ => ok(),
    });
    let (code, report) = load_stub(&stub, "/x", "--protocol lines --events 45 --batch 10 --connections 1 --warm-up 5");
    assert_eq!((code, report["events"].as_u64(), report["not_accepted"].as_u64()), (1, Some(25), Some(25)), "{report}");
    let refusals: Vec<_> =
        report["refusals"].as_array().unwrap().iter().map(|r| (r["reason"].as_str().unwrap(), r["events"].as_u64())).collect();
    assert_eq!(refusals, [("status 400", Some(5)), ("status 500", Some(10)), ("the server closed the connection", Some(10))]);
    assert_eq!(report["refusals"][0]["said"], "no such index");
    assert_eq!(connections(&stub.received()), 2);
}

#[test]
fn nobody_there_and_wrong_words() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, said) = load(&["--url", &format!("http://{free}"), "--events", "1", "--memory", "1"]);
    assert!(code == 1 && said.as_str().unwrap().contains("cannot connect"), "{code} {said}");
    let (code, said) = load(&["--url", "https://localhost"]);
    assert!(code == 2 && said.as_str().unwrap().contains("usage: load"), "{code} {said}");
}
