//! Bodies made to hurt a reader: bombs, nesting, keys without end, numbers at every edge, bytes that are no text (class 19 of the fault
//! matrix). Each is refused with its reason or kept byte for byte, in little time and memory.

use std::time::Duration;

use trail_tests::client::{Answer, JSON, NDJSON};
use trail_tests::load::everything;
use trail_tests::stranger::processor;
use trail_tests::table::Row;
use trail_tests::victim::{Victim, gzip, zstd};
use trail_tests::wrong::Wrong;

/// The most time of the processor that a body may take: four times what is asked of a release build and what the worst of them takes in
/// this one, which is not optimised, and where the log's own work counts too.
const EACH_MAX: Duration = Duration::from_millis(400);

enum Must {
    Keep,
    Refuse,
    /// Either, but nothing between.
    Decide,
}

struct Case {
    name: String,
    encoding: Option<&'static str>,
    kind: &'static str,
    body: Vec<u8>,
    must: Must,
}

fn case(must: Must, name: impl Into<String>, body: impl Into<Vec<u8>>) -> Case {
    Case { name: name.into(), encoding: None, kind: NDJSON, body: body.into(), must }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Numbers at the edges of every type, as they are written.
fn numbers() -> Vec<Case> {
    let digits = "7".repeat(10_000);
    let fraction = format!("0.{}", "3".repeat(10_000));
    let good = [
        "0",
        "-0",
        "-0.0",
        "0e0",
        "0E+0",
        "1E-1",
        "127",
        "-128",
        "255",
        "256",
        "32768",
        "65536",
        "2147483648",
        "-2147483649",
        "4294967295",
        "4294967296",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1e308",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e309",
        "1e-323",
        "4.9e-324",
        "1e-400",
        "1e1000000000",
        "1e-1000000000",
        "1e99999999999999999999",
        "0.1",
        "0.10",
        "1.0e5",
        "123456789012345678901234567890.5",
        &digits,
        &fraction,
    ];
    let bad = [
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "inf",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "-.5",
        "1e",
        "1e+",
        "1.e5",
        "0x10",
        "0b1",
        "0o7",
        "1_000",
        "1,000",
        "--1",
        "-",
        "1f",
        "\u{ff11}",
        "1 2",
    ];
    let event = |n: &str| format!("{{\"n\":{n}}}");
    let good = good.iter().map(|n| case(Must::Keep, format!("number {}", shown(n)), event(n)));
    good.chain(bad.iter().map(|n| case(Must::Refuse, format!("no number {}", shown(n)), event(n)))).collect()
}

/// What looks like JSON and is none.
fn syntax() -> Vec<Case> {
    let bad = [
        "",
        "{",
        "}",
        "{}}",
        "{{}}",
        "{\"a\"}",
        "{\"a\":}",
        "{:1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":'b'}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":nul}",
        "{\"a\":undefined}",
        "{\"a\":1}//",
        "{\"a\":/**/1}",
        "#{}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":1]",
        "{\"a\":\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\'\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\u{0}\"}",
        "{\"\u{1f}\":1}",
        "[]",
        "[1]",
        "1",
        "\"x\"",
        "null",
        "true",
        "{} {}",
        "{}[]",
        "{}\u{0}",
        "\u{feff}{}",
        "\u{a0}{}",
        "{\u{b}}",
        "{\u{2028}}",
    ];
    bad.iter().map(|text| case(Must::Refuse, format!("no JSON {text:?}"), *text)).collect()
}

/// Bytes that are no text, in a value, in a key and between.
fn bytes_that_are_no_text() -> Vec<Case> {
    let bad: [&[u8]; 12] = [
        b"\xff",
        b"\xfe",
        b"\x80",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ];
    let mut cases = Vec::new();
    for bytes in bad {
        for (before, after) in [("{\"a\":\"", "\"}"), ("{\"", "\":1}"), ("{", "}")] {
            let body = [before.as_bytes(), bytes, after.as_bytes()].concat();
            cases.push(case(Must::Refuse, format!("{bytes:x?} after {before}"), body));
        }
    }
    let wide: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    cases.push(case(Must::Refuse, "UTF-16", wide));
    let odd = [
        "\\u0000",
        "\\u0061",
        "\\ud83d\\ude00",
        "\u{ffff}",
        "\u{10ffff}",
        "\\/\\b\\f\\n\\r\\t\\\\\\\"",
        "\u{202e}",
        "\u{7f}",
        "<script>",
        "\\uFFFE",
        "e\u{301}",
    ];
    cases.extend(odd.iter().map(|text| case(Must::Keep, format!("text {text:?}"), format!("{{\"t\":\"{text}\",\"{text}\":1}}"))));
    let lone = ["\\ud800", "\\udfff", "\\ud800\\u0041", "\\udc00\\ud800"];
    cases.extend(lone.iter().map(|text| case(Must::Decide, format!("half a pair {text}"), format!("{{\"t\":\"{text}\"}}"))));
    cases
}

