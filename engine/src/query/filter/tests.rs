//! The query language by example: what is read, how it is printed, and where errors point.

use crate::event::schema::{Dimension, DimensionKind};
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};
use crate::query::filter::Filter;

fn dimensions() -> Vec<Dimension> {
    let names = ["user", "event_name", "error_code", "resource_name", "source_ip", "read_only"];
    names.map(|n| Dimension { name: n.into(), kind: DimensionKind::Keyword }).into()
}

#[test]
fn every_form_has_one_canonical_spelling() {
    let cases = [
        ("", "*"),
        ("  * ", "*"),
        (
            "user:alice event_name:(DeleteTrail OR StopLogging) -error_code:*",
            "user:alice (event_name:DeleteTrail OR event_name:StopLogging) -error_code:*",
        ),
        ("user:a OR user:b AND NOT user:c", "user:a OR user:b -user:c"),
        ("NOT NOT (user:a)", "user:a"),
        ("-(user:a OR user:b)", "-(user:a OR user:b)"),
        ("event_name:(A OR B -C)", "event_name:A OR event_name:B -event_name:C"),
        ("event_name:(A AND (B OR ~c*))", "event_name:A (event_name:B OR event_name:~c*)"),
        (r#"resource_name:"arn:aws:s3:::prod-*""#, r#"resource_name:"arn:aws:s3:::prod-*""#),
        ("resource_name:arn:aws:s3:::prod-*", r#"resource_name:"arn:aws:s3:::prod-*""#),
        (r"user:a\*b\:c", r#"user:"a\*b:c""#),
        (r"user:CORP\alice", r#"user:"CORP\\alice""#),
        ("source_ip:10.0.0.0/8", "source_ip:10.0.0.0/8"),
        ("source_ip:10.0.0.1/text", "source_ip:\"10.0.0.1/text\""),
        (r"source_ip:10.0.0.1\/99", r#"source_ip:"10.0.0.1\/99""#),
        (r"source_ip:10.0.0.0\/8", r#"source_ip:"10.0.0.0\/8""#),
        ("source_ip:2001:db8::/32", "source_ip:2001:db8::/32"),
        ("event_name:/^(Create|Delete).*User$/", "event_name:/^(Create|Delete).*User$/"),
        (r"user:~/a\/b/", r"user:~/a\/b/"),
        ("event_time:>=now-2h", "event_time:>=now-2h"),
        ("event_time:[2026-11-22T08:00:00Z TO *]", "event_time:>=2026-11-22T08:00:00Z"),
        ("event_time:{now-120m TO now]", "event_time:{now-2h TO now]"),
        ("event_time:1795334400000", "event_time:[2026-11-22T08:00:00Z TO 2026-11-22T08:00:00Z]"),
        ("event_time:>=2026-11-22", "event_time:>=2026-11-22T00:00:00Z"),
        ("event_time:2026-11-22", "event_time:[2026-11-22T00:00:00Z TO 2026-11-23T00:00:00Z}"),
        ("a.t:2026-11-22", "a.t:2026-11-22"),
        ("event_time:*", "*"),
        ("sequence:(>5 <=9)", "sequence:>5 sequence:<=9"),
        ("a.n:[-1.50 TO 2}", "a.n:[-1.5 TO 2}"),
        ("a.n:<1e300", "a.n:<1e300"),
        ("a.t:>now-1d", "a.t:>now-1d"),
        ("user:[* TO *]", "user:*"),
        (r#"requestParameters."LookupAttribute.1.Key":EventRW"#, r#"requestParameters."LookupAttribute.1.Key":EventRW"#),
        (r#""vpcId":x items[]:y a.items[].id:z"#, r#""vpcId":x "items":y a.items.id:z"#),
        (r#"stratus "role/admin""#, r#""stratus" "role/admin""#),
        ("*stratus* a-b", r#""stratus" "a-b""#),
        (r#"user:~ALICE user:"""#, r#"user:~ALICE user:"""#),
        (r#"user:AND "OR""#, r#"user:AND "OR""#),
        ("user:a**b", "user:a*b"),
        ("read_only:false", "read_only:false"),
    ];
    for (text, printed) in cases {
        let filter = Filter::parse(text, &dimensions()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.to_string(), printed, "{text}");
        assert_eq!(Filter::parse(printed, &dimensions()).unwrap(), filter, "{printed}");
    }
}

#[test]
fn errors_point_at_their_byte() {
    let cases = [
        ("user:a source_ip:10.0.0.0/99", 17, "a network is an address"),
        ("source_ip:10.0.0.1/", 10, "a network is an address"),
        ("source_ip:::1/129", 10, "a network is an address"),
        ("user:alice usr:x", 11, "unknown dimension `usr`; did you mean `user`?"),
        ("(user:a", 0, "this parenthesis is not closed"),
        ("user:a)", 6, "this parenthesis was never opened"),
        ("user:", 5, "expected a value"),
        ("user : root", 5, "no field before `:`"),
        ("user :root", 5, "no field before `:`"),
        ("::1", 0, "no field before `:`"),
        ("user: alice", 5, "expected a value"),
        ("user:\"alice", 5, "the quote is not closed"),
        ("user:a AND", 10, "expected a comparison"),
        ("OR user:a", 0, "expected a comparison"),
        ("user:a OR OR user:b", 10, "expected a comparison"),
        ("()", 1, "expected a comparison"),
        ("user:a -", 8, "expected something to negate"),
        ("user:a - b", 8, "expected something to negate"),
        ("user:/a(/", 5, "the regular expression is not valid: un"),
        ("user:/aws/lambda", 10, "the value goes on after its end"),
        ("user:/aws", 5, "is not closed by `/`"),
        ("user:a(b)", 6, "the value goes on after its end"),
        ("user:a\"b", 6, "a quote inside a word"),
        ("user:[1 2]", 8, "expected `TO`"),
        ("user:[1 TO 2", 12, "expected `]` or `}`"),
        ("user:[1 TO now]", 6, "both numbers or both times"),
        ("user:>x", 6, "a range needs numbers or times"),
        ("event_time:>=yesterday", 13, "cannot read the time `yesterday`"),
        ("sequence:x", 9, "a sequence is a whole number"),
        ("event_time:/x/", 11, "cannot be compared with a regular expression"),
        ("a..b:x", 2, "a key of the path is empty"),
        ("x\"\"", 1, "a quote inside a word"),
        ("\"\"", 0, "the text to search for is empty"),
        ("user:~>5", 6, "a range has no case"),
        ("foo*bar", 0, "not inside a text"),
    ];
    for (text, at, message) in cases {
        let error = Filter::parse(text, &dimensions()).unwrap_err();
        assert!(error.message().contains(message), "{text}: {error}");
        assert_eq!(error.offset(), Some(at), "{text}: {error}");
    }
}

#[test]
fn everything_is_bounded() {
    let nested = |depth: usize| format!("{}user:a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(QUERY_DEPTH_MAX), &dimensions()).is_ok());
    assert!(Filter::parse(&nested(QUERY_DEPTH_MAX + 1), &dimensions()).unwrap_err().message().contains("nested deeper"));
    assert!(Filter::parse(&"(".repeat(QUERY_BYTES_MAX), &dimensions()).is_err());
    assert!(Filter::parse(&"-".repeat(QUERY_BYTES_MAX - 1), &dimensions()).is_err());
    assert!(Filter::parse(&"x ".repeat(QUERY_TERMS_MAX), &dimensions()).is_ok());
    assert!(Filter::parse(&"x ".repeat(QUERY_TERMS_MAX + 1), &dimensions()).unwrap_err().message().contains("comparisons"));
    assert!(Filter::parse(&" ".repeat(QUERY_BYTES_MAX + 1), &dimensions()).unwrap_err().message().contains("too long"));
    assert!(Filter::parse(&"user:/a/ ".repeat(33), &dimensions()).unwrap_err().message().contains("regular expressions"));
}
