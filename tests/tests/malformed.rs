//! Requests that are none, or that two readers could take for two things (class 20 of the fault matrix).
//!
//! Behind each of them, where a reader who takes it differently would look for the next request, stands one that stores an event. The
//! server must refuse the first and close, so that the second is never read; a request that is right says so with its one answer.
//! Limit: only what this server reads; whether a proxy before it takes the same bytes differently does not matter when they are refused.

use std::io::{Read, Write};

use trail_tests::client::{Answer, connect};
use trail_tests::fixtures::{ALWAYS, lines};
use trail_tests::seed::Random;
use trail_tests::table::Row;
use trail_tests::victim::Victim;

/// The last request of a connection.
const LAST: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A request with what must become of it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    /// The statuses of its answers when it is right; empty: it must be refused.
    right: Vec<u16>,
}

fn wrong(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    Case { name: name.into(), bytes: bytes.into(), right: Vec::new() }
}

fn right(name: &str, bytes: &str, statuses: &[u16]) -> Case {
    Case { name: name.into(), bytes: bytes.into(), right: statuses.to_vec() }
}

/// A whole request that stores an event; nobody may come to read it.
fn smuggled() -> String {
    let event = r#"{"eventID":"smuggled","eventTime":"2026-11-20T10:00:00Z"}"#;
    format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{event}", event.len())
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{body}")
}

/// Two lengths: the end of the body by one is the beginning of the smuggled request by the other.
fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    let chunked = format!("0\r\n\r\n{}", smuggled());
    for value in [
        "chunked",
        "Chunked",
        "CHUNKED",
        "chunked, chunked",
        "gzip, chunked",
        "identity",
        "chunked, identity",
        "xchunked",
        "\"chunked\"",
        "chunked;q=1",
        "chunked,",
        ",chunked",
        "\u{b}chunked",
        "",
        "deflate",
    ] {
        let both = [
            format!("content-length: {}\r\ntransfer-encoding: {value}\r\n", chunked.len()),
            format!("transfer-encoding: {value}\r\ncontent-length: {}\r\n", chunked.len()),
        ];
        cases.extend(both.map(|headers| wrong(format!("length and {value:?}"), post(&headers, &chunked))));
        if !value.eq_ignore_ascii_case("chunked") {
            cases.push(wrong(format!("encoding {value:?}"), post(&format!("transfer-encoding: {value}\r\n"), &chunked)));
        }
    }
    for headers in [
        "transfer-encoding : chunked\r\n",
        " transfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        "content-length: 5\r\nx: y\rtransfer-encoding: chunked\r\n",
    ] {
        cases.push(wrong(format!("{headers:?}"), post(headers, &chunked)));
    }
    for value in [
        "+2",
        "-2",
        "0x2",
        "2 2",
        "2,3",
        "2;",
        "2.0",
        "1e1",
        "99999999999999999999999",
        "18446744073709551616",
        "\u{ff12}",
        "two",
        "2\u{0}",
        "2\t2",
        "",
        "2,",
    ] {
        cases.push(wrong(format!("length {value:?}"), post(&format!("content-length: {value}\r\n"), &format!("{{}}{}", smuggled()))));
    }
    for (one, two) in [("2", "3"), ("0", "2"), ("2", "0"), ("2", "+2"), ("2", "-1"), ("2", "x")] {
        let headers = format!("content-length: {one}\r\ncontent-length: {two}\r\n");
        cases.push(wrong(format!("{headers:?}"), post(&headers, &format!("{{}}{}", smuggled()))));
    }
    cases
}

/// Header lines that are none.
fn headers() -> Vec<Case> {
    let lines = [
        "no colon",
        ": no name",
        " : blank name",
        "x y: z",
        "x\ty: z",
        " leading: z",
        "\tleading: z",
        "x: folded\r\n over",
        "x: folded\r\n\tover",
        "x: a\u{0}b",
        "x\u{0}: y",
        "x: a\rb",
        "\r",
        "x: \u{7f}",
        "x: \u{1}",
        "x: \u{1b}[2J",
        "host: other.example",
        "host : localhost",
        "\u{e9}: y",
    ];
    let mut cases: Vec<Case> = lines.iter().map(|line| wrong(format!("header {line:?}"), get(&format!("{line}\r\n")))).collect();
    for sign in "()<>@,;\\\"/[]?={}".chars() {
        cases.push(wrong(format!("header name with {sign}"), get(&format!("x{sign}y: z\r\n"))));
    }
    let many = "a: b\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(40_000));
    let name = format!("{}: y\r\n", "x".repeat(70_000));
    cases.extend(
        [("101 headers", many), ("a header of 40 kB", long), ("a name of 70 kB", name)].map(|(name, headers)| wrong(name, get(&headers))),
    );
    cases
}