/// Keys: many, long, twice.
fn keys() -> Vec<Case> {
    let many = |count: usize| format!("{{{}\"z\":1}}", (0..count).map(|i| format!("\"k{i}\":{i},")).collect::<String>());
    let same = |count: usize| format!("{{{}\"a\":1}}", "\"a\":1,".repeat(count));
    vec![
        case(Must::Keep, "a key twice", "{\"a\":1,\"a\":2}"),
        case(Must::Keep, "an id twice", "{\"eventID\":\"x\",\"eventID\":\"y\",\"eventTime\":\"2026-11-20T10:00:00Z\",\"eventTime\":5}"),
        case(Must::Keep, "a key twice, once escaped", "{\"a\":1,\"\\u0061\":2}"),
        case(Must::Keep, "no name", "{\"\":{\"\":{\"\":1}}}"),
        case(Must::Keep, "names of prototypes", "{\"__proto__\":{\"x\":1},\"constructor\":1,\"toString\":2}"),
        case(Must::Keep, "dots and brackets", "{\"a.b\":1,\"a[0]\":2,\"a\":{\"b\":3}}"),
        case(Must::Decide, "a key 1,000 times", same(1_000)),
        case(Must::Decide, "a key 100,000 times", same(100_000)),
        case(Must::Decide, "1,000 keys", many(1_000)),
        case(Must::Decide, "50,000 keys", many(50_000)),
        case(Must::Refuse, "700,000 keys", many(700_000)),
        case(Must::Decide, "a name of 500 kB", format!("{{\"{}\":1}}", "k".repeat(500_000))),
        case(Must::Refuse, "a name of 2 MB", format!("{{\"{}\":1}}", "k".repeat(2_000_000))),
        case(Must::Decide, "a string of 500 kB of escapes", format!("{{\"a\":\"{}\"}}", "\\u0041".repeat(80_000))),
        case(Must::Refuse, "a string of 10 MB", format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000))),
        case(Must::Decide, "100,000 values", format!("{{\"a\":[{}1]}}", "1,".repeat(100_000))),
        case(Must::Decide, "100,000 empty lists", format!("{{\"a\":[{}[]]}}", "[],".repeat(100_000))),
    ]
}

/// Nesting, closed and open.
fn nesting() -> Vec<Case> {
    let mut cases = Vec::new();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for depth in [10, 100, 1_000, 10_000, 100_000] {
            let closed = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            let must = || {
                if depth == 10 {
                    Must::Keep
                } else if depth == 100 {
                    Must::Decide
                } else {
                    Must::Refuse
                }
            };
            cases.push(case(must(), format!("{depth} of {open}"), closed));
            cases.push(case(Must::Refuse, format!("{depth} of {open} without an end"), format!("{{\"a\":{}", open.repeat(depth))));
        }
    }
    cases
}

