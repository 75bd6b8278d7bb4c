//! Clients that lie, drip, explode and go away: a clear answer, bounded memory, the process alive, nothing accepted lost.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use trail_tests::client::{Answer, JSON, NDJSON, connect};
use trail_tests::fixtures::{ALWAYS, bytes, lines};
use trail_tests::table::Row;
use trail_tests::victim::{Victim, assert_refused, gzip, zstd};

#[test]
fn bodies_that_lie_about_their_encoding() {
    let row = Row::begin(19, "lies about encodings", 14);
    let victim = Victim::start(&[]);
    let plain = bytes("cloudtrail");
    let cut = |packed: Vec<u8>| packed[..packed.len() / 2].to_vec();
    for (encoding, body) in [
        ("gzip", plain.clone()),
        ("zstd", plain.clone()),
        ("gzip", zstd(&plain)),
        ("zstd", gzip(&plain)),
        ("gzip", cut(gzip(&plain))),
        ("zstd", cut(zstd(&plain))),
        ("gzip", [gzip(&plain), b"and more".to_vec()].concat()),
        ("gzip", vec![0x1f, 0x8b]),
    ] {
        victim.refuses(&[("content-type", NDJSON), ("content-encoding", encoding)], &body, 400, "invalid_encoding");
    }
    victim.refuses(&[("content-type", NDJSON)], &zstd(&plain), 400, "all_rejected");
    victim.refuses(&[("content-type", JSON)], &gzip(&plain), 400, "all_rejected");
    for encoding in ["br", "deflate", "gzip, gzip", "identity, zstd", "\u{1}"] {
        let headers = [("content-type", NDJSON), ("content-encoding", encoding)];
        if encoding == "\u{1}" {
            // Not even a header.
            let head = format!("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\n{{}}");
            assert_refused(&victim.server.client().raw(head.as_bytes()).unwrap(), 400, "invalid_request", "a header that is none");
            continue;
        }
        victim.refuses(&headers, &plain, 415, "unsupported_encoding");
    }
    row.hits(victim.survives());
    row.end();
}

#[test]
fn bombs() {
    let row = Row::begin(19, "bombs of 256 MiB", 8);
    let victim = Victim::start(&[]);
    let blanks = vec![b' '; 256 << 20];
    for (encoding, bomb) in [("gzip", gzip(&blanks)), ("zstd", zstd(&blanks))] {
        println!("{encoding}: {} bytes unfold to {}", bomb.len(), blanks.len());
        for _ in 0..3 {
            victim.refuses(&[("content-type", NDJSON), ("content-encoding", encoding)], &bomb, 413, "body_too_large");
        }
    }
    // A bomb in a bomb is only a body that is no JSON; a bomb of many members is one bomb.
    victim.refuses(&[("content-type", NDJSON), ("content-encoding", "gzip")], &gzip(&gzip(&blanks)), 400, "all_rejected");
    let members = gzip(&vec![b' '; 1 << 20]).repeat(100);
    victim.refuses(&[("content-type", NDJSON), ("content-encoding", "gzip")], &members, 413, "body_too_large");
    row.hits(victim.survives());
    row.end();
}

#[test]
fn nesting_and_strings_without_an_end() {
    let row = Row::begin(19, "nesting, endless strings", 11);
    let victim = Victim::start(&[]);
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    for (kind, body) in [
        (NDJSON, deep("[", "]")),
        (NDJSON, deep("{\"a\":", "}")),
        (NDJSON, format!("{{\"a\":{}}}", deep("[", "]"))),
        (NDJSON, "[".repeat(100_000)),
        (NDJSON, "{\"a\":".repeat(100_000)),
        (JSON, format!("[{}]", deep("{\"a\":", "}"))),
        (JSON, format!("{{\"Records\":[{}]}}", deep("{\"a\":", "}"))),
    ] {
        victim.refuses(&[("content-type", kind)], body.as_bytes(), 400, "all_rejected");
    }
    victim.refuses(&[("content-type", JSON)], "[".repeat(100_000).as_bytes(), 400, "invalid_json");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20));
    victim.refuses(&[("content-type", NDJSON)], long.as_bytes(), 413, "event_too_large");
    let mixed = format!("{long}\nnonsense\n");
    victim.refuses(&[("content-type", NDJSON)], mixed.as_bytes(), 400, "all_rejected");
    let many = format!("{{{}\"z\":1}}", (0..100_000).map(|i| format!("\"k{i}\":{i},")).collect::<String>());
    victim.refuses(&[("content-type", NDJSON)], many.repeat(2).as_bytes(), 413, "event_too_large");
    row.hits(victim.survives());
    row.end();
}