fn get(headers: &str) -> String {
    format!("GET /v1/count HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{}", smuggled())
}

/// First lines that are none, and hosts that are not ours.
fn first_lines() -> Vec<Case> {
    let first = [
        "GET",
        "GET /v1/count",
        "GET /v1/count HTTP/0.9",
        "GET /v1/count HTTP/1.2",
        "GET /v1/count HTTP/2.0",
        "GET /v1/count HTTP/1.10",
        "GET /v1/count http/1.1",
        "GET /v1/count HTTP/1.1 x",
        "GET  /v1/count  HTTP/1.1",
        "GET\t/v1/count\tHTTP/1.1",
        " GET /v1/count HTTP/1.1",
        "GET /v1/a b HTTP/1.1",
        "GET /v1/\u{0} HTTP/1.1",
        "GET /v1/\u{1} HTTP/1.1",
        "GET /v1/\u{7f} HTTP/1.1",
        "GET v1/count HTTP/1.1",
        "GET  HTTP/1.1",
        "G\u{0}T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "/v1/count HTTP/1.1",
        "GET http://evil.example/v1/count HTTP/1.1",
        "GET http:///v1/count HTTP/1.1",
        "GET \\v1\\count HTTP/1.1",
        "PRI * HTTP/2.0",
        "HTTP/1.1 200 OK",
        "GET /v1/count HTTP/1.1\r",
        "GET /v1/count HTTP/1.1\u{0}",
    ];
    let mut cases: Vec<Case> =
        first.iter().map(|line| wrong(format!("line {line:?}"), format!("{line}\r\nhost: localhost\r\n\r\n{}", smuggled()))).collect();
    let long = format!("/{}", "a".repeat(70_000));
    cases.push(wrong("a target of 70 kB", format!("GET {long} HTTP/1.1\r\nhost: localhost\r\n\r\n{}", smuggled())));
    for host in ["", "host: localhost\r\nhost: localhost\r\n"] {
        cases.push(wrong(format!("{host:?}"), format!("GET /v1/count HTTP/1.1\r\n{host}\r\n{}", smuggled())));
    }
    cases
}

/// Chunks that are none.
fn chunks() -> Vec<Case> {
    let bodies = [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        "8000000000000000\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}xx\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nno colon\r\n\r\n",
        "2\r\n{}\r\n0\r\nx y: z\r\n\r\n",
        "2\r\n{}\r\n0;\u{1}\n\r\n",
    ];
    let chunked = |body: &str| post("transfer-encoding: chunked\r\n", &format!("{body}{}", smuggled()));
    let mut cases: Vec<Case> = bodies.iter().map(|body| wrong(format!("chunks {body:?}"), chunked(body))).collect();
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    cases.push(wrong("an extension of 100 kB", chunked(&long)));
    cases
}