/// Bodies that unfold to far more than they are, and lies about how much.
fn bombs() -> Vec<Case> {
    let mut cases = Vec::new();
    for piece in [" ", "\n", "0", "[", "{\"a\":", "{}\n", "\"", "\0"] {
        let unfolded = piece.repeat((80 << 20) / piece.len()).into_bytes();
        for (encoding, body) in [("gzip", gzip(&unfolded)), ("zstd", zstd(&unfolded))] {
            cases.push(Case {
                name: format!("{encoding} of 80 MiB of {piece:?}"),
                encoding: Some(encoding),
                kind: NDJSON,
                body,
                must: Must::Refuse,
            });
        }
    }
    let small = zstd(&vec![b' '; 1 << 20]);
    let packed: [(&str, &'static str, Vec<u8>); 9] = [
        ("many frames", "zstd", small.repeat(100)),
        ("frames to skip", "zstd", [&b"\x50\x2a\x4d\x18\xff\xff\xff\x7f"[..], &small].concat()),
        ("a frame that says it is 2^62 long", "zstd", b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x40\x01\0\0".to_vec()),
        ("a window of 2 TiB", "zstd", b"\x28\xb5\x2f\xfd\x00\xf8\x01\0\0".to_vec()),
        ("a dictionary that is not there", "zstd", b"\x28\xb5\x2f\xfd\x23\x01\x02\x03\x04\x05\x01\0\0".to_vec()),
        ("no byte", "gzip", Vec::new()),
        ("half a head", "gzip", b"\x1f\x8b\x08".to_vec()),
        ("a name without an end", "gzip", [&b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"[..], &[b'n'; 1_000_000]].concat()),
        ("a bad checksum", "gzip", {
            let mut body = gzip(b"{}");
            let at = body.len() - 5;
            body[at] ^= 1;
            body
        }),
    ];
    cases.extend(packed.map(|(name, encoding, body)| Case {
        name: format!("{encoding}: {name}"),
        encoding: Some(encoding),
        kind: NDJSON,
        body,
        must: Must::Refuse,
    }));
    for body in ["[", "[{}", "[{},", "{\"Records\":", "{\"Records\":[", "[1,2]", "[[]]", "\"\"", "nul"] {
        cases.push(Case { name: format!("as one value: {body}"), encoding: None, kind: JSON, body: body.into(), must: Must::Refuse });
    }
    cases.push(Case {
        name: "a list of 100,000 lists".into(),
        encoding: None,
        kind: JSON,
        body: format!("[{}[]]", "[],".repeat(100_000)).into(),
        must: Must::Refuse,
    });
    cases
}

/// What is wrong with an answer.
fn judge(case: &Case, answer: &Answer) -> Option<String> {
    let refused = [400, 413].contains(&answer.status) && answer.json()["error"]["message"].as_str().is_some_and(|m| m.len() > 5);
    let kept = answer.status == 200 && answer.json()["accepted"] == 1 && answer.json()["rejected_count"] == 0;
    let good = match case.must {
        Must::Keep => kept,
        Must::Refuse => refused,
        Must::Decide => kept || refused,
    };
    (!good).then(|| format!("{}: {} {}", case.name, answer.status, answer.text().chars().take(300).collect::<String>()))
}

#[test]
fn bodies_made_to_hurt() {
    let cases: Vec<Case> = [numbers(), syntax(), bytes_that_are_no_text(), keys(), nesting(), bombs()].into_iter().flatten().collect();
    let row = Row::begin(19, "bombs and odd JSON", 200);
    let victim = Victim::start(&[]);
    let mut expected = victim.promised.clone();
    let (mut problems, mut client, mut before) = (Vec::new(), victim.server.client(), processor(victim.server.pid()));
    let mut slowest = (Duration::ZERO, "");
    for case in &cases {
        let mut headers = vec![("content-type", case.kind)];
        headers.extend(case.encoding.map(|encoding| ("content-encoding", encoding)));
        let answer = client.send("POST", "/v1/events", &headers, &case.body);
        let after = processor(victim.server.pid());
        slowest = slowest.max((after - before, &case.name));
        before = after;
        match answer {
            Ok(answer) => {
                problems.extend(judge(case, &answer));
                expected.extend((answer.status == 200).then(|| case.body.clone()));
            }
            Err(error) => problems.push(format!("{}: {error}", case.name)),
        }
        row.hit();
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
    println!("{} bodies; the worst took {:?} of the processor: {}", cases.len(), slowest.0, slowest.1);
    assert!(slowest.0 < EACH_MAX, "{slowest:?}");
    let stored: Vec<Vec<u8>> = {
        let mut all = everything(&victim.server);
        all.sort();
        all.into_iter().map(|(_, event)| event).collect()
    };
    row.judge(
        if stored == expected { Ok(()) } else { Err(Wrong::Altered("an odd event did not come back as it came".to_owned())) },
        "afterwards",
    );
    row.no_panic(victim.server.log());
    let others = expected.len() - victim.promised.len();
    victim.survives_with(others);
    row.end();
}