/// One string of 80 MiB, sent in chunks without a length: it ends at the limit of a body, not at the end of memory.
#[test]
fn a_huge_string_in_chunks() {
    let row = Row::begin(19, "80 MiB in chunks, 1 GiB said", 5);
    let victim = Victim::start(&[]);
    for _ in 0..4 {
        let mut connection = connect(victim.server.address).unwrap();
        let head = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n", victim.server.address);
        let stream = connection.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        let piece = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
        row.hit();
        let mut sent = stream.write_all(b"8\r\n{\"a\": \"x\r\n").map(|()| 0);
        for _ in 0..80 {
            sent = sent.and_then(|count| stream.write_all(piece.as_bytes()).map(|()| count + 1));
        }
        match Answer::read(&mut connection) {
            Ok(answer) => assert_refused(&answer, 413, "body_too_large", "chunks"),
            // The server closed while we wrote, and the kernel threw its answer away with the connection.
            Err(error) => {
                assert!(sent.is_err(), "all was taken, and then {error}");
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
            }
        }
    }
    let announced = format!("POST /v1/events HTTP/1.1\r\nhost: {}\r\ncontent-length: 1073741824\r\n\r\n{{", victim.server.address);
    assert_refused(&victim.server.client().raw(announced.as_bytes()).unwrap(), 413, "body_too_large", "1 GiB");
    row.hit();
    row.hits(victim.survives());
    row.end();
}

