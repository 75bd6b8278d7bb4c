//! What a definition asks a store for is in the requests, and signed: the bucket in the host, encryption, storage class, a token that is lent; and a key that is changed while the
//! trail delivers.
//!
//! The other side is moto behind a guard that signs every request again.

use std::fs;
use std::sync::Arc;

use serde_json::json;
use trail_tests::flaky::{Came, Fate, Flaky};
use trail_tests::server::Server;
use trail_tests::shelf::{BUCKET, Shelf};
use trail_tests::stores::{delivered, events, make_trail, once, post, wait_for_words, wait_until_delivered};

const KEY_ID: &str = "arn:aws:kms:eu-1:111122223333:key/audit";

fn is_object(came: &&Came) -> bool {
    came.head.starts_with("PUT ") && came.head.contains(".ndjson")
}

/// The value of a header, and whether it is signed.
fn header<'a>(came: &'a Came, name: &str) -> Option<(&'a str, bool)> {
    let value = came.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
    let signed = came.head.split_once("signedheaders=")?.1.split(',').next()?;
    Some((value.trim(), signed.split(';').any(|signed| signed == name)))
}

#[test]
fn the_host_encryption_class_and_token_are_as_they_are_asked_for() {
    let Some(shelf) = Shelf::oss(false) else { return };
    let Shelf::Oss(_, _, moto) = &shelf else { unreachable!("it is one") };
    let flaky = Flaky::before(shelf.address(), Arc::new(|_, _| Fate::Pass));
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let mut sent = events(0..100, 20);
    sent.extend(events(1_000..1_020, 900_000));
    post(&mut client, &sent);
    let port = flaky.address.port();
    let sink = json!({
        "type": "s3", "bucket": BUCKET, "prefix": "logs/here", "endpoint": format!("http://localhost:{port}"), "path_style": false, "region": "cn-hangzhou",
        "access_key_id": "AKID", "secret_access_key": "the key", "session_token": "lent", "storage_class": "STANDARD_IA", "sse": "aws:kms",
        "sse_kms_key_id": KEY_ID, "compression": "none", "batch": {"events": 100, "bytes": 100_000_000, "seconds": 1},
    });
    make_trail(&mut client, "t", &sink);
    wait_until_delivered(&mut client, "t");
    assert_eq!(delivered(&shelf, "t"), once(&sent));
    server.stop();

    let (came, host) = (flaky.came(), format!("{BUCKET}.localhost:{port}"));
    assert!(came.iter().all(|came| header(came, "host") == Some((host.as_str(), true)) && header(came, "x-amz-security-token") == Some(("lent", true))));
    let begins = came.iter().filter(|came| came.head.starts_with("POST ") && came.head.contains("?uploads"));
    let parts: Vec<&Came> = came.iter().filter(is_object).filter(|came| came.head.contains("partNumber=")).collect();
    let wholes: Vec<&Came> = came.iter().filter(is_object).filter(|came| !came.head.contains("partNumber=")).chain(begins).collect();
    assert!(wholes.len() >= 2 && parts.len() >= 2, "{} objects, {} parts", wholes.len(), parts.len());
    for came in wholes {
        assert_eq!(header(came, "x-amz-storage-class"), Some(("standard_ia", true)), "{}", came.head);
        assert_eq!(header(came, "x-amz-server-side-encryption"), Some(("aws:kms", true)), "{}", came.head);
        assert_eq!(header(came, "x-amz-server-side-encryption-aws-kms-key-id"), Some((KEY_ID, true)), "{}", came.head);
    }
    // AWS refuses a part that says how it is encrypted: the upload has said it.
    assert!(parts.iter().all(|came| header(came, "x-amz-server-side-encryption").is_none() && header(came, "content-md5").unwrap().1));
    for name in moto.names(BUCKET).iter().filter(|name| name.ends_with(".ndjson")) {
        let object = moto.object(BUCKET, name);
        assert_eq!(object.header("x-amz-server-side-encryption"), Some("aws:kms"), "{name}");
        assert_eq!(object.header("x-amz-storage-class"), Some("STANDARD_IA"), "{name}");
    }
}

#[test]
fn a_key_that_is_changed_in_its_file_is_taken_for_the_next_object() {
    let Some(shelf) = Shelf::oss(false) else { return };
    let flaky = Flaky::before(shelf.address(), Arc::new(|_, _| Fate::Pass));
    let directory = tempfile::tempdir().unwrap();
    let (key, token) = (directory.path().join("key"), directory.path().join("token"));
    fs::write(&key, "of yesterday").unwrap();
    fs::write(&token, "token-0").unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let mut sink = shelf.sink(flaky.address);
    (sink["secret_access_key"], sink["session_token"]) = (json!({ "file": key }), json!({ "file": token }));
    let mut sent = events(0..100, 20);
    post(&mut client, &sent);
    make_trail(&mut client, "t", &sink);
    let told = wait_for_words(&mut client, "t", "mend `access_key_id` and `secret_access_key`");
    assert_eq!(told["needs_operator"], true, "{told}");
    // Mended where it lies: nothing is restarted.
    fs::write(&key, "the key\n").unwrap();
    wait_until_delivered(&mut client, "t");
    for round in 1..5_u64 {
        let before = flaky.came().len();
        fs::write(&token, format!("token-{round}\n")).unwrap();
        let more = events(round * 1_000..round * 1_000 + 150, 20);
        post(&mut client, &more);
        sent.extend(more);
        wait_until_delivered(&mut client, "t");
        let came = flaky.came();
        let tokens: Vec<_> = came[before..].iter().filter(is_object).map(|came| header(came, "x-amz-security-token").unwrap()).collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|token| *token == (&*format!("token-{round}"), true)), "{round}: {tokens:?}");
    }
    assert_eq!(delivered(&shelf, "t"), once(&sent));
    // What is no key any more is said, and the one that is known still does.
    fs::remove_file(&token).unwrap();
    let more = events(9_000..9_100, 20);
    post(&mut client, &more);
    sent.extend(more);
    wait_until_delivered(&mut client, "t");
    assert_eq!(delivered(&shelf, "t"), once(&sent));
    server.stop();
}