/// What comes from something that speaks no HTTP/1.
fn noise(random: &mut Random) -> Vec<Case> {
    let known = [
        ("TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("SSH", b"SSH-2.0-x\r\n\r\n"),
        ("redis", b"*1\r\n$4\r\nPING\r\n\r\n"),
        ("smtp", b"EHLO x\r\n\r\n"),
        ("nothing but ends", b"\0\0\0\0\r\n\r\n"),
    ];
    let mut cases: Vec<Case> = known.iter().map(|(name, bytes)| wrong(*name, [bytes, smuggled().as_bytes()].concat())).collect();
    for i in 0..10 {
        let mut bytes: Vec<u8> = (0..1 + random.below(300)).map(|_| random.number().to_le_bytes()[0]).filter(|b| *b != b'\n').collect();
        bytes.insert(0, 0x80);
        bytes.extend_from_slice(format!("\r\n\r\n{}", smuggled()).as_bytes());
        cases.push(wrong(format!("noise {i}"), bytes));
    }
    cases
}

/// What only looks wrong.
fn odd_but_right() -> Vec<Case> {
    let mut cases = clear_ends();
    // The host is refused for what it is; where the request ends is not in doubt.
    for host in ["evil.example", "", "localhost, evil.example", "localhost/x", "user@localhost", "localhost:port", "[::1", "local host"] {
        cases.push(right(&format!("host {host:?}"), &format!("GET /v1/count HTTP/1.1\r\nhost: {host}\r\n\r\n{LAST}"), &[403, 200]));
    }
    cases
}

fn clear_ends() -> Vec<Case> {
    let health = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    vec![
        right("ten in a row", &format!("{}{LAST}", health.repeat(9)), &[200; 10]),
        right("an empty line before", &format!("\r\n{LAST}"), &[200]),
        right("names in capitals", "GET /healthz HTTP/1.1\r\nHOST: localhost\r\nCONNECTION: close\r\n\r\n", &[200]),
        right("no blank behind the colon", "GET /healthz HTTP/1.1\r\nhost:localhost\r\nconnection:close\r\n\r\n", &[200]),
        right(
            "its own host in the target",
            "GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            &[200],
        ),
        right("an extension of a chunk", &(post("transfer-encoding: chunked\r\n", "2;a=b\r\n[]\r\n0\r\n\r\n") + LAST), &[400, 200]),
        right("a NUL in an extension", &(post("transfer-encoding: chunked\r\n", "2;\0\r\n[]\r\n0\r\n\r\n") + LAST), &[400, 200]),
        right("two slashes", &format!("GET //evil.example/v1/count HTTP/1.1\r\nhost: localhost\r\n\r\n{LAST}"), &[404, 200]),
        right("a tunnel", &format!("CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n{LAST}"), &[404, 200]),
        right("leading zeros of a chunk", &(post("transfer-encoding: chunked\r\n", "0002\r\n[]\r\n0\r\n\r\n") + LAST), &[400, 200]),
        right("a trailer", &(post("transfer-encoding: chunked\r\n", "2\r\n[]\r\n0\r\nx: y\r\n\r\n") + LAST), &[400, 200]),
        right("a body that is refused, and the next request", &(post("content-length: 2\r\n", "[]") + LAST), &[400, 200]),
        right(
            "a body of a question",
            &format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{}{LAST}", smuggled().len(), smuggled()),
            &[200, 200],
        ),
    ]
}

/// All answers on a connection until the server closes it.
fn answers(victim: &Victim, bytes: &[u8]) -> Result<Vec<Answer>, String> {
    let mut connection = connect(victim.server.address).map_err(|e| e.to_string())?;
    let _ = connection.get_mut().write_all(bytes);
    let mut all = Vec::new();
    // A reset after an answer is the kernel's way to say that bytes were not read.
    let _ = connection.read_to_end(&mut all);
    let mut rest = all.as_slice();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        answers.push(Answer::read(&mut rest).map_err(|e| format!("{e}: {:?}", String::from_utf8_lossy(&all)))?);
    }
    Ok(answers)
}

fn judge(case: &Case, answers: &[Answer]) -> Result<(), String> {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let told = || answers.iter().map(Answer::text).collect::<String>();
    if !case.right.is_empty() {
        return if statuses == case.right { Ok(()) } else { Err(format!("{statuses:?} instead of {:?}: {}", case.right, told())) };
    }
    let [answer] = answers else { return Err(format!("{} answers {statuses:?}: {}", answers.len(), told())) };
    let refused = (400..500).contains(&answer.status) || [501, 505].contains(&answer.status);
    if !refused || answer.code().is_empty() {
        return Err(format!("{statuses:?}: {}", told()));
    }
    Ok(())
}

#[test]
fn no_request_has_two_meanings() {
    let mut random = Random::of_test("malformed", "no_request_has_two_meanings");
    let victim = Victim::start(&[("TRAILD_HEADER_TIMEOUT", "2s"), ("TRAILD_BODY_TIMEOUT", "2s")]);
    let cases: Vec<Case> =
        [lengths(), headers(), first_lines(), chunks(), noise(&mut random), odd_but_right()].into_iter().flatten().collect();
    let row = Row::begin(20, "malformed HTTP", 150);
    let (mut problems, mut stored) = (Vec::new(), lines("actiontrail").len() as u64);
    for case in &cases {
        let judged = answers(&victim, &case.bytes).and_then(|answers| judge(case, &answers));
        problems.extend(judged.err().map(|problem| format!("{}: {problem}", case.name)));
        let now = victim.server.client().json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64().unwrap();
        if std::mem::replace(&mut stored, now) != now {
            problems.push(format!("{}: the request behind it was read", case.name));
        }
        row.hit();
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
    row.no_panic(victim.server.log());
    victim.survives();
    row.end();
}