#[test]
fn types_that_nobody_knows_and_requests_that_are_none() {
    let row = Row::begin(20, "types, paths nobody knows", 13);
    let victim = Victim::start(&[]);
    let body = bytes("cloudtrail");
    for kind in ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json", "application/x-ndjson2", "*/*"] {
        victim.refuses(&[("content-type", kind)], &body, 415, "unsupported_media_type");
    }
    victim.refuses(&[("content-type", NDJSON), ("content-type", JSON)], &body, 415, "unsupported_media_type");
    let client = victim.server.client();
    for (request, status, code) in [
        ("DELETE /v1/events HTTP/1.1\r\nhost: HOST\r\n\r\n", 405, "method_not_allowed"),
        ("POST /v1/nothing HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n\r\n", 404, "not_found"),
        ("GET /v1/../../etc/passwd HTTP/1.1\r\nhost: HOST\r\n\r\n", 404, "not_found"),
        ("GET /v1/segments/..%2f..%2fLOCK HTTP/1.1\r\nhost: HOST\r\n\r\n", 400, "invalid_parameter"),
        ("GET /v1/count?q=user:( HTTP/1.1\r\nhost: HOST\r\n\r\n", 400, "invalid_query"),
        ("POST /v1/events HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "body_broken"),
    ] {
        row.hit();
        let request = request.replace("HOST", &victim.server.address.to_string());
        let answer = client.raw(request.as_bytes()).unwrap_or_else(|e| panic!("{request}: {e}"));
        assert_refused(&answer, status, code, &request);
    }
    row.hits(victim.survives());
    row.end();
}

/// Heads that are wrong or mean two things: an answer like any other, behind the answers to what came before, and nothing stored.
#[test]
fn heads_that_mean_nothing_or_two_things() {
    let row = Row::begin(20, "heads of no or two meanings", 12);
    let victim = Victim::start(&[]);
    let client = victim.server.client();
    let many = "x: y\r\n".repeat(101);
    let long = format!("GET /v1/count?q={} HTTP/1.1\r\nhost: HOST\r\n\r\n", "a".repeat(70_000));
    let post = |more: &str| format!("POST /v1/events HTTP/1.1\r\nhost: HOST\r\n{more}\r\n");
    for (request, status, code) in [
        (post("content-length: 2\r\ntransfer-encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n", 400, "invalid_request"),
        (post("transfer-encoding: chunked\r\ncontent-length: 2\r\n") + "2\r\n{}\r\n0\r\n\r\n", 400, "invalid_request"),
        (post("content-length: 1\r\ncontent-length: 2\r\n") + "{}", 400, "invalid_request"),
        (post("content-length: -1\r\n"), 400, "invalid_request"),
        (post("content-length: 2\r\nx: folded\r\n over\r\n") + "{}", 400, "invalid_request"),
        (post("content-length: 2\r\nx: \0\r\n") + "{}", 400, "invalid_request"),
        (post(&many), 431, "headers_too_large"),
        (long, 431, "headers_too_large"),
        ("GET /v1/count HTTP/1.1\r\n\r\n".into(), 400, "invalid_request"),
        ("GET http://evil.example/v1/count HTTP/1.1\r\nhost: HOST\r\n\r\n".into(), 400, "invalid_request"),
        ("NONSENSE\r\n\r\n".into(), 400, "invalid_request"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".into(), 400, "invalid_request"),
    ] {
        row.hit();
        let request = request.replace("HOST", &victim.server.address.to_string());
        let shown: String = request.chars().take(200).collect();
        let answer = client.raw(request.as_bytes()).unwrap_or_else(|e| panic!("{shown:?}: {e}"));
        assert_refused(&answer, status, code, &shown);
        assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
        let before = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", victim.server.address);
        let mut connection = connect(victim.server.address).unwrap();
        connection.get_mut().write_all([before.as_bytes(), request.as_bytes()].concat().as_slice()).unwrap();
        assert_eq!(Answer::read(&mut connection).unwrap().status, 200, "{shown:?}");
        assert_refused(&Answer::read(&mut connection).unwrap(), status, code, &shown);
    }
    row.hits(victim.survives());
    row.end();
}

/// Requests that stop in the middle, by going away and by going silent, a hundred of each at once.
#[test]
fn half_a_request() {
    let row = Row::begin(18, "half a request", 400);
    let victim = Victim::start(&[("TRAILD_HEADER_TIMEOUT", "1s"), ("TRAILD_BODY_TIMEOUT", "1s")]);
    let address = victim.server.address;
    let event = String::from_utf8(lines("cloudtrail")[0].clone()).unwrap();
    let body = format!("POST /v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{event}\n", event.len() + 100);
    let halves = ["P", "POST /v1/events HTTP/1.1\r\nho", body.as_str()];
    let begin = |half: &str| {
        let mut connection = connect(address).unwrap();
        connection.get_mut().write_all(half.as_bytes()).unwrap();
        connection
    };
    for half in halves {
        (0..100).for_each(|_| drop(begin(half)));
        row.hits(100);
    }
    let start = Instant::now();
    let mut silent: Vec<_> = (0..100).map(|i| (halves[i % 3], begin(halves[i % 3]))).collect();
    assert_eq!(victim.server.client().get("/healthz").status, 200, "the server has no time for others");
    for (half, connection) in &mut silent {
        row.hit();
        let mut answer = Vec::new();
        let ended = connection.read_to_end(&mut answer);
        let closed = ended.as_ref().map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |_| true);
        assert!(closed, "a silent client was kept: {ended:?}");
        let told = String::from_utf8_lossy(&answer);
        let code = if half.ends_with('\n') { "body_too_slow" } else { "headers_too_slow" };
        assert!(told.starts_with("HTTP/1.1 408") && told.contains(code), "{half:?}: {told:?}, {ended:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    row.hits(victim.survives());
    row.end();
}

/// A header that never ends, a byte at a time: the deadline is for all of the headers, not for each byte.
#[test]
fn slow_headers() {
    let row = Row::begin(18, "a header byte by byte", 1);
    let victim = Victim::start(&[("TRAILD_HEADER_TIMEOUT", "1s")]);
    let start = Instant::now();
    let mut connection = connect(victim.server.address).unwrap();
    connection.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").unwrap();
    let mut dripped = 0;
    while connection.get_mut().write_all(b"y").is_ok() {
        dripped += 1;
        assert!(start.elapsed() < Duration::from_secs(10), "still listening after {dripped} bytes");
        thread::sleep(Duration::from_millis(100));
    }
    row.hit();
    assert!(dripped >= 5, "the connection ended after {dripped} bytes");
    row.hits(victim.survives());
    row.end();
}

/// Clients that ask for a lot and read nothing: what waits for them is bounded, others are told to wait, and go on when they are gone.
#[test]
fn slow_readers() {
    let row = Row::begin(17, "readers that do not read", 30);
    const EVENTS: usize = 40;
    let victim = Victim::start(&[("TRAILD_ANSWER_BYTES_MAX", "64MiB")]);
    let mut client = victim.server.client();
    for batch in 0..EVENTS / 10 {
        let line = |i: usize| format!("{{\"eventID\":\"slow-{batch}-{i}\",\"text\":\"{}\"}}\n", "x".repeat(1_000_000));
        let answer = client.post(NDJSON, (0..10).map(line).collect::<String>().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let page = format!("/v1/events?{ALWAYS}&q=event_id:slow-*&limit=10000");
    let ask = |_| {
        let mut connection = connect(victim.server.address).unwrap();
        let request = format!("GET {page} HTTP/1.1\r\nhost: {}\r\n\r\n", victim.server.address);
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        connection
    };
    let readers: Vec<_> = (0..30).map(ask).collect();
    row.hits(30);
    let start = Instant::now();
    let refused = loop {
        let answer = client.get(&page);
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(60), "thirty readers hold all that they asked for");
    };
    assert_refused(&refused, 429, "busy", "a thirty-first reader");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(client.json(&format!("/v1/count?{ALWAYS}&q=event_id:slow-*"))["count"], EVENTS, "small answers need no budget");
    drop(readers);
    let start = Instant::now();
    loop {
        let answer = client.get(&page);
        if answer.status == 200 {
            assert_eq!(answer.events().len(), EVENTS);
            break;
        }
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(60), "the budget does not come back");
        thread::sleep(Duration::from_millis(100));
    }
    row.hits(victim.survives_with(EVENTS));
    row.end();
}
